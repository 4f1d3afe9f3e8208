package file

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"catamaran/internal/api"
	"catamaran/internal/git"
	"catamaran/internal/proc"
)

const (
	// maxRecord bounds one line of ripgrep's output; longer ones are left out.
	maxRecord = 4 << 20
	// maxGrep bounds git grep's output.
	maxGrep = 32 << 20
)

// ripgrep runs rg and reads its JSON lines as they come, so that it ends with the limit.
func (s *search) ripgrep(ctx context.Context, program string) error {
	args := []string{"--json", "--no-config", "--no-messages", "--hidden", "--no-require-git", "--crlf", "--glob=!.git", "--max-filesize=8M", "--threads=2"}
	if !s.Case {
		args = append(args, "--ignore-case")
	} else {
		args = append(args, "--case-sensitive")
	}
	if !s.Regex {
		args = append(args, "--fixed-strings")
	}
	if s.Word {
		args = append(args, "--word-regexp")
	}
	for _, g := range s.Include {
		args = append(args, "--glob="+g)
	}
	p, err := proc.Start(proc.Spec{Name: "rg", Path: program, Args: append(args, "--regexp="+s.Text, "--", "."), Dir: s.dir, Env: s.env})
	if err != nil {
		return err
	}
	defer p.Kill()
	stop := context.AfterFunc(ctx, p.Kill)
	defer stop()
	p.Stdin().Close()
	defer p.Stdout().Close()
	if err := s.readRipgrep(p.Stdout()); err != nil {
		return err
	}
	if s.out.More {
		return p.Stop(ctx, proc.Ladder{})
	}
	if err := p.Stop(ctx, proc.Ladder{CloseStdin: readWait}); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	// 1 is "nothing found"; 2 may come with results, when a file could not be read.
	if code := p.ExitCode(); code > 1 && s.out.Lines == 0 {
		if text := p.StderrTail(); text != "" {
			return &api.Error{Code: api.CodeInvalid, Message: "The search is not understood.", Details: text, Hint: "Check the pattern for names, or switch regular expressions off."}
		}
	}
	return nil
}

// rgRecord is a line of ripgrep's JSON output; "bytes" (base64) stands in the
// place of "text" for what is not UTF-8.
type rgRecord struct {
	Type string `json:"type"`
	Data struct {
		Path       rgText `json:"path"`
		Lines      rgText `json:"lines"`
		Number     int    `json:"line_number"`
		Submatches []struct {
			Start int `json:"start"`
			End   int `json:"end"`
		} `json:"submatches"`
	} `json:"data"`
}

type rgText struct {
	Text  *string `json:"text"`
	Bytes []byte  `json:"bytes"`
}

func (t rgText) string() string {
	if t.Text != nil {
		return *t.Text
	}
	return string(t.Bytes)
}

func (s *search) readRipgrep(out io.Reader) error {
	r := bufio.NewReaderSize(out, 64<<10)
	for {
		line, err := record(r)
		if len(line) > 0 {
			var m rgRecord
			if json.Unmarshal(line, &m) == nil && m.Type == "match" {
				at := make([]span, 0, len(m.Data.Submatches))
				text := m.Data.Lines.string()
				for _, sub := range m.Data.Submatches[:min(len(m.Data.Submatches), maxMarks)] {
					if sub.Start >= 0 && sub.Start < sub.End && sub.End <= len(text) {
						at = append(at, span{sub.Start, sub.End})
					}
				}
				path := strings.TrimPrefix(filepath.ToSlash(m.Data.Path.string()), "./")
				if !s.add(path, m.Data.Number, text, at) {
					return nil
				}
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read what rg found: %w", err)
		}
	}
}

// record reads a line; one that is too long is skipped and comes as an empty one.
func record(r *bufio.Reader) ([]byte, error) {
	var line []byte
	long := false
	for {
		part, err := r.ReadSlice('\n')
		if !long {
			line = append(line, part...)
			if len(line) > maxRecord {
				line, long = nil, true
			}
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// gitGrep runs git grep over tracked and new files. Not every Git has Perl's
// expressions; the older kind knows less, which is better than nothing.
func (s *search) gitGrep(ctx context.Context) error {
	kinds, text := []string{"--fixed-strings"}, s.Text
	if s.Regex {
		kinds = []string{"--perl-regexp", "--extended-regexp"}
		// A line's end is one in files of Windows too.
		if before, ok := strings.CutSuffix(text, "$"); ok && !strings.HasSuffix(before, `\`) {
			text = before + `\r?$`
		}
	}
	for i, kind := range kinds {
		args := []string{"grep", "-n", "-z", "-I", "--untracked", "--no-color", "--threads=2", kind}
		if !s.Case {
			args = append(args, "-i")
		}
		if s.Word {
			args = append(args, "-w")
		}
		args = append(args, "-e", text, "--")
		out, err := git.Run(ctx, git.Command{Dir: s.dir, Args: append(args, pathspecs(s.Include)...), Max: maxGrep})
		var e *git.Error
		if errors.As(err, &e) {
			if e.Exit == 1 && e.Stderr == "" {
				return nil // nothing found
			}
			if i+1 < len(kinds) {
				continue
			}
		}
		if err != nil {
			return err
		}
		s.readGrep(out.Stdout)
		s.out.More = s.out.More || out.Truncated
		return nil
	}
	return nil
}

// pathspecs are globs in Git's form. One without a slash means names in any folder.
func pathspecs(globs []string) []string {
	var in, out []string
	for _, g := range globs {
		g, exclude := strings.CutPrefix(g, "!")
		magic := ":(glob"
		if exclude {
			magic += ",exclude"
		}
		g, rooted := strings.CutPrefix(g, "/")
		if !rooted && !strings.Contains(strings.TrimSuffix(g, "/"), "/") {
			g = "**/" + g
		}
		if strings.HasSuffix(g, "/") {
			g += "**"
		}
		if exclude {
			out = append(out, magic+")"+g)
		} else {
			in = append(in, magic+")"+g)
		}
	}
	if len(in) == 0 && len(out) > 0 {
		in = []string{"."}
	}
	return append(in, out...)
}

// readGrep reads records of a path, a zero byte, a number, a zero byte (or a
// colon, from an older Git) and the line. A path may hold anything else.
func (s *search) readGrep(out []byte) {
	for len(out) > 0 {
		path, rest, ok := bytes.Cut(out, []byte{0})
		if !ok {
			return
		}
		n := bytes.IndexAny(rest, "\x00:")
		if n < 0 {
			return
		}
		line, err := strconv.Atoi(string(rest[:n]))
		if err != nil {
			return
		}
		text, after, ok := bytes.Cut(rest[n+1:], []byte{'\n'})
		out = after
		if !ok && len(text) == 0 {
			return
		}
		if !s.add(string(path), line, string(text), nil) {
			return
		}
	}
}

// own searches the files of a list, one after the other.
func (s *search) own(ctx context.Context, l *list, max int64) error {
	var in, out []rule
	for _, g := range s.Include {
		g, exclude := strings.CutPrefix(g, "!")
		r, ok := parseRule(g, ".")
		if !ok {
			continue
		}
		if exclude {
			out = append(out, r)
		} else {
			in = append(in, r)
		}
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return openError("", err)
	}
	defer root.Close()
	s.out.More = s.out.More || l.partial
	for i, p := range l.paths {
		if err := ctx.Err(); err != nil {
			return err
		}
		if l.flags[i]&flagFolder != 0 || len(in) > 0 && !anyRule(in, p) || anyRule(out, p) {
			continue
		}
		if !s.ownFile(root, p, max) {
			return nil
		}
	}
	return nil
}

// anyRule reports whether a path or a folder above it matches.
func anyRule(list []rule, p string) bool {
	for folder := false; ; folder = true {
		for i := range list {
			name := p[strings.LastIndexByte(p, '/')+1:]
			if list[i].matches(p, name, folder) {
				return true
			}
		}
		i := strings.LastIndexByte(p, '/')
		if i < 0 {
			return false
		}
		p = p[:i]
	}
}

func (s *search) ownFile(root *os.Root, p string, max int64) bool {
	o, err := openAt(root, s.dir, p)
	if err != nil {
		return true // gone, or not ours to read
	}
	defer o.Close()
	if o.info.IsDir() || o.info.Size() > max {
		return true
	}
	b, err := io.ReadAll(io.LimitReader(o, max))
	if err != nil || bytes.IndexByte(b[:min(len(b), sniffed)], 0) >= 0 || !matchesSomewhere(s.pattern, b) {
		return true
	}
	for n := 1; len(b) > 0; n++ {
		line, rest, _ := bytes.Cut(b, []byte{'\n'})
		line = bytes.TrimSuffix(line, []byte{'\r'})
		b = rest
		if s.pattern.Match(line) && !s.add(p, n, string(line), nil) {
			return false
		}
	}
	return true
}

// matchesSomewhere leaves files without a match out quickly; an expression that
// is about lines can only be asked line by line.
func matchesSomewhere(pattern *regexp.Regexp, b []byte) bool {
	return strings.ContainsAny(pattern.String(), "^$") || pattern.Match(b)
}
