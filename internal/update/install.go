package update

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"catamaran/internal/atomicfile"
)

const (
	// healthBound is how long a new version has to come up before the old one is put back.
	healthBound = 60 * time.Second
	// swapPatience is how long a virus scanner may hold a fresh program on Windows.
	swapPatience = 10 * time.Second
	outcomeFile  = "update-outcome.json"
)

// Plan is what an install needs. It is carried out by a copy of the program
// outside Dir, while nothing of the app runs.
type Plan struct {
	Archive, SHA256 string
	// Dir is the app's folder; State the desktop's, for the outcome.
	Dir, State string
	From, To   string // versions
	// Idle waits until nothing of the app runs and keeps it so until the returned function is called.
	Idle func(ctx context.Context) (release func(), err error)
	// Start starts the app in Dir; Healthy waits until version To answers; Stop ends what Start began.
	Start   func() error
	Healthy func(ctx context.Context, version string) error
	Stop    func(ctx context.Context) error
	// Try runs the new desktop's version command from where it was unpacked and returns what it says.
	Try func(ctx context.Context, dir string) (version string, err error)
}

// Outcome is kept for the app's next start.
type Outcome struct {
	From string `json:"from"`
	To   string `json:"to"`
	// Failed says why the old version is back, "" when the new one runs.
	Failed string `json:"failed,omitempty"`
}

// Install replaces the app's folder by the archive's content and starts the new
// version. When it does not come up the old folder is put back and started. The
// error says why the new version does not run; the old one then does, unless the
// error says otherwise.
func Install(ctx context.Context, p Plan) error {
	sum, err := digest(p.Archive)
	if err == nil && sum != p.SHA256 {
		err = errors.New("the archive is not the one that was verified")
	}
	if err != nil {
		return errors.Join(err, p.Start())
	}
	release, err := p.Idle(ctx)
	if err != nil {
		return fmt.Errorf("something of the app still runs, so nothing was replaced: %w", err)
	}
	fresh, old := p.Dir+".new", p.Dir+".old"
	err = p.prepare(ctx, fresh)
	if err == nil {
		err = swap(p.Dir, fresh, old)
	}
	release()
	if err != nil {
		os.RemoveAll(fresh)
		p.keep(err)
		return errors.Join(err, p.Start())
	}
	if err = p.Start(); err == nil {
		health, cancel := context.WithTimeoutCause(ctx, healthBound, errors.New("it did not come up within "+healthBound.String()))
		err = p.Healthy(health, p.To)
		cancel()
	}
	if err == nil {
		p.keep(nil)
		os.RemoveAll(old)
		os.Remove(p.Archive)
		return nil
	}
	return p.back(ctx, fresh, old, fmt.Errorf("version %s did not start: %w", p.To, err))
}

// prepare unpacks the new version beside the old one, takes over files that the
// archive does not have (an uninstaller), and lets it say its version.
func (p Plan) prepare(ctx context.Context, fresh string) error {
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if err := unpack(p.Archive, fresh); err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	err := filepath.WalkDir(p.Dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(p.Dir, path)
		if err != nil || filepath.Dir(rel) != "." {
			return err
		}
		if _, err := os.Stat(filepath.Join(fresh, rel)); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(fresh, rel), b, 0o755)
	})
	if err != nil {
		return fmt.Errorf("take over the app's other files: %w", err)
	}
	version, err := p.Try(ctx, fresh)
	if err != nil {
		return fmt.Errorf("the new version does not run here: %w", err)
	}
	if version != p.To {
		return fmt.Errorf("the archive holds version %q, not %q", version, p.To)
	}
	return nil
}

func (p Plan) back(ctx context.Context, fresh, old string, cause error) error {
	stop, cancel := context.WithTimeout(ctx, healthBound)
	defer cancel()
	err := p.Stop(stop)
	if err == nil {
		var release func()
		if release, err = p.Idle(stop); err == nil {
			err = swap(p.Dir, old, fresh)
			release()
		}
	}
	if err != nil {
		p.keep(errors.Join(cause, err))
		return errors.Join(cause, fmt.Errorf("and the old version, kept in %s, could not be put back: %w", old, err))
	}
	os.RemoveAll(fresh)
	p.keep(cause)
	return errors.Join(cause, p.Start())
}

// swap moves dir to aside and next to dir; it puts dir back when the second move fails.
func swap(dir, next, aside string) error {
	if err := os.RemoveAll(aside); err != nil {
		return err
	}
	if err := atomicfile.RenameWithin(swapPatience, dir, aside); err != nil {
		return fmt.Errorf("set the present version aside: %w", err)
	}
	if err := atomicfile.RenameWithin(swapPatience, next, dir); err != nil {
		return errors.Join(fmt.Errorf("put the other version in place: %w", err), atomicfile.RenameWithin(swapPatience, aside, dir))
	}
	return nil
}

func (p Plan) keep(cause error) {
	o := Outcome{From: p.From, To: p.To}
	if cause != nil {
		o.Failed = cause.Error()
	}
	if b, err := json.Marshal(o); err == nil {
		_ = os.WriteFile(filepath.Join(p.State, outcomeFile), b, 0o600)
	}
}

// Last reads and forgets the outcome of the last install; ok is false where there was none.
func Last(state string) (o Outcome, ok bool) {
	path := filepath.Join(state, outcomeFile)
	b, err := os.ReadFile(path)
	if err != nil {
		return o, false
	}
	os.Remove(path)
	return o, json.Unmarshal(b, &o) == nil
}
