package shell

import (
	"net/url"
	"strings"

	"catamaran/internal/api"
	"catamaran/internal/hostpath"
)

// Scheme is that of the app's own links.
const Scheme = "catamaran"

// maxLink bounds a link in bytes; Windows allows command lines of 32,767 units.
const maxLink = 8 << 10

// ParseLink reads a link: catamaran://open?path=... asks for a folder, and
// catamaran: alone, or with open and no path, for the window (path is ""). Any
// web page can make the system open a link, so it can do no more than that, and
// never names another computer: to look at \\server\share would sign this user in
// there. goos is the system the path belongs to. The error is *api.Error.
func ParseLink(goos, link string) (path string, err error) {
	bad := func(why string) (string, error) {
		return "", &api.Error{Code: api.CodeInvalid, Message: "The link is not one of Catamaran's: " + why + ".", Hint: "A link looks like catamaran://open?path=C%3A%5Ccode%5Cshop."}
	}
	if len(link) > maxLink {
		return bad("it is too long")
	}
	u, err := url.Parse(link)
	if err != nil || !strings.EqualFold(u.Scheme, Scheme) {
		return bad("it does not begin with catamaran:")
	}
	if u.User != nil || u.Port() != "" || u.Fragment != "" {
		return bad("it has parts that mean nothing here")
	}
	what := strings.Trim(u.Host+u.Path+u.Opaque, "/")
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return bad("its path is not encoded well")
	}
	switch {
	case what == "" && len(query) == 0, what == "open" && len(query) == 0:
		return "", nil
	case what != "open" || len(query) != 1 || len(query["path"]) != 1:
		return bad("it asks for something else than to open a folder")
	}
	path = query["path"][0]
	if strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return bad("its path has control characters")
	}
	if goos == "windows" {
		// Drives and distros, and nothing that leads over a network.
		if _, err := hostpath.ParseWin(path); err != nil {
			return bad("its path is not one of this computer or of a distro")
		}
		return path, nil
	}
	if !strings.HasPrefix(path, "/") {
		return bad("its path is not absolute")
	}
	return path, nil
}
