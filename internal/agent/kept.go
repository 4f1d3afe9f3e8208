package agent

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"catamaran/internal/api"
)

// Keeper is a Driver whose agent keeps its conversations on disk, so that one begun
// elsewhere can be continued. The formats are the agents' own business: what is
// not understood is left out, and nothing of it is an error.
type Keeper interface {
	// Kept lists the conversations about a folder, newest first, at most KeptMost.
	Kept(ctx context.Context, dir string, env []string) ([]Kept, error)
	// ReadKept reads one of them; ErrNotKept where it is not there (any more).
	ReadKept(ctx context.Context, dir string, env []string, id string) (Conversation, error)
}

// KeptMost bounds a list of conversations.
const KeptMost = 200

// ErrNotKept tells that there is no such conversation.
var ErrNotKept = errors.New("no such conversation")

// Kept is a conversation an agent keeps. ID resumes it (OpenOptions.Resume).
type Kept struct {
	ID, Title string
	UpdatedAt int64 // Unix ms
	Messages  int   // 0 where counting them would cost too much
}

// Conversation is what could be read of one: user messages, agent messages,
// reasoning and tool calls in order, with their times; ids are left to the caller.
type Conversation struct {
	Kept
	Items []api.Item
	// Cut says that there are older items than those.
	Cut bool
}

// Bounds of a conversation that is read: the newest items.
const (
	keptItems = 5000
	keptBytes = 16 << 20
	// keptLine bounds a line; longer ones are left out.
	keptLine = 16 << 20
	// titleMost is how much of a message makes a title, in bytes.
	titleMost = 300
)

var keptID = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$`)

// ValidKeptID reports whether an id can be a part of a file's name.
func ValidKeptID(id string) bool { return keptID.MatchString(id) }

// Lines calls fn for each line of a file until it returns false, after most bytes
// (0: no bound), or when ctx ends. Lines that are too long are left out. The file
// must be a regular one: a pipe or a device under that name is not waited for.
func Lines(ctx context.Context, path string, most int64, fn func(line []byte) bool) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file: " + path)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var in io.Reader = f
	if most > 0 {
		in = io.LimitReader(f, most)
	}
	r := bufio.NewReaderSize(in, 256<<10)
	var long []byte
	for n := 0; ; n++ {
		if n%256 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		part, more, err := r.ReadLine()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !more && long == nil {
			if !fn(part) {
				return nil
			}
			continue
		}
		if len(long)+len(part) <= keptLine {
			long = append(long, part...)
		} else {
			long = append(long[:0], 0) // no JSON: dropped at its end
		}
		if !more {
			line := long
			long = nil
			if !fn(line) {
				return nil
			}
		}
	}
}

// Gather collects the newest items of a conversation within the bounds.
type Gather struct {
	items []api.Item
	bytes int
	cut   bool
}

// Add appends an item, whose size is about n bytes.
func (g *Gather) Add(it api.Item, n int) {
	g.items = append(g.items, it)
	g.Grew(n)
}

// Grew counts n more bytes of an item that was added before.
func (g *Gather) Grew(n int) {
	g.bytes += n
	for len(g.items) > 1 && (len(g.items) > 2*keptItems || g.bytes > 2*keptBytes) {
		// By halves, so that it costs little.
		g.drop(len(g.items) / 2)
	}
}

// Back takes the items from the nth on out again.
func (g *Gather) Back(n int) { g.items = g.items[:min(max(n, 0), len(g.items))] }

func (g *Gather) drop(n int) {
	g.items, g.cut = slices.Clone(g.items[n:]), true
	g.bytes = 0
	for i := range g.items {
		g.bytes += size(&g.items[i])
	}
}

func size(it *api.Item) int {
	n := len(it.Text)
	if it.Tool != nil {
		n += len(it.Tool.Output) + len(it.Tool.Input)
		for _, e := range it.Tool.Edits {
			n += len(e.OldText) + len(e.NewText)
		}
	}
	return n
}

// Items returns what was gathered, beginning with a user message, and whether more was left out.
func (g *Gather) Items() ([]api.Item, bool) {
	items, cut := g.items, g.cut
	total := 0
	for i := len(items) - 1; i >= 0; i-- {
		if total += size(&items[i]); total > keptBytes || len(items)-i > keptItems {
			items, cut = items[i+1:], true
			break
		}
	}
	first := slices.IndexFunc(items, func(it api.Item) bool { return it.Kind == api.ItemUserMessage })
	if first < 0 {
		return nil, cut
	}
	return items[first:], cut
}

// Len is how many items there are now.
func (g *Gather) Len() int { return len(g.items) }

// At is an item gathered before.
func (g *Gather) At(i int) *api.Item { return &g.items[i] }

// TitleOf makes a title of a message: its first line of words.
func TitleOf(text string) string {
	for line := range strings.Lines(text) {
		line = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(line, ""), func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
		if line == "" {
			continue
		}
		if len(line) > titleMost {
			line = strings.ToValidUTF8(line[:titleMost], "") + "…"
		}
		return line
	}
	return ""
}

// Millis reads a time as agents write it; 0 for anything else.
func Millis(stamp string) int64 {
	t, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil || t.Year() < 2000 || t.Year() > 2200 {
		return 0
	}
	return t.UnixMilli()
}

// Getenv returns the last value of a variable, "" for none.
func Getenv(env []string, name string) string {
	value := ""
	for _, e := range env {
		if k, v, ok := strings.Cut(e, "="); ok && k == name {
			value = v
		}
	}
	return value
}

// HomeIn returns the home directory of an environment.
func HomeIn(env []string) string {
	for _, name := range []string{"HOME", "USERPROFILE"} {
		if h := Getenv(env, name); filepath.IsAbs(h) {
			return h
		}
	}
	h, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return h
}

// Newest sorts conversations and keeps the first KeptMost.
func Newest(all []Kept) []Kept {
	slices.SortStableFunc(all, func(a, b Kept) int { return int(min(max(b.UpdatedAt-a.UpdatedAt, -1), 1)) })
	return all[:min(len(all), KeptMost)]
}
