package checkpoint

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"catamaran/internal/api"
)

var errList = errors.New("git printed a list of changes that is not understood")

// parseRaw reads the output of diff-tree -z --raw --numstat: first all raw
// entries, then the numbers, each with its name; a file of which only white space
// that does not count has changed has none.
func parseRaw(b []byte) ([]entry, error) {
	next := func() (string, bool) {
		field, rest, ok := bytes.Cut(b, []byte{0})
		if ok {
			b = rest
		}
		return string(field), ok
	}
	path := func(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
	var files []entry
	at := map[string]int{}
	for len(b) > 0 && b[0] == ':' {
		head, _ := next()
		f := strings.Fields(head[1:]) // mode mode id id status
		name, ok := next()
		if len(f) != 5 || f[4] == "" || name == "" || !ok {
			return files, errList
		}
		e := entry{ChangedFile: api.ChangedFile{Path: path(name)}, raw: name, oldMode: f[0], newMode: f[1], oldID: f[2], newID: f[3]}
		switch f[4][0] {
		case 'A':
			e.Status = api.FileAdded
		case 'D':
			e.Status = api.FileDeleted
		case 'R', 'C':
			e.Status, e.OldPath, e.rawOld = api.FileRenamed, e.Path, name
			if name, ok = next(); !ok || name == "" {
				return files, errList
			}
			e.Path, e.raw = path(name), name
		case 'T':
			// A file in the place of a link: shown as removed and added.
			e.Status, e.typeChange = api.FileModified, true
		default:
			e.Status = api.FileModified
			if f[2] == f[3] {
				e.Status = api.FileMode
			}
		}
		at[e.raw] = len(files)
		files = append(files, e)
	}
	for len(b) > 0 {
		head, ok := next()
		f := strings.SplitN(head, "\t", 3)
		if !ok || len(f) != 3 {
			return files, errList
		}
		name := f[2]
		if name == "" { // a rename: both names follow
			next()
			name, _ = next()
		}
		i, known := at[name]
		if !known {
			continue
		}
		if f[0] == "-" {
			files[i].Binary = true
			continue
		}
		a, errA := strconv.Atoi(f[0])
		d, errD := strconv.Atoi(f[1])
		if errA != nil || errD != nil {
			return files, errList
		}
		files[i].Additions += a
		files[i].Deletions += d
	}
	return files, nil
}

// splitPatch cuts the output of diff-tree -p into its sections. Every line of
// content begins with a space, a sign or a backslash, so a section's first line
// cannot be mistaken.
func splitPatch(b []byte) [][]byte {
	marker := []byte("diff --git ")
	var starts []int
	for at := 0; at < len(b); {
		if bytes.HasPrefix(b[at:], marker) {
			starts = append(starts, at)
		}
		n := bytes.IndexByte(b[at:], '\n')
		if n < 0 {
			break
		}
		at += n + 1
	}
	sections := make([][]byte, len(starts))
	for i, at := range starts {
		end := len(b)
		if i+1 < len(starts) {
			end = starts[i+1]
		}
		sections[i] = b[at:end]
	}
	return sections
}

// hunks returns a section from its first hunk on.
func hunks(section []byte) []byte {
	if i := bytes.Index(section, []byte("\n@@ ")); i >= 0 {
		return section[i+1:]
	}
	return nil
}

// budget is how much of a file's hunks one answer takes: skip lines left out at
// their beginning, then at most lines and bytes, though one line at least.
type budget struct{ skip, lines, bytes int }

// lineMost bounds one line of an answer; a longer one is cut, which is told in it.
const lineMost = 20_000

// parseHunks reads hunks as git prints them. next is the skip that goes on where
// the budget ended, 0 at the end; used is about how many bytes the answer takes.
func parseHunks(b []byte, left budget) (list []api.DiffHunk, next, used int) {
	seen := 0
	var h *api.DiffHunk // the hunk being read, with numbers of its next line
	var oldAt, newAt int
	for len(b) > 0 {
		line := b
		if n := bytes.IndexByte(b, '\n'); n >= 0 {
			line, b = b[:n], b[n+1:]
		} else {
			b = nil
		}
		if len(line) == 0 {
			continue
		}
		switch line[0] {
		case '@':
			head, ok := parseHead(line)
			if !ok {
				return numbered(list), 0, used
			}
			oldAt, newAt = head.OldStart, head.NewStart
			// A side without lines is given the number of the line before.
			if head.OldLines == 0 {
				oldAt++
			}
			if head.NewLines == 0 {
				newAt++
			}
			h = &api.DiffHunk{Section: head.Section}
			continue
		case ' ', '+', '-':
		case '\\':
			if h != nil && len(h.Lines) > 0 {
				switch h.Lines[len(h.Lines)-1][0] {
				case '-':
					h.OldNoNewline = true
				case '+':
					h.NewNoNewline = true
				default:
					h.OldNoNewline, h.NewNoNewline = true, true
				}
				list[len(list)-1] = *h
			}
			continue
		default:
			continue
		}
		if h == nil {
			continue
		}
		if seen++; seen > left.skip {
			if left.lines == 0 || left.bytes <= 0 {
				return numbered(list), seen - 1, used
			}
			if len(h.Lines) == 0 {
				h.OldStart, h.NewStart = oldAt, newAt
				list = append(list, *h)
			}
			text := line
			if len(text) > lineMost {
				text = append(append([]byte(nil), text[:lineMost]...), "\u2026 (cut)"...)
			}
			h.Lines = append(h.Lines, strings.ToValidUTF8(string(text), "\uFFFD"))
			if line[0] != '+' {
				h.OldLines++
			}
			if line[0] != '-' {
				h.NewLines++
			}
			list[len(list)-1] = *h
			left.lines--
			left.bytes -= len(text) + 8
			used += len(text) + 8
		}
		if line[0] != '+' {
			oldAt++
		}
		if line[0] != '-' {
			newAt++
		}
	}
	return numbered(list), 0, used
}

// numbered gives an empty side the number of the line before it, as Git does.
func numbered(list []api.DiffHunk) []api.DiffHunk {
	for i := range list {
		if list[i].OldLines == 0 {
			list[i].OldStart--
		}
		if list[i].NewLines == 0 {
			list[i].NewStart--
		}
	}
	return list
}

// parseHead reads "@@ -1,2 +3,4 @@ section".
func parseHead(line []byte) (api.DiffHunk, bool) {
	var h api.DiffHunk
	rest, ok := strings.CutPrefix(strings.TrimRight(strings.ToValidUTF8(string(line), "\uFFFD"), "\r"), "@@ -")
	if !ok {
		return h, false
	}
	ranges, section, ok := strings.Cut(rest, " @@")
	from, to, ok2 := strings.Cut(ranges, " +")
	if !ok || !ok2 {
		return h, false
	}
	number := func(s string, start, lines *int) bool {
		a, b, two := strings.Cut(s, ",")
		var err error
		if *start, err = strconv.Atoi(a); err != nil || *start < 0 {
			return false
		}
		*lines = 1
		if two {
			if *lines, err = strconv.Atoi(b); err != nil || *lines < 0 {
				return false
			}
		}
		return true
	}
	if !number(from, &h.OldStart, &h.OldLines) || !number(to, &h.NewStart, &h.NewLines) {
		return h, false
	}
	h.Section = strings.TrimSpace(section)
	if len(h.Section) > 200 {
		h.Section = strings.ToValidUTF8(h.Section[:200], "")
	}
	return h, true
}

// recent keeps the patch of the long file that is being paged through, so that
// the next page does not have it made again.
type recent struct {
	mu       sync.Mutex
	key      string
	sections map[int][]byte
	timer    *time.Timer
}

const (
	// recentLeast and recentMost are the sizes worth keeping, in bytes; recentAge is for how long.
	recentLeast = 256 << 10
	recentMost  = 64 << 20
	recentAge   = 20 * time.Second
)

func (r *recent) get(key string) (map[int][]byte, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.key != key || r.sections == nil {
		return nil, false
	}
	r.timer.Reset(recentAge)
	return r.sections, true
}

func (r *recent) put(key string, sections map[int][]byte, size int) {
	if size < recentLeast || size > recentMost {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.key, r.sections = key, sections
	if r.timer == nil {
		r.timer = time.AfterFunc(recentAge, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.key, r.sections = "", nil
		})
	}
	r.timer.Reset(recentAge)
}
