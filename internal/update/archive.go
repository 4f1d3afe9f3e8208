package update

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// maxFiles and maxUnpacked bound what an archive may hold.
const (
	maxFiles    = 1000
	maxUnpacked = 2 << 30
)

// unpack puts an archive's files into dir, which must not be there yet, without
// the archive's top folder. The kind is told by its first bytes. Names that
// would leave dir, and anything but files and folders, are refused.
func unpack(archive, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, 4)
	if _, err := io.ReadFull(f, head); err != nil {
		return errors.New("the archive is empty")
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	u := unpacker{dir: dir}
	if string(head) == "PK\x03\x04" {
		return u.zip(f)
	}
	return u.tar(f)
}

type unpacker struct {
	dir   string
	files int
	bytes int64
}

func (u *unpacker) zip(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	z, err := zip.NewReader(f, info.Size())
	if err != nil {
		return fmt.Errorf("read the archive: %w", err)
	}
	for _, e := range z.File {
		if strings.HasSuffix(e.Name, "/") {
			continue
		}
		if !e.Mode().IsRegular() {
			return fmt.Errorf("the archive holds %q, which is no file", e.Name)
		}
		r, err := e.Open()
		if err != nil {
			return fmt.Errorf("read the archive: %w", err)
		}
		err = u.file(e.Name, 0o755, r)
		r.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (u *unpacker) tar(f *os.File) error {
	g, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("read the archive: %w", err)
	}
	t := tar.NewReader(g)
	for {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the archive: %w", err)
		}
		switch h.Typeflag {
		case tar.TypeDir:
		case tar.TypeReg:
			if err := u.file(h.Name, fs.FileMode(h.Mode)&0o755, t); err != nil {
				return err
			}
		default:
			return fmt.Errorf("the archive holds %q, which is no file", h.Name)
		}
	}
}

func (u *unpacker) file(name string, mode fs.FileMode, r io.Reader) error {
	top, inside, ok := strings.Cut(name, "/")
	if !ok || top == "" || top[0] == '.' || inside == "" || path.Clean("/"+inside) != "/"+inside || strings.ContainsAny(inside, `\:`) {
		return fmt.Errorf("the archive holds a name that is not possible: %q", name)
	}
	if u.files++; u.files > maxFiles {
		return fmt.Errorf("the archive holds more than %d files", maxFiles)
	}
	to := filepath.Join(u.dir, filepath.FromSlash(inside))
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode|0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, io.LimitReader(r, maxUnpacked-u.bytes+1))
	u.bytes += n
	if err == nil && u.bytes > maxUnpacked {
		err = fmt.Errorf("the archive holds more than %d bytes", int64(maxUnpacked))
	}
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}
