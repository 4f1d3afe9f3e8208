package file

import (
	"bytes"
	"context"
	"io"
	"path"
	"path/filepath"
	"strings"

	"catamaran/internal/api"
)

const (
	defaultText = 512 << 10
	// sniffed is how much of a file's beginning tells what it is.
	sniffed = 8000
)

// Read answers a file's text from an offset on, or says what else it is.
// Errors are *api.Error.
func (f *Files) Read(_ context.Context, dir string, r api.FileRead) (api.FileView, error) {
	at, err := checked(r.Path)
	if err != nil {
		return api.FileView{}, err
	}
	if r.Offset < 0 || r.Limit < 0 {
		return api.FileView{}, invalidName("An offset or a limit is not negative.")
	}
	o, err := open(dir, at)
	if err != nil {
		return api.FileView{}, err
	}
	defer o.Close()
	if o.info.IsDir() {
		return api.FileView{}, &api.Error{Code: api.CodeInvalid, Message: at + " is a folder, not a file."}
	}
	head := make([]byte, sniffed)
	n, err := io.ReadFull(o, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return api.FileView{}, openError(at, err)
	}
	head = head[:n]
	// Files of /proc say that they are empty.
	size := max(o.info.Size(), int64(n))
	v := api.FileView{Path: at, Bytes: size, ModifiedAt: o.info.ModTime().UnixMilli(), AbsolutePath: filepath.Join(dir, filepath.FromSlash(at)), Offset: r.Offset}
	v.Mime = imageType(at, head)
	v.Encoding = encodingOf(head, int64(n) < size)
	switch {
	case v.Mime != "":
		v.Content = api.ContentImage
	case v.Encoding == "":
		v.Content = api.ContentBinary
	default:
		v.Content = api.ContentText
	}
	if v.Encoding == "" || v.Mime != "" && v.Mime != mimeSVG {
		v.Encoding = ""
		return v, nil
	}
	limit := r.Limit
	if limit == 0 {
		limit = defaultText
	}
	if v.Offset < size {
		if err := f.readText(o, &v, min(limit, f.limits.text)); err != nil {
			return api.FileView{}, openError(at, err)
		}
	}
	if v.Offset == 0 {
		f.Used(dir, at)
	}
	return v, nil
}

func (f *Files) readText(o opened, v *api.FileView, limit int64) error {
	if strings.HasPrefix(v.Encoding, "utf-16") {
		v.Offset &^= 1
		limit = max(limit&^1, 2)
	}
	b := make([]byte, limit+1)
	n, err := o.ReadAt(b, v.Offset)
	if err != nil && err != io.EOF {
		return err
	}
	b = b[:n]
	if int64(n) > limit { // there is more
		b = b[:cutText(b[:limit], v.Encoding)]
		v.Next = v.Offset + int64(len(b))
	}
	v.Text = decode(b, v.Encoding, v.Offset == 0)
	return nil
}

// Bytes is a file's own content with its type, for pictures.
type Bytes struct {
	Name, Mime string
	Data       []byte
}

// Bytes reads a whole file. Errors are *api.Error, CodeTooLarge above 25 MiB.
func (f *Files) Bytes(_ context.Context, dir, at string) (Bytes, error) {
	at, err := checked(at)
	if err != nil {
		return Bytes{}, err
	}
	o, err := open(dir, at)
	if err != nil {
		return Bytes{}, err
	}
	defer o.Close()
	if o.info.IsDir() {
		return Bytes{}, &api.Error{Code: api.CodeInvalid, Message: at + " is a folder, not a file."}
	}
	big := &api.Error{Code: api.CodeTooLarge, Message: "The file is too large to be shown.", Hint: "Open it in another program."}
	if o.info.Size() > f.limits.bytes {
		return Bytes{}, big
	}
	data, err := io.ReadAll(io.LimitReader(o, f.limits.bytes+1))
	if err != nil {
		return Bytes{}, openError(at, err)
	}
	if int64(len(data)) > f.limits.bytes {
		return Bytes{}, big
	}
	out := Bytes{Name: path.Base(at), Mime: imageType(at, data[:min(len(data), sniffed)]), Data: data}
	if out.Mime == "" {
		out.Mime = "application/octet-stream"
	}
	return out, nil
}

const mimeSVG = "image/svg+xml"

// imageType tells a picture that browsers show by its first bytes, "" for
// everything else. An SVG is text, so its name must say so too.
func imageType(name string, head []byte) string {
	is := func(at int, s string) bool { return len(head) >= at+len(s) && string(head[at:at+len(s)]) == s }
	switch {
	case is(0, "\x89PNG\r\n\x1a\n"):
		return "image/png"
	case is(0, "\xFF\xD8\xFF"):
		return "image/jpeg"
	case is(0, "GIF87a"), is(0, "GIF89a"):
		return "image/gif"
	case is(0, "RIFF") && is(8, "WEBP"):
		return "image/webp"
	case is(4, "ftypavif"), is(4, "ftypavis"):
		return "image/avif"
	case is(0, "BM") && is(6, "\x00\x00\x00\x00"):
		return "image/bmp"
	case is(0, "\x00\x00\x01\x00") && len(head) > 5 && head[4] > 0 && strings.EqualFold(path.Ext(name), ".ico"):
		return "image/x-icon"
	case strings.EqualFold(path.Ext(name), ".svg") && bytes.Contains(head, []byte("<svg")):
		return mimeSVG
	}
	return ""
}
