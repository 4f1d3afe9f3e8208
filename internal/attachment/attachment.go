// Package attachment keeps the files that go with prompts: images, each in a file of
// its own below one folder. A file is uploaded, then claimed by the thread whose
// message it goes with, and goes with that thread; one that no message claimed goes
// after a day. It knows no messages; package engine calls it.
//
// Invariants: only what is an image by its first bytes is kept; an id or a thread's id
// never leads out of the folder; a file is there whole or not at all.
package attachment

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"catamaran/internal/api"
	"catamaran/internal/atomicfile"
)

const (
	// Most bounds one file, in bytes.
	Most = 10 << 20
	// unusedMost bounds the files that no message claimed yet, unusedLife how long they stay.
	unusedMost = 100
	unusedLife = 24 * time.Hour
	// unused is the folder of files that no message claimed; no thread's id looks like it.
	unused = "_new"
	// nameMost bounds a file's name, in runes.
	nameMost = 120
	// sniffed is how much of a file tells its type.
	sniffed = 512
)

// kinds are the types of images that browsers show and agents take. SVG, which can
// hold scripts, is not among them.
var kinds = []string{"image/png", "image/jpeg", "image/gif", "image/webp"}

var safe = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)

// Files is the folder. Safe for concurrent use by one process.
type Files struct {
	dir string
	now func() time.Time
}

// New returns the files below dir, which is made when it is needed.
func New(dir string, now func() time.Time) *Files { return &Files{dir: dir, now: now} }

func gone() error {
	return &api.Error{Code: api.CodeNotFound, Message: "This file is not there (any more).", Hint: "Add it to the message again."}
}

// folder is where the files of a thread lie; "" is for those not claimed.
func (f *Files) folder(threadID string) (string, error) {
	if threadID == "" {
		return filepath.Join(f.dir, unused), nil
	}
	if !safe.MatchString(threadID) {
		return "", gone()
	}
	return filepath.Join(f.dir, threadID), nil
}

// Save keeps an image of at most Most bytes. name is what people call it.
func (f *Files) Save(name string, r io.Reader) (api.Attachment, error) {
	dir, err := f.folder("")
	if err != nil {
		return api.Attachment{}, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return api.Attachment{}, fmt.Errorf("attachment: %w", err)
	}
	left, err := f.sweepUnused(dir)
	if err != nil {
		return api.Attachment{}, err
	}
	if left >= unusedMost {
		return api.Attachment{}, &api.Error{Code: api.CodeConflict, Message: "Too many files were uploaded and not sent.", Hint: "Send or drop some first; unsent ones go after a day."}
	}
	head := make([]byte, sniffed)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return api.Attachment{}, readError(err)
	}
	head = head[:n]
	mime := http.DetectContentType(head)
	if !slices.Contains(kinds, mime) {
		return api.Attachment{}, &api.Error{Code: api.CodeInvalid, Message: "This file is no image that can be attached.", Hint: "Attach a PNG, JPEG, GIF or WebP image."}
	}
	var raw [12]byte
	_, _ = rand.Read(raw[:]) // never fails
	a := api.Attachment{ID: "a_" + hex.EncodeToString(raw[:]), Name: cleanName(name, mime), Mime: mime}
	if a.Bytes, err = write(filepath.Join(dir, a.ID), io.MultiReader(bytes.NewReader(head), r)); err != nil {
		return api.Attachment{}, err
	}
	b, err := json.Marshal(a)
	if err == nil {
		_, err = write(filepath.Join(dir, a.ID+".json"), bytes.NewReader(b))
	}
	if err != nil {
		_ = os.Remove(filepath.Join(dir, a.ID))
		return api.Attachment{}, fmt.Errorf("attachment: %w", err)
	}
	return a, nil
}

// readError tells a client that sent too much or went away apart from a failure here.
func readError(err error) error {
	var most *http.MaxBytesError
	if errors.As(err, &most) {
		return tooLarge()
	}
	return &api.Error{Code: api.CodeInvalid, Message: "The file did not arrive whole.", Hint: "Add it again.", Details: err.Error()}
}

func tooLarge() error {
	return &api.Error{Code: api.CodeTooLarge, Message: "The image is larger than 10 MiB.", Hint: "Make it smaller, or put it into the project and mention it."}
}

// write makes path whole: a temporary file, synced, renamed.
func write(path string, r io.Reader) (n int64, err error) {
	t, err := os.CreateTemp(filepath.Dir(path), ".part-*")
	if err != nil {
		return 0, fmt.Errorf("attachment: %w", err)
	}
	defer func() {
		if err != nil {
			_ = t.Close()
			_ = os.Remove(t.Name())
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		m, rerr := r.Read(buf)
		if n += int64(m); n > Most {
			return 0, tooLarge()
		}
		if _, werr := t.Write(buf[:m]); werr != nil {
			return 0, fmt.Errorf("attachment: %w", werr)
		}
		if errors.Is(rerr, io.EOF) {
			break
		}
		if rerr != nil {
			return 0, readError(rerr)
		}
	}
	if err := errors.Join(t.Sync(), t.Close()); err != nil {
		return 0, fmt.Errorf("attachment: %w", err)
	}
	return n, atomicfile.Rename(t.Name(), path)
}

// cleanName is the last part of a path without what no name has.
func cleanName(name, mime string) string {
	name = strings.ToValidUTF8(name, "\uFFFD")
	name = strings.TrimSpace(name[strings.LastIndexAny(name, `/\`)+1:])
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, name)
	if r := []rune(name); len(r) > nameMost {
		name = string(r[:nameMost])
	}
	if name == "" {
		return "image." + strings.TrimPrefix(mime, "image/")
	}
	return name
}

// Path returns where a file lies and what is known of it; threadID "" means one not claimed.
func (f *Files) Path(threadID, id string) (string, api.Attachment, error) {
	dir, err := f.folder(threadID)
	if err != nil || !safe.MatchString(id) {
		return "", api.Attachment{}, gone()
	}
	b, err := os.ReadFile(filepath.Join(dir, id+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", api.Attachment{}, gone()
	}
	var a api.Attachment
	if err == nil {
		err = json.Unmarshal(b, &a)
	}
	if err != nil {
		return "", api.Attachment{}, fmt.Errorf("attachment: %w", err)
	}
	path := filepath.Join(dir, id)
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() || a.ID != id || !slices.Contains(kinds, a.Mime) {
		return "", api.Attachment{}, gone()
	}
	return path, a, nil
}

// Claim makes uploaded files a thread's. Files that are its own already stay so, which
// makes a repeated claim the same. release gives back those that were claimed just now.
func (f *Files) Claim(threadID string, ids []string) (all []api.Attachment, release func(), err error) {
	var claimed []string
	release = func() { f.Release(threadID, claimed) }
	if len(ids) == 0 {
		return nil, release, nil
	}
	dir, err := f.folder(threadID)
	if err != nil || threadID == "" {
		return nil, release, gone()
	}
	for i, id := range ids {
		if slices.Contains(ids[:i], id) {
			continue
		}
		if _, a, err := f.Path(threadID, id); err == nil {
			all = append(all, a)
			continue
		}
		_, a, err := f.Path("", id)
		if err == nil {
			err = move(filepath.Join(f.dir, unused), dir, id)
		}
		if err != nil {
			release()
			return nil, release, err
		}
		all, claimed = append(all, a), append(claimed, id)
	}
	return all, release, nil
}

// move brings a file into another folder; the description goes last, for it makes the file known.
func move(from, to, id string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return fmt.Errorf("attachment: %w", err)
	}
	if err := atomicfile.Rename(filepath.Join(from, id), filepath.Join(to, id)); err != nil {
		return fmt.Errorf("attachment: %w", err)
	}
	if err := atomicfile.Rename(filepath.Join(from, id+".json"), filepath.Join(to, id+".json")); err != nil {
		return fmt.Errorf("attachment: %w", err)
	}
	return nil
}

// Release gives files back that a message claimed and that was not sent. What cannot be given back stays the thread's.
func (f *Files) Release(threadID string, ids []string) {
	for _, id := range ids {
		path, _, err := f.Path(threadID, id)
		if err != nil || threadID == "" {
			continue
		}
		now := f.now()
		if move(filepath.Dir(path), filepath.Join(f.dir, unused), id) == nil {
			_ = os.Chtimes(filepath.Join(f.dir, unused, id+".json"), now, now) // its day begins anew
		}
	}
}

// Forget removes the files of a thread.
func (f *Files) Forget(threadID string) error {
	dir, err := f.folder(threadID)
	if err != nil || threadID == "" {
		return err
	}
	return os.RemoveAll(dir)
}

// Sweep removes the files of threads that are gone and those that no message claimed in time.
func (f *Files) Sweep(threads []string) error {
	entries, err := os.ReadDir(f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("attachment: %w", err)
	}
	known := map[string]bool{unused: true}
	for _, id := range threads {
		known[id] = true
	}
	var failed []error
	for _, e := range entries {
		if !known[e.Name()] {
			failed = append(failed, os.RemoveAll(filepath.Join(f.dir, e.Name())))
		}
	}
	_, err = f.sweepUnused(filepath.Join(f.dir, unused))
	return errors.Join(append(failed, err)...)
}

// sweepUnused removes what is too old and returns how many files are left.
func (f *Files) sweepUnused(dir string) (int, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("attachment: %w", err)
	}
	left := 0
	old := f.now().Add(-unusedLife)
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue // gone meanwhile
		}
		if info.ModTime().Before(old) {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return left, fmt.Errorf("attachment: %w", err)
			}
		} else if strings.HasSuffix(e.Name(), ".json") {
			left++
		}
	}
	return left, nil
}
