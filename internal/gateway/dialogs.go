package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/hostpath"
)

// Dialogs are what the native window can show; *shell.Windows is one.
type Dialogs interface {
	// Native reports whether there is a native window now.
	Native() bool
	// PickFolder returns the chosen path of the desktop's own system, "" when the person cancelled.
	PickFolder(ctx context.Context, title, dir string) (string, error)
	// SaveFile returns where to save a file, which has name to begin with; "" when the person cancelled.
	SaveFile(ctx context.Context, title, name string) (string, error)
}

// pickWait bounds a dialog: a forgotten one must not hold a call for ever.
const pickWait = 15 * time.Minute

// pickFolder opens the native dialog where the environment's folders are and
// tells whose folder was chosen (W2.4). A drive chosen for a distro's environment
// is translated by that environment's own mount table, or refused by it.
func (g *Gateway) pickFolder(ctx context.Context, r api.PickFolder) (api.PickedFolder, error) {
	var none api.PickedFolder
	if !g.o.Dialogs.Native() {
		return none, noWindow("Type the folder, or look for it in the list.")
	}
	e, err := g.environment(r.Environment)
	if err != nil {
		return none, err
	}
	ctx, cancel := context.WithTimeout(ctx, pickWait)
	defer cancel()
	picked, err := g.o.Dialogs.PickFolder(ctx, "Choose a folder for "+e.Name, g.pickerStart(ctx, e, r.Typed))
	if err != nil || picked == "" {
		return none, err
	}
	// The person may have taken their time; environments have come and gone.
	if w, err := hostpath.ParseWin(picked); err == nil && w.Kind != hostpath.KindWSL && e.Distro != "" {
		var t api.PathTranslated
		if err := g.callBackend(ctx, e.ID, api.MethodPathTranslate, api.PathTranslate{Path: picked}, &t); err != nil {
			return none, err
		}
		return api.PickedFolder{Environment: e.ID, Path: t.Path}, nil
	}
	id, path, err := owner(picked, g.o.Environments.Snapshot())
	if err != nil {
		return none, err
	}
	return api.PickedFolder{Environment: id, Path: path}, nil
}

// pickerStart is the folder the dialog opens on; "" leaves it to the system. What
// cannot be a start folder is not worth an error: the person chooses anyway.
func (g *Gateway) pickerStart(ctx context.Context, e api.Environment, typed string) string {
	if e.Distro == "" {
		home, _ := os.UserHomeDir() // "" leaves it to the system
		switch typed = strings.TrimSpace(typed); {
		case typed == "~" || strings.HasPrefix(typed, "~/") || strings.HasPrefix(typed, `~\`):
			return filepath.Join(home, typed[1:])
		case filepath.IsAbs(typed):
			return filepath.Clean(typed)
		}
		return home
	}
	var f api.Folder
	if err := g.callBackend(ctx, e.ID, api.MethodFolderList, api.FolderList{}, &f); err != nil {
		return ""
	}
	for _, t := range []string{typed, ""} {
		if dir, err := hostpath.PickerStart(t, e.Distro, f.Home); err == nil {
			return dir
		}
	}
	return ""
}

func noWindow(hint string) error {
	return &api.Error{Code: api.CodeUnavailable, Message: "There is no native window to show the dialog.", Hint: hint}
}

// saveDiagnostics asks where, then makes the archive and writes it there.
func (g *Gateway) saveDiagnostics(ctx context.Context, _ api.Empty) (api.SavedFile, error) {
	var none api.SavedFile
	if !g.o.Dialogs.Native() {
		return none, noWindow("Open the page in a browser, which can download it.")
	}
	asked, cancel := context.WithTimeout(ctx, pickWait)
	defer cancel()
	path, err := g.o.Dialogs.SaveFile(asked, "Export diagnostics", g.o.Doctor.ArchiveName())
	if err != nil || path == "" {
		return none, err
	}
	_, zip, err := g.o.Doctor.Archive(g.diagnose(ctx, true))
	if err != nil {
		return none, err
	}
	if path, err = writeNew(path, zip); err != nil {
		return none, &api.Error{Code: api.CodeInvalid, Message: "The file could not be saved.", Hint: "Choose another folder.", Details: err.Error()}
	}
	return api.SavedFile{Path: path}, nil
}

// writeNew writes a file for this user alone. It never replaces one, for not every
// system's dialog asks: where the name is taken it writes "name-2.zip", and so on.
func writeNew(path string, data []byte) (string, error) {
	ext := filepath.Ext(path)
	const most = 100
	for n := 1; ; n++ {
		to := path
		if n > 1 {
			to = fmt.Sprintf("%s-%d%s", strings.TrimSuffix(path, ext), n, ext)
		}
		f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if errors.Is(err, os.ErrExist) && n < most {
			continue
		}
		if err != nil {
			return "", err
		}
		_, err = f.Write(data)
		if err = errors.Join(err, f.Close()); err != nil {
			return "", errors.Join(err, os.Remove(to))
		}
		return to, nil
	}
}

// openURL opens an address of the web or of mail outside the app: a web view opens no second window.
func (g *Gateway) openURL(ctx context.Context, r api.OpenURL) (api.Empty, error) {
	u, err := url.Parse(r.URL)
	if err == nil && (u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "mailto" || u.Scheme != "mailto" && u.Host == "" || len(r.URL) > 8192) {
		err = errors.New("not an address of the web")
	}
	if err != nil {
		return api.Empty{}, &api.Error{Code: api.CodeInvalid, Message: "This is not an address that can be opened.", Hint: "Addresses that begin with https, http or mailto can be."}
	}
	return api.Empty{}, g.o.OpenURL(ctx, u.String())
}
