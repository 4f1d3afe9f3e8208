package file

import (
	"cmp"
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"catamaran/internal/api"
	"catamaran/internal/git"
	"catamaran/internal/proc"
)

const (
	defaultLines = 500
	maxLines     = 5000
	maxSearch    = 1000 // bytes of what is searched for
	maxGlobs     = 20
	// maxShown bounds a line in bytes; of a longer one the part around its first match is given.
	maxShown = 400
	// maxMarks bounds the matches marked in one line.
	maxMarks = 100
)

// search is a checked request and what has been found so far.
type search struct {
	api.FileSearch
	dir   string
	limit int
	// pattern is the request as this program's own expression: what marks the matches.
	pattern *regexp.Regexp
	env     []string

	files map[string]int // path -> its place in out
	out   api.FileMatches
}

// Search looks for text in dir (absolute): with ripgrep, else with git grep
// where Git knows the folder, else by itself. Ignored and binary files are left
// out. Errors are *api.Error; what was found until the deadline is no error.
func (f *Files) Search(ctx context.Context, dir string, r api.FileSearch) (api.FileMatches, error) {
	s := &search{FileSearch: r, dir: dir, limit: r.Limit, files: map[string]int{}, out: api.FileMatches{Files: []api.FileMatch{}}}
	if err := s.check(); err != nil {
		return s.out, err
	}
	ctx, cancel := context.WithTimeout(ctx, f.limits.search)
	defer cancel()
	s.env = f.environ(ctx)
	searchPath, _ := proc.EnvValue(s.env, "PATH")
	var err error
	if program, lerr := proc.LookPath("rg", searchPath); lerr == nil {
		s.out.Engine = "ripgrep"
		err = s.ripgrep(ctx, program)
	} else if git.Inside(dir) {
		s.out.Engine = "git"
		err = s.gitGrep(ctx)
		if err != nil && ctx.Err() == nil && api.AsError(err) == nil {
			// A Git that refuses the folder, or cannot do it.
			err = f.searchOwn(ctx, s)
		}
	} else {
		err = f.searchOwn(ctx, s)
	}
	if errors.Is(err, context.DeadlineExceeded) && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		s.out.More, err = true, nil
	}
	if err != nil {
		return s.out, err
	}
	slices.SortFunc(s.out.Files, func(a, b api.FileMatch) int { return cmp.Compare(a.Path, b.Path) })
	return s.out, nil
}

func (f *Files) searchOwn(ctx context.Context, s *search) error {
	s.out.Engine = "own"
	l, _, err := f.current(ctx, s.dir)
	if err != nil {
		return err
	}
	return s.own(ctx, l, f.limits.searchMax)
}

// check refuses what no program should see, with the same words whichever it is.
func (s *search) check() error {
	switch {
	case s.Text == "":
		return invalidName("There is nothing to search for.")
	case len(s.Text) > maxSearch || !utf8.ValidString(s.Text) || strings.ContainsAny(s.Text, "\x00\n\r"):
		return invalidName("One line of at most 1000 characters can be searched for.")
	case len(s.Include) > maxGlobs:
		return invalidName("At most 20 patterns for names can be given.")
	}
	for _, g := range s.Include {
		if g == "" || g == "!" || len(g) > maxSearch || !utf8.ValidString(g) || strings.ContainsAny(g, "\x00\n\r") {
			return invalidName("A pattern for names is not understood.")
		}
	}
	if s.limit <= 0 {
		s.limit = defaultLines
	}
	s.limit = min(s.limit, maxLines)
	expr := s.Text
	if !s.Regex {
		expr = regexp.QuoteMeta(expr)
	} else if _, err := regexp.Compile(expr); err != nil {
		_, why, _ := strings.Cut(err.Error(), "error parsing regexp: ")
		return &api.Error{Code: api.CodeInvalid, Message: "The regular expression is not understood: " + why + ".", Hint: "Switch regular expressions off to search for the text itself."}
	}
	if s.Word {
		expr = `\b(?:` + expr + `)\b`
	}
	if !s.Case {
		expr = "(?i)" + expr
	}
	var err error
	if s.pattern, err = regexp.Compile(expr); err != nil {
		return invalidName("This is too much to search for at once.") // it grew past what expressions may hold
	}
	return nil
}

// add takes a matching line; false says that the limit is reached.
func (s *search) add(path string, line int, text string, at []span) bool {
	if s.out.Lines >= s.limit {
		s.out.More = true
		return false
	}
	if !utf8.ValidString(path) {
		return true // it could not be asked for
	}
	text = strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
	if at == nil {
		for _, m := range s.pattern.FindAllStringIndex(text, maxMarks) {
			if m[1] > m[0] {
				at = append(at, span{m[0], m[1]})
			}
		}
	}
	i, ok := s.files[path]
	if !ok {
		i = len(s.out.Files)
		s.files[path] = i
		s.out.Files = append(s.out.Files, api.FileMatch{Path: path})
	}
	f := &s.out.Files[i]
	f.Lines = append(f.Lines, shown(line, text, at))
	s.out.Lines++
	return true
}

// shown cuts a long line around its first match.
func shown(line int, text string, at []span) api.MatchLine {
	m := api.MatchLine{Line: line}
	from, to := 0, len(text)
	if to > maxShown {
		m.Cut = true
		if len(at) > 0 {
			from = max(0, min(at[0].start, len(text))-maxShown/4)
		}
		to = min(len(text), from+maxShown)
		for from < to && !utf8.RuneStart(text[from]) {
			from++
		}
		for to < len(text) && to > from && !utf8.RuneStart(text[to]) {
			to--
		}
	}
	part := text[from:to]
	var in []span
	for _, a := range at[:min(len(at), maxMarks)] {
		a.start, a.end = max(a.start-from, 0), min(a.end-from, len(part))
		if a.start < a.end {
			in = append(in, a)
		}
	}
	m.Marks = marks(part, in)
	m.Text = strings.ToValidUTF8(part, "\uFFFD")
	if len(m.Text) != len(part) {
		m.Marks = []api.TextMark{} // counted in other bytes than are shown
	}
	return m
}
