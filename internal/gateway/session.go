package gateway

import (
	"encoding/json"
	"net/http"

	"catamaran/internal/api"
	"catamaran/internal/auth"
	"catamaran/internal/logfile"
)

// signIn takes the one-time code of the launch URL for a session token.
func (g *Gateway) signIn(w http.ResponseWriter, r *http.Request) {
	var x api.LaunchExchange
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10)).Decode(&x); err != nil {
		auth.WriteError(w, &api.Error{Code: api.CodeInvalid, Message: "The sign-in request is not JSON with a code."})
		return
	}
	if err := g.codes.Redeem(x.Code); err != nil {
		g.o.Log.Warn("sign-in refused", "code", api.CodeOf(err))
		auth.WriteError(w, &api.Error{
			Code:    api.CodeUnauthorized,
			Message: "This address has been used already, or is older than 30 seconds.",
			Hint:    "Open Catamaran again, or run: catamaran",
		})
		return
	}
	session := g.session()
	now := g.o.Environments.Snapshot()
	session.Environments = &now
	writeJSON(w, session)
}

// renew gives the holder of a valid token a fresh one.
func (g *Gateway) renew(w http.ResponseWriter, r *http.Request) { writeJSON(w, g.session()) }

func (g *Gateway) session() api.Session {
	end := g.o.Now().Add(sessionLife)
	token := g.o.Identity.Sign(audience, end)
	logfile.Secret(token)
	return api.Session{
		Token: token, ExpiresAt: end.UnixMilli(), EnvironmentID: g.o.Identity.EnvironmentID,
	}
}

func (g *Gateway) verify(token string) error {
	return g.o.Identity.Verify(token, audience, g.o.Now())
}

// signedIn lets only requests with a valid token through.
func (g *Gateway) signedIn(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := g.verify(auth.Bearer(r)); err != nil {
			auth.WriteError(w, err)
			return
		}
		next(w, r)
	})
}

func writeJSON(w http.ResponseWriter, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		auth.WriteError(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(b)
}
