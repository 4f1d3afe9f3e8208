package gateway

import (
	"net/http"

	"catamaran/internal/auth"
)

// attachment passes on a request for a file with an address that a backend signed,
// which the backend checks; without a signature it needs the page's token as any other.
func (g *Gateway) attachment(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("signed") == "" {
		if err := g.verify(auth.Bearer(r)); err != nil {
			auth.WriteError(w, err)
			return
		}
	}
	g.forward(w, r)
}
