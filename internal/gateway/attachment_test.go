package gateway

import "testing"

// A signed address of a file goes to the backend that signed it, everything else of it needs the page's token.
func TestSignedAddressNeedsNoToken(t *testing.T) {
	t.Parallel()
	f := start(t)
	const file = ubuntu + "/api/attachment/t_1/a_1"
	for what, c := range map[string]struct {
		method, path, token string
		status              int
	}{
		"signed":              {"GET", file + "?signed=x", "", 200},
		"unsigned":            {"GET", file, "", 401},
		"with an empty one":   {"GET", file + "?signed=", "", 401},
		"signed, not read":    {"POST", file + "?signed=x", "", 401},
		"signed, deeper":      {"GET", file + "/x?signed=x", "", 401},
		"signed, other route": {"GET", ubuntu + "/api/echo?signed=x", "", 401},
		"with the token":      {"GET", file, f.signIn(), 200},
	} {
		res, body := f.do(c.method, c.path, c.token, "")
		if res.StatusCode != c.status {
			t.Errorf("%s: %s %s", what, res.Status, body)
		}
	}
}
