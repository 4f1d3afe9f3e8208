package server

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"catamaran/internal/api"
)

const (
	// maxFolders bounds the sub-folders listed.
	maxFolders = 2000
	// maxScan bounds the directory entries looked at.
	maxScan = 100_000
)

// listFolder answers folder.list. It opens nothing but the folder itself and
// reads no file.
func (s *Server) listFolder(ctx context.Context, in api.FolderList) (api.Folder, error) {
	home := s.o.Descriptor.Home
	path, err := s.native(ctx, in.Path)
	if err == nil {
		path, err = resolveFolder(path, home)
	}
	if err != nil {
		return api.Folder{}, err
	}
	f, err := os.Open(path)
	if err != nil {
		return api.Folder{}, folderError(path, err)
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil {
		return api.Folder{}, folderError(path, err)
	} else if !st.IsDir() {
		return api.Folder{}, &api.Error{Code: api.CodeInvalid, Message: path + " is a file, not a folder.", Hint: "Choose the folder it is in."}
	}
	out := api.Folder{Path: path, Home: home, Git: hasGit(path), Entries: []api.FolderEntry{}}
	if parent := filepath.Dir(path); parent != path {
		out.Parent = parent
	}
	for scanned := 0; ; {
		entries, err := f.ReadDir(1000)
		for _, e := range entries {
			if isFolder(path, e) && (in.Hidden || !strings.HasPrefix(e.Name(), ".")) {
				out.Entries = append(out.Entries, api.FolderEntry{Name: e.Name(), Path: filepath.Join(path, e.Name())})
			}
		}
		scanned += len(entries)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return api.Folder{}, folderError(path, err)
		}
		if scanned >= maxScan {
			out.Truncated = true
			break
		}
		if err := ctx.Err(); err != nil {
			return api.Folder{}, err
		}
	}
	slices.SortFunc(out.Entries, func(a, b api.FolderEntry) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.Name, b.Name))
	})
	if len(out.Entries) > maxFolders {
		out.Entries, out.Truncated = out.Entries[:maxFolders], true
	}
	for i := range out.Entries {
		out.Entries[i].Git = hasGit(out.Entries[i].Path)
		if err := ctx.Err(); err != nil {
			return api.Folder{}, err
		}
	}
	return out, nil
}

func (s *Server) renewIdentity(context.Context, api.Empty) (api.Empty, error) {
	return api.Empty{}, s.o.Identity.Replace()
}

// resolveFolder makes a path as people type it absolute: "" and "~" are the
// home directory.
func resolveFolder(path, home string) (string, error) {
	path = strings.TrimSpace(path)
	switch {
	case strings.ContainsRune(path, 0):
		return "", &api.Error{Code: api.CodeInvalid, Message: "This is not a path."}
	case path == "" || path == "~":
		path = home
	case strings.HasPrefix(path, "~/") || strings.HasPrefix(path, `~`+string(filepath.Separator)):
		path = filepath.Join(home, path[2:])
	}
	if !filepath.IsAbs(path) {
		return "", &api.Error{Code: api.CodeInvalid, Message: "The path is not absolute.", Hint: "Begin with the root, or with ~ for the home folder."}
	}
	return filepath.Clean(path), nil
}

// isFolder follows links, so that a linked folder can be chosen too.
func isFolder(dir string, e fs.DirEntry) bool {
	if e.IsDir() {
		return true
	}
	if e.Type()&(fs.ModeSymlink|fs.ModeIrregular) == 0 {
		return false
	}
	st, err := os.Stat(filepath.Join(dir, e.Name()))
	return err == nil && st.IsDir()
}

func hasGit(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, ".git"))
	return err == nil
}

func folderError(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &api.Error{Code: api.CodeNotFound, Message: "There is no folder " + path + ".", Hint: "Check the spelling, and that it is a path of this environment."}
	case errors.Is(err, fs.ErrPermission):
		return &api.Error{Code: api.CodeForbidden, Message: "The folder " + path + " may not be read.", Hint: "Choose another one, or change its permissions."}
	}
	return err
}
