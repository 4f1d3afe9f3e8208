package environment

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"catamaran/internal/api"
	"catamaran/internal/atomicfile"
)

// identityBook remembers which id the backend of each place said last: two
// places with one id are a distro and its copy (W7.1), and those seldom run at
// the same time. It is only a memory; without it a copy is noticed later.
const identityBook = "identities.json"

// maxIdentities bounds the book; a machine has a handful of distros.
const maxIdentities = 256

// identities maps a place ("local", "wsl:<running distro>") to an environment id.
type identities struct {
	path string
	ids  map[string]string
}

func loadIdentities(dir string, log *slog.Logger) identities {
	b := identities{path: filepath.Join(dir, identityBook), ids: map[string]string{}}
	f, err := atomicfile.Open(b.path)
	if err != nil {
		return b
	}
	defer f.Close()
	if err := json.NewDecoder(io.LimitReader(f, 1<<20)).Decode(&b.ids); err != nil || b.ids == nil {
		log.Warn("the memory of environment ids is lost; it fills again", "error", err)
		b.ids = map[string]string{}
	}
	return b
}

// place is where a backend ran: by distro, since "default" may be another one tomorrow.
func place(id, distro string) string {
	if id == localID {
		return localID
	}
	return wslPrefix + strings.ToLower(distro)
}

// met notes the id that a backend has said.
func (p *Pool) met(id, distro, environmentID string) {
	at := place(id, distro)
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.twins
	if t.ids[at] == environmentID || len(t.ids) >= maxIdentities {
		return
	}
	t.ids[at] = environmentID
	b, err := json.Marshal(t.ids)
	if err == nil {
		temp := t.path + tempSuffix
		if err = os.WriteFile(temp, b, 0o600); err == nil {
			err = atomicfile.Rename(temp, t.path)
		}
	}
	if err != nil {
		p.log.Warn("an environment id was not remembered", "error", err)
	}
}

// twinLocked explains that another place has the same id; nil when none has. A
// distro that is not installed any more (it was renamed) is no other place.
func (p *Pool) twinLocked(v api.Environment) *api.Error {
	if v.EnvironmentID == "" {
		return nil
	}
	own := place(v.ID, v.Distro)
	for at, id := range p.twins.ids {
		if id != v.EnvironmentID || at == own {
			continue
		}
		other := "this computer"
		if at != localID {
			if other = p.installedLocked(at[len(wslPrefix):]); other == "" {
				continue
			}
		}
		return &api.Error{Code: api.CodeEnvironmentTwin,
			Message: fmt.Sprintf("%s has the same identity as %s: one is a copy of the other", v.Name, other),
			Hint:    "Give it an identity of its own; its projects and threads stay.", Details: "environment id " + id}
	}
	return nil
}

// installedLocked is the spelling of an installed distro, "" when it is not there.
func (p *Pool) installedLocked(name string) string {
	for _, d := range p.discovery.Distros {
		if strings.EqualFold(d.Name, name) {
			return d.Name
		}
	}
	return ""
}

// NewIdentity gives a running environment an id and a signing key of its own and
// restarts it, so that a copy can be told from its original. It returns the
// state once the restart has begun. Errors are *api.Error.
func (p *Pool) NewIdentity(ctx context.Context, id string) (api.Environment, error) {
	c, err := p.live(id)
	if err != nil {
		return api.Environment{}, err
	}
	token, err := c.sessionToken(ctx)
	if err != nil {
		return api.Environment{}, asError(err, api.CodeUnauthorized, "the backend could not be signed in to")
	}
	ctx, cancel := context.WithTimeout(ctx, 2*callTimeout)
	defer cancel()
	var done api.Empty
	if err := c.request(ctx, token, http.MethodPost, "/api/call/"+api.MethodIdentityRenew, api.Empty{}, &done); err != nil {
		return api.Environment{}, asError(err, api.CodeInternal, "the backend did not take a new identity")
	}
	p.log.Info("an environment gets a new identity", "environment", id, "was", c.session.Hello().EnvironmentID)
	if _, err := p.Stop(ctx, id); err != nil {
		return api.Environment{}, err
	}
	return p.Start(ctx, id)
}
