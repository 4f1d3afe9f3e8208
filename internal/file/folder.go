package file

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"catamaran/internal/api"
)

// List answers what is in a folder of dir (absolute). Errors are *api.Error.
func (f *Files) List(ctx context.Context, dir, at string) (api.FileFolder, error) {
	at, err := checked(at)
	if err != nil {
		return api.FileFolder{}, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return api.FileFolder{}, openError("", err)
	}
	defer root.Close()
	o, err := openAt(root, dir, at)
	if err != nil {
		return api.FileFolder{}, openError(at, err)
	}
	defer o.Close()
	if !o.info.IsDir() {
		return api.FileFolder{}, &api.Error{Code: api.CodeInvalid, Message: at + " is a file, not a folder."}
	}
	out := api.FileFolder{Path: at, Entries: []api.FileEntry{}}
	if at == "." {
		out.Path = ""
	}
	ignore := rulesFor(dir, at)
	for !out.Truncated {
		entries, err := o.ReadDir(500)
		for _, e := range entries {
			if e.Name() == ".git" {
				continue
			}
			if len(out.Entries) == f.limits.entries {
				out.Truncated = true
				break
			}
			out.Entries = append(out.Entries, entry(root, dir, at, e, ignore))
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return api.FileFolder{}, openError(at, err)
		}
	}
	slices.SortFunc(out.Entries, func(a, b api.FileEntry) int {
		return cmp.Or(folderFirst(a)-folderFirst(b), strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.Name, b.Name))
	})
	return out, nil
}

func folderFirst(e api.FileEntry) int {
	if e.Kind == api.FileKindFolder {
		return 0
	}
	return 1
}

func entry(root *os.Root, dir, at string, e fs.DirEntry, ignore *rules) api.FileEntry {
	out := api.FileEntry{Name: e.Name(), Kind: api.FileKindSpecial}
	if !utf8.ValidString(out.Name) {
		out.Name, out.Broken = strings.ToValidUTF8(out.Name, "\uFFFD"), true
	}
	info, err := e.Info()
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		out.Link = true
		info, err = root.Stat(filepath.Join(filepath.FromSlash(at), e.Name()))
		if err != nil && strings.Contains(err.Error(), escapes) {
			var name string
			if name, err = insideLink(dir, filepath.Join(filepath.FromSlash(at), e.Name())); err == nil {
				info, err = root.Stat(name)
			}
		}
		if err != nil {
			out.Kind = api.FileKindOutside
		}
	}
	if err == nil {
		switch {
		case info.IsDir():
			out.Kind = api.FileKindFolder
		case info.Mode().IsRegular():
			out.Kind, out.Bytes = api.FileKindFile, info.Size()
		}
	}
	out.Ignored = ignore.ignored(path.Join(at, e.Name()), out.Kind == api.FileKindFolder && !out.Link)
	return out
}
