package environment

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"catamaran/internal/api"
	"catamaran/internal/atomicfile"
)

// The files of the mode. While pendingFile exists a change has not been
// confirmed: it holds what modeFile held before, so that whoever finds it puts
// that back. There is one owner of the folder, so one temporary name is enough.
const (
	modeFile    = "mode.json"
	pendingFile = "mode.pending.json"
	asideSuffix = ".unreadable"
	tempSuffix  = ".tmp"
	maxModeFile = 64 << 10
)

// configFiles keeps the mode on disk. failpoint, when set, is called before and
// after each step that reaches the disk; tests die there.
type configFiles struct {
	dir       string
	failpoint func(string)
}

// pending is the journal: the previous file, byte for byte.
type pending struct {
	Existed  bool   `json:"existed"`
	Previous []byte `json:"previous,omitempty"`
}

func (c configFiles) point(name string) {
	if c.failpoint != nil {
		c.failpoint(name)
	}
}

func (c configFiles) path(name string) string { return filepath.Join(c.dir, name) }

// load resolves an unfinished change to the last confirmed configuration, then
// reads it. A file that cannot be understood is set aside, never deleted, and
// the answer is local with a notice that says so.
func (c configFiles) load() (api.ModeConfig, *api.Error, error) {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return api.ModeConfig{}, nil, err
	}
	var notice *api.Error
	b, existed, err := c.read(pendingFile)
	if err != nil {
		return api.ModeConfig{}, nil, err
	}
	if existed {
		var p pending
		if err := strict(b, &p); err != nil {
			// It is written by rename, so this was not us.
			if notice, err = c.setAside(pendingFile, err); err != nil {
				return api.ModeConfig{}, nil, err
			}
		} else if err := c.rollBack(p); err != nil {
			return api.ModeConfig{}, nil, err
		}
	}
	local := api.ModeConfig{Mode: api.ModeLocal}
	b, existed, err = c.read(modeFile)
	if err != nil {
		return api.ModeConfig{}, nil, err
	}
	if !existed {
		return local, notice, nil
	}
	m, err := parseMode(b)
	if err != nil {
		notice, err = c.setAside(modeFile, err)
		return local, notice, err
	}
	return m, notice, nil
}

func (c configFiles) setAside(name string, why error) (*api.Error, error) {
	if err := atomicfile.Rename(c.path(name), c.path(name+asideSuffix)); err != nil {
		return nil, err
	}
	return &api.Error{Code: api.CodeInvalid, Message: "the saved mode could not be read, so this computer's own system is used",
		Hint: "Choose the mode again in Settings > Environments. The old file is kept as " + name + asideSuffix + ".", Details: why.Error()}, nil
}

// read returns a file's bytes and whether it is there.
func (c configFiles) read(name string) ([]byte, bool, error) {
	f, err := atomicfile.Open(c.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxModeFile+1))
	return b, err == nil, err
}

// begin writes the journal; from here on a crash means the previous configuration.
// After an error nothing has begun.
func (c configFiles) begin() (pending, error) {
	b, existed, err := c.read(modeFile)
	if err != nil {
		return pending{}, err
	}
	p := pending{Existed: existed, Previous: b}
	j, err := json.Marshal(p)
	if err != nil {
		return pending{}, err
	}
	if err := c.write(pendingFile, append(j, '\n')); err != nil {
		os.Remove(c.path(pendingFile))
		return pending{}, err
	}
	return p, nil
}

// persist writes the new configuration under the journal's protection.
func (c configFiles) persist(m api.ModeConfig) error {
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return c.write(modeFile, append(b, '\n'))
}

// confirm removes the journal: the instant at which the new configuration counts.
func (c configFiles) confirm() error {
	c.point("confirm")
	if err := os.Remove(c.path(pendingFile)); err != nil {
		return err
	}
	c.point("confirm.removed")
	return syncDir(c.dir)
}

// rollBack restores what p holds, then removes the journal.
func (c configFiles) rollBack(p pending) error {
	c.point("rollback")
	if p.Existed {
		// Where the new file was never written the old one is not touched: that cannot fail.
		if now, there, err := c.read(modeFile); err != nil || !there || !bytes.Equal(now, p.Previous) {
			if err := c.write(modeFile, p.Previous); err != nil {
				return err
			}
		}
	} else if err := os.Remove(c.path(modeFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	c.point("rollback.restored")
	if err := os.Remove(c.path(pendingFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncDir(c.dir)
}

func (c configFiles) write(name string, b []byte) error {
	c.point("write " + name)
	temp := c.path(name + tempSuffix)
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	c.point("written " + name)
	if e := f.Sync(); err == nil {
		err = e
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		c.point("rename " + name)
		err = atomicfile.Rename(temp, c.path(name))
	}
	if err != nil {
		os.Remove(temp)
		return err
	}
	c.point("renamed " + name)
	return syncDir(c.dir)
}

func parseMode(b []byte) (api.ModeConfig, error) {
	var m api.ModeConfig
	if err := strict(b, &m); err != nil {
		return api.ModeConfig{}, err
	}
	if !m.Mode.Valid() {
		return api.ModeConfig{}, fmt.Errorf("unknown mode %q", m.Mode)
	}
	if m.Primary != "" && !serves(m, m.Primary) {
		return api.ModeConfig{}, fmt.Errorf("primary %q does not run in mode %q", m.Primary, m.Mode)
	}
	return m, nil
}

// strict decodes exactly one JSON value of known fields.
func strict(b []byte, v any) error {
	if len(b) > maxModeFile {
		return errors.New("the file is too large")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the JSON value")
	}
	return nil
}

// Environment ids. A WSL environment is named after the configured distro, so
// that its route does not change when the default distro does.
const (
	localID   = "local"
	wslPrefix = "wsl:"
	defaultID = "wsl:default"
)

func wslID(distro string) string {
	if distro == "" {
		return defaultID
	}
	return wslPrefix + distro
}

// ids lists the environments a configuration runs, the primary one first.
func ids(m api.ModeConfig) []string {
	var all []string
	if m.Mode != api.ModeWSLOnly {
		all = append(all, localID)
	}
	if m.Mode != api.ModeLocal {
		all = append(all, wslID(m.Distro))
	}
	if p := m.Primary; len(all) == 2 && p == all[1] {
		all[0], all[1] = all[1], all[0]
	}
	return all
}

func primary(m api.ModeConfig) string { return ids(m)[0] }

func serves(m api.ModeConfig, id string) bool {
	for _, x := range ids(m) {
		if x == id {
			return true
		}
	}
	return false
}
