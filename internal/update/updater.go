package update

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/atomicfile"
)

const (
	// day is the time between two checks unasked.
	day       = 24 * time.Hour
	stateFile = "update.json"
)

// Options of an updater.
type Options struct {
	// URL is the folder of releases, Key the publisher's public key in base64; without both there are no updates.
	URL, Key string
	Current  string
	// Dir is the app's folder, State the desktop's state folder.
	Dir, State string
	// Busy names threads that are at work; Begin hands a verified archive over and ends the app.
	Busy  func(ctx context.Context) []string
	Begin func(archive string, f File, version string) error
	Log   *slog.Logger
	Now   func() time.Time
}

// Updater owns what is known of a newer version. It is safe for concurrent use.
type Updater struct {
	o      Options
	key    ed25519.PublicKey
	source *source

	mu       sync.Mutex
	now      api.Update
	offer    File
	archive  string
	kept     kept
	ctx      context.Context
	fetching bool
	daily    *time.Timer
}

type kept struct {
	Auto    bool  `json:"auto"`
	Checked int64 `json:"checked"`
}

// New never fails: what makes updates impossible is told by Get.
func New(o Options) *Updater {
	if o.Now == nil {
		o.Now = time.Now
	}
	u := &Updater{o: o, kept: kept{Auto: true}, ctx: context.Background(), now: api.Update{State: api.UpdateIdle, Current: o.Current}}
	if why := u.impossible(); why != "" {
		u.now.State, u.now.Why = api.UpdateOff, why
		return u
	}
	if b, err := atomicfile.ReadFile(u.file()); err == nil {
		_ = json.Unmarshal(b, &u.kept) // a damaged one is as none
	}
	u.now.Auto, u.now.Checked = u.kept.Auto, u.kept.Checked
	if last, ok := Last(o.State); ok && last.Failed != "" {
		u.now.RolledBack = last.To
		u.now.Error = &api.Error{Code: api.CodeInternal, Message: fmt.Sprintf("Version %s did not start, so %s is back.", last.To, last.From),
			Hint: "Nothing is lost. Try again, or install it by hand.", Details: last.Failed}
	}
	return u
}

func (u *Updater) file() string { return filepath.Join(u.o.State, stateFile) }

func (u *Updater) impossible() string {
	if u.o.URL == "" || u.o.Key == "" {
		return "This build has no update server; get newer versions where you got this one."
	}
	key, err := base64.StdEncoding.DecodeString(u.o.Key)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return "This build's update key is damaged."
	}
	u.key = key
	if u.source, err = newSource(u.o.URL); err != nil {
		return "This build's update server is not usable."
	}
	if strings.HasPrefix(u.o.Dir, "/usr/") || !writable(u.o.Dir) {
		return "It was installed by the system's package manager or for all users; update it there."
	}
	return ""
}

// writable reports whether the folder can be replaced: its parent takes files.
func writable(dir string) bool {
	f, err := os.CreateTemp(filepath.Dir(dir), ".catamaran-update-*")
	if err != nil {
		return false
	}
	f.Close()
	return os.Remove(f.Name()) == nil
}

// Run checks once a day until ctx ends; it wakes up for nothing else.
func (u *Updater) Run(ctx context.Context) {
	u.mu.Lock()
	u.ctx = ctx
	off := u.now.State == api.UpdateOff
	u.mu.Unlock()
	if off {
		return
	}
	u.schedule()
	<-ctx.Done()
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.daily != nil {
		u.daily.Stop()
	}
}

// schedule sets the one timer; none where the person wants none.
func (u *Updater) schedule() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.daily != nil {
		u.daily.Stop()
		u.daily = nil
	}
	if !u.kept.Auto || u.ctx.Err() != nil {
		return
	}
	wait := max(time.Minute, time.UnixMilli(u.kept.Checked).Add(day).Sub(u.o.Now()))
	u.daily = time.AfterFunc(min(wait, day), func() {
		if _, err := u.Check(u.ctx); err != nil {
			u.o.Log.Info("the daily look for updates failed", "error", err)
		}
		u.schedule()
	})
}

// Get tells what is known.
func (u *Updater) Get() api.Update {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.now
}

// Set turns the daily check on or off.
func (u *Updater) Set(r api.UpdateSet) (api.Update, error) {
	u.mu.Lock()
	u.kept.Auto, u.now.Auto = r.Auto, r.Auto
	err := u.saveLocked()
	u.mu.Unlock()
	u.schedule()
	return u.Get(), err
}

func (u *Updater) saveLocked() error {
	b, err := json.Marshal(u.kept)
	if err != nil {
		return err
	}
	if err := os.WriteFile(u.file()+".new", b, 0o600); err != nil {
		return err
	}
	return atomicfile.Rename(u.file()+".new", u.file())
}

// Check asks the server now.
func (u *Updater) Check(ctx context.Context) (api.Update, error) {
	u.mu.Lock()
	switch u.now.State {
	case api.UpdateOff:
		defer u.mu.Unlock()
		return u.now, &api.Error{Code: api.CodeUnavailable, Message: u.now.Why}
	case api.UpdateChecking, api.UpdateFetching:
		defer u.mu.Unlock()
		return u.now, nil
	}
	before := u.now.State
	u.now.State, u.now.Error = api.UpdateChecking, nil
	u.mu.Unlock()
	m, f, err := u.ask(ctx)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.now.State = before
	if err != nil {
		u.now.Error = api.AsError(err)
		return u.now, err
	}
	u.kept.Checked = u.o.Now().UnixMilli()
	u.now.Checked = u.kept.Checked
	if err := u.saveLocked(); err != nil {
		u.o.Log.Warn("keep the time of the look for updates", "error", err)
	}
	if !Newer(m.Version, u.o.Current) {
		u.now.State, u.now.Version = api.UpdateIdle, ""
		return u.now, nil
	}
	if u.now.Version != m.Version || u.offer.SHA256 != f.SHA256 {
		u.now.State, u.archive = api.UpdateAvailable, ""
	}
	u.offer = f
	u.now.Version, u.now.Notes, u.now.Released, u.now.Total = m.Version, m.Notes, m.Released, f.Bytes
	return u.now, nil
}

func (u *Updater) ask(ctx context.Context) (Manifest, File, error) {
	b, err := u.source.small(ctx, manifestName)
	if err != nil {
		return Manifest{}, File{}, err
	}
	sig, err := u.source.small(ctx, manifestName+".sig")
	if err != nil {
		return Manifest{}, File{}, err
	}
	m, err := Verify(b, sig, u.key)
	if err != nil {
		return m, File{}, &api.Error{Code: api.CodeForbidden, Message: "The update server's answer is not to be trusted: " + err.Error() + ".", Hint: "Nothing was fetched. Tell the people you have the app from."}
	}
	f, ok := m.For(runtime.GOOS, runtime.GOARCH)
	if !ok && Newer(m.Version, u.o.Current) {
		return m, f, &api.Error{Code: api.CodeNotFound, Message: fmt.Sprintf("Version %s is not there for this system (%s, %s).", m.Version, runtime.GOOS, runtime.GOARCH)}
	}
	return m, f, nil
}

// Fetch begins or resumes the download and answers at once.
func (u *Updater) Fetch() (api.Update, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.now.State == api.UpdateReady, u.fetching:
		return u.now, nil
	case u.now.State != api.UpdateAvailable:
		return u.now, &api.Error{Code: api.CodeConflict, Message: "No newer version is known.", Hint: "Look for updates first."}
	}
	u.now.State, u.now.Error, u.now.Bytes, u.fetching = api.UpdateFetching, nil, 0, true
	offer, ctx := u.offer, u.ctx
	go func() {
		path, err := u.source.fetch(ctx, offer, filepath.Join(u.o.State, "updates"), func(n int64) {
			u.mu.Lock()
			u.now.Bytes = n
			u.mu.Unlock()
		})
		u.mu.Lock()
		defer u.mu.Unlock()
		u.fetching = false
		if err != nil {
			u.now.State = api.UpdateAvailable
			if u.now.Error = api.AsError(err); u.now.Error == nil {
				u.now.Error = &api.Error{Code: api.CodeInternal, Message: "The update could not be fetched.", Hint: "Try again.", Retryable: true, Details: err.Error()}
			}
			return
		}
		u.archive, u.now.State = path, api.UpdateReady
	}()
	return u.now, nil
}

// Install hands the verified archive over; the app ends after the answer.
func (u *Updater) Install(ctx context.Context) (api.Update, error) {
	if busy := u.o.Busy(ctx); len(busy) > 0 {
		return u.Get(), &api.Error{Code: api.CodeConflict, Message: fmt.Sprintf("Not now: agents are at work in %s.", strings.Join(busy[:min(len(busy), 5)], ", ")),
			Hint: "Install it when they are done, or stop them first.", Retryable: true}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.now.State != api.UpdateReady {
		return u.now, &api.Error{Code: api.CodeConflict, Message: "No update is ready to be installed.", Hint: "Fetch it first."}
	}
	if err := u.o.Begin(u.archive, u.offer, u.now.Version); err != nil {
		return u.now, errors.Join(&api.Error{Code: api.CodeInternal, Message: "The update could not be begun; nothing was changed.", Details: err.Error()}, err)
	}
	return u.now, nil
}
