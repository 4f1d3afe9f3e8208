//go:build unix

package term

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"catamaran/internal/api"
)

func TestShellInTheProjectsFolder(t *testing.T) {
	t.Parallel()
	b := newBed(t, "/bin/bash", "")
	info := b.open()
	w := b.attach(info.ID, nil, nil)
	w.types("echo \"[$(pwd)] [$TERM] [$COLORTERM] [$LANG] [$(tty | cut -c1-8)]\"\r")
	w.sees("[" + b.dir + "] [xterm-256color] [truecolor] [C.UTF-8] [/dev/pts]")
	if info.State != api.TerminalRunning || info.Cwd != b.dir || info.Shell != "bash" || info.Cols != 80 || info.Rows != 24 {
		t.Errorf("%+v", info)
	}
}

func TestUnknownOwnersAndSizesAreRefused(t *testing.T) {
	t.Parallel()
	b := newBed(t, "/bin/sh", "")
	b.o.Max = 2
	b.end()
	b.start()
	for name, tc := range map[string]struct {
		in   api.TerminalOpen
		want api.Code
	}{
		"no project":  {api.TerminalOpen{ProjectID: "../etc"}, api.CodeNotFound},
		"no thread":   {api.TerminalOpen{ProjectID: "p", ThreadID: "deleted"}, api.CodeNotFound},
		"huge":        {api.TerminalOpen{ProjectID: "p", Cols: 1 << 20, Rows: 1}, api.CodeInvalid},
		"negative":    {api.TerminalOpen{ProjectID: "p", Cols: -1}, api.CodeInvalid},
		"a long name": {api.TerminalOpen{ProjectID: "p", Name: strings.Repeat("n", 200)}, api.CodeInvalid},
	} {
		_, err := b.m.Open(t.Context(), "", tc.in)
		if e := api.AsError(err); e == nil || e.Code != tc.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	first, err := b.m.Open(t.Context(), "c1", api.TerminalOpen{ProjectID: "p"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.m.Open(t.Context(), "c1", api.TerminalOpen{ProjectID: "p"})
	if err != nil || again.ID != first.ID {
		t.Errorf("the same command opened %s and %s: %v", first.ID, again.ID, err)
	}
	b.open()
	if _, err := b.m.Open(t.Context(), "", api.TerminalOpen{ProjectID: "p"}); api.AsError(err) == nil || api.AsError(err).Code != api.CodeTooLarge {
		t.Errorf("a third of two: %v", err)
	}
	list, err := b.m.List(t.Context())
	if err != nil || len(list.Terminals) != 2 || list.Terminals[0].ID != first.ID {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := b.m.Attach(t.Context(), "tm_nothing", nil, nil); api.AsError(err) == nil || api.AsError(err).Code != api.CodeNotFound {
		t.Errorf("attached to nothing: %v", err)
	}
}

// numbered checks that text is the lines 0 to n-1, each once, in order.
func numbered(t *testing.T, text string, n int) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(strings.ReplaceAll(text, "\r\n", "\n"), "\n"), "\n")
	for i, l := range lines {
		if l != fmt.Sprintf("%08d", i) {
			t.Fatalf("line %d is %q", i, l)
		}
	}
	if len(lines) != n {
		t.Fatalf("%d lines, not %d", len(lines), n)
	}
}

func TestReattachWithoutGapOrRepeat(t *testing.T) {
	t.Parallel()
	const n = 400_000 // 4 MB: all of it stays in the history
	b := newBed(t, "", "count "+strconv.Itoa(n))
	info := b.open()
	rnd := rand.New(rand.NewPCG(1, 2))
	var text []byte
	seq := int64(0)
	for cut := 0; len(text) < n*10; cut++ {
		w := b.attach(info.ID, &seq, nil)
		// Not all that was sent before a disconnect was taken in.
		for take := rnd.IntN(8); take >= 0 || cut > 100; take-- {
			w.next()
			if len(text)+len(w.text) >= n*10 {
				break
			}
		}
		lost := 0
		if len(text)+len(w.text) < n*10 {
			lost = rnd.IntN(len(w.text) + 1)
		}
		text = append(text, w.text[:len(w.text)-lost]...)
		seq += int64(len(w.text) - lost)
		w.v.Close()
		if _, err := w.v.Next(t.Context(), w.buf); !errors.Is(err, io.EOF) {
			t.Fatalf("after Close: %v", err)
		}
	}
	numbered(t, string(text), n)
	// One that joins late gets all of it as a snapshot.
	w := b.attach(info.ID, nil, nil)
	w.until("synchronized", func() bool { return w.synced })
	numbered(t, string(w.text), n)
}

func TestViewersHoldTheProgram(t *testing.T) {
	t.Parallel()
	b := newBed(t, "", "yes")
	b.m.stall = time.Hour
	info := b.open()
	w := b.attach(info.ID, nil, nil)
	w.silent = true
	w.until("full window", func() bool { return w.seq >= api.TerminalWindow })
	// The reader stops by itself; the history tells where.
	term := b.m.terminals[info.ID]
	end := func() int64 { term.mu.Lock(); defer term.mu.Unlock(); return term.history.end }
	for end() < ahead {
		runtime.Gosched()
	}
	stopped := end()
	if stopped > ahead+readSize {
		t.Fatalf("%d bytes were read of a viewer's %d", stopped, ahead)
	}
	other := b.attach(info.ID, nil, nil)
	other.until("synchronized", func() bool { return other.synced })
	if end() > ahead+readSize {
		t.Error("another viewer let the program run on")
	}
	other.v.Close()
	if err := w.v.Ack(w.seq + 1); err == nil {
		t.Error("what was never sent was acknowledged")
	}
	if err := w.v.Ack(w.seq); err != nil {
		t.Fatal(err)
	}
	w.silent = false
	w.until("more", func() bool { return w.seq > stopped+1<<20 })
}

func TestStalledViewerHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	b := newBed(t, "", "yes")
	b.m.stall = 100 * time.Millisecond
	info := b.open()
	frozen := b.attach(info.ID, nil, nil)
	frozen.silent = true
	frozen.until("full window", func() bool { return frozen.seq >= api.TerminalWindow })
	w := b.attach(info.ID, nil, nil)
	w.until("more than is kept", func() bool {
		w.text = w.text[:0]
		return w.seq > 2*api.TerminalHistory
	})
	// The frozen one wakes up: it begins anew, once.
	if err := frozen.v.Ack(frozen.seq); err != nil {
		t.Fatal(err)
	}
	if p := frozen.next(); p.Kind != PieceResync {
		t.Fatalf("%+v", p)
	}
	if _, err := frozen.v.Next(t.Context(), frozen.buf); !errors.Is(err, io.EOF) {
		t.Fatalf("after a resync: %v", err)
	}
	anew := b.attach(info.ID, &frozen.seq, nil)
	if p := anew.next(); p.Kind != PieceSnapshot || !p.View.Truncated || p.Seq <= frozen.seq {
		t.Fatalf("%+v", p)
	}
}

func TestNobodyLooksAndItGoesOn(t *testing.T) {
	t.Parallel()
	const n = 1_200_000 // 12 MB, more than is kept
	b := newBed(t, "", "count "+strconv.Itoa(n))
	info := b.open()
	term := b.m.terminals[info.ID]
	for deadline := time.Now().Add(patience); ; runtime.Gosched() {
		term.mu.Lock()
		end := term.history.end
		term.mu.Unlock()
		size := b.m.Held()
		if size > api.TerminalHistory {
			t.Fatalf("%d bytes are kept", size)
		}
		if end == n*10 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d bytes", end, n*10)
		}
	}
	tail := int64(100_000)
	w := b.attach(info.ID, nil, &tail)
	w.until("synchronized", func() bool { return w.synced })
	if len(w.text) > 100_000 || len(w.text) < 99_000 || len(w.text)%10 != 0 || !strings.HasSuffix(string(w.text), fmt.Sprintf("%08d\r\n", n-1)) {
		t.Fatalf("%d bytes: %q", len(w.text), w.text[:30])
	}
	if !w.first.View.Truncated {
		t.Error("not said to be truncated")
	}
}

var pidLine = regexp.MustCompile(`pid (\w+ )?(\d+)`)

func TestCloseKillsTheTree(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has a guard")
	}
	b := newBed(t, "", "tree parent")
	info := b.open()
	w := b.attach(info.ID, nil, nil)
	w.until("three processes", func() bool { return len(pidLine.FindAllString(string(w.text), -1)) == 3 })
	for _, m := range pidLine.FindAllStringSubmatch(string(w.text), -1) {
		pid, _ := strconv.Atoi(m[2])
		if err := syscall.Kill(pid, 0); err != nil {
			t.Fatalf("%s ended by itself: %v", m[0], err)
		}
	}
	if _, err := b.m.Close(t.Context(), api.TerminalRef{TerminalID: info.ID}); err != nil {
		t.Fatal(err)
	}
	for _, m := range pidLine.FindAllStringSubmatch(string(w.text), -1) {
		pid, _ := strconv.Atoi(m[2])
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("%s is still there: %v", m[0], err)
		}
	}
	for {
		if _, err := w.v.Next(t.Context(), w.buf); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			break
		}
	}
	left, _ := os.ReadDir(b.o.Dir)
	if len(left) > 0 {
		t.Errorf("files are left: %v", left)
	}
}

func TestExitIsTold(t *testing.T) {
	t.Parallel()
	b := newBed(t, "", "exit 3")
	info := b.open()
	w := b.attach(info.ID, nil, nil)
	w.state("exit", func(i api.Terminal) bool { return i.State == api.TerminalExited })
	w.sees("bye")
	if i := w.last.Terminal; i.ExitCode == nil || *i.ExitCode != 3 || i.Signal != "" || i.EndedAt == 0 {
		t.Errorf("%+v", i)
	}
	w.types("nobody reads this")
	if _, err := b.m.Restart(t.Context(), api.TerminalRef{TerminalID: info.ID}); err != nil {
		t.Fatal(err)
	}
	w.state("another exit", func(i api.Terminal) bool {
		return i.State == api.TerminalExited && strings.Count(string(w.text), "bye") == 2
	})
}

func TestFocusedViewerOwnsTheSize(t *testing.T) {
	t.Parallel()
	b := newBed(t, "/bin/bash", "")
	info := b.open()
	one, two := b.attach(info.ID, nil, nil), b.attach(info.ID, nil, nil)
	size := func(w *watcher, cols, rows int, focused bool) {
		t.Helper()
		if err := w.v.Resize(cols, rows, focused); err != nil {
			t.Fatal(err)
		}
	}
	stty := func(want string) {
		t.Helper()
		one.types("stty size\r")
		one.sees(want)
	}
	size(one, 100, 30, false)
	size(two, 90, 20, false) // nobody is focused: the first one's
	stty("30 100")
	size(two, 90, 20, true)
	stty("20 90")
	one.state("another owner", func(api.Terminal) bool { return !one.last.Owner && one.last.Terminal.Cols == 90 })
	two.state("own size", func(api.Terminal) bool { return two.last.Owner })
	size(two, 91, 21, false) // no longer in it, and nobody else is
	stty("21 91")
	size(one, 101, 31, true)
	stty("31 101")
	one.v.Close()
	two.state("own size again", func(i api.Terminal) bool { return two.last.Owner && i.Cols == 91 && i.Rows == 21 })
	if err := two.v.Resize(0, 10, true); err == nil {
		t.Error("no columns were taken")
	}
}

func TestInputIsHeldBackNotLost(t *testing.T) {
	t.Parallel()
	b := newBed(t, "", "sink")
	info := b.open()
	w := b.attach(info.ID, nil, nil)
	w.until("pid", func() bool {
		return pidLine.Match(w.text) && strings.HasSuffix(string(w.text), "\r\n") || strings.HasSuffix(string(w.text), "\n")
	})
	pid, _ := strconv.Atoi(pidLine.FindStringSubmatch(string(w.text))[2])
	const total = 1_000_000
	chunk := strings.Repeat("x", 16<<10)
	window := 0
	for window+len(chunk) <= api.TerminalInput {
		w.types(chunk)
		window += len(chunk)
	}
	// The program reads nothing; only what fits its queue was taken.
	if err := w.v.Type(w.typed, []byte(strings.Repeat("x", 16<<10))); api.AsError(err) == nil || api.AsError(err).Code != api.CodeTooLarge {
		t.Fatalf("more than the window: %v", err)
	}
	if err := w.v.Type(w.typed+1, []byte("x")); err == nil {
		t.Fatal("a gap in the input was taken")
	}
	syscall.Kill(pid, syscall.SIGUSR1)
	taken := int64(0)
	for w.typed < total {
		for w.typed < total && w.typed-taken+int64(len(chunk)) <= api.TerminalInput {
			w.types(chunk[:min(len(chunk), total-int(w.typed))])
		}
		if w.typed < total {
			if p := w.next(); p.Kind == PieceTaken {
				taken = p.Seq
			}
		}
	}
	w.sees("read 1000000.")
}

func TestTitleAndBusy(t *testing.T) {
	t.Parallel()
	b := newBed(t, "/bin/bash", "")
	info := b.open()
	w := b.attach(info.ID, nil, nil)
	w.types("printf '\\033]0;a ti\\033]2;tle\\a'; cat\r")
	w.state("busy", func(i api.Terminal) bool {
		return i.Busy && i.Title == "tle" && (i.Foreground == "cat" || runtime.GOOS != "linux")
	})
	w.types("\x03")
	w.state("idle", func(i api.Terminal) bool { return !i.Busy && i.Foreground == "" })
	// The watchers of the list heard it too, and a name is a name.
	if _, err := b.m.Rename(t.Context(), api.TerminalRename{TerminalID: info.ID, Name: " build\x1b "}); err != nil {
		t.Fatal(err)
	}
	w.state("name", func(i api.Terminal) bool { return i.Name == "build" })
	list, news, err := b.m.Watch(t.Context())
	if err != nil || list.Terminals[0].Name != "build" || list.Terminals[0].Title != "tle" {
		t.Fatalf("%+v, %v", list, err)
	}
	b.open()
	select {
	case <-news:
	case <-time.After(patience):
		t.Error("nobody was told of another terminal")
	}
}

func TestHistorySurvivesTheBackend(t *testing.T) {
	t.Parallel()
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprintf("killed=%v", killed), func(t *testing.T) {
			t.Parallel()
			const n = 1_000_000 // 10 MB: the file's ring goes round
			b := newBed(t, "", "count "+strconv.Itoa(n))
			info := b.open()
			w := b.attach(info.ID, nil, nil)
			w.until("the end", func() bool { return w.seq == n*10 })
			if killed {
				// What a killed backend leaves is what the last save left: "running", no hang-up.
				if err := b.m.terminals[info.ID].save(); err != nil {
					t.Fatal(err)
				}
				keep := t.TempDir()
				if err := os.CopyFS(keep, os.DirFS(b.o.Dir)); err != nil {
					t.Fatal(err)
				}
				b.end()
				b.o.Dir = keep
			} else {
				b.end()
			}
			b.start()
			list, err := b.m.List(t.Context())
			if err != nil || len(list.Terminals) != 1 || list.Terminals[0].State != api.TerminalLost {
				t.Fatalf("%+v, %v", list, err)
			}
			w = b.attach(info.ID, nil, nil)
			w.until("synchronized", func() bool { return w.synced })
			text := string(w.text)
			if w.seq != n*10 || !strings.HasSuffix(text, fmt.Sprintf("%08d\r\n", n-1)) || len(text) < api.TerminalHistory-lineSearch {
				t.Fatalf("%d bytes up to %d, at the end %q", len(text), w.seq, text[max(0, len(text)-40):])
			}
			from, _ := strconv.Atoi(text[:8])
			for i, l := range strings.Split(strings.TrimSuffix(text, "\r\n"), "\r\n") {
				if l != fmt.Sprintf("%08d", from+i) {
					t.Fatalf("line %d is %q", from+i, l)
				}
			}
			// The numbers go on below it.
			if _, err := b.m.Restart(t.Context(), api.TerminalRef{TerminalID: info.ID}); err != nil {
				t.Fatal(err)
			}
			w.until("another run", func() bool { return w.seq > 2*n*10 })
			if w.last.Terminal.State != api.TerminalRunning {
				t.Errorf("%+v", w.last.Terminal)
			}
			st, err := os.Stat(filepath.Join(b.o.Dir, info.ID+".history"))
			if err != nil || !killed && st.Mode().Perm() != 0o600 || st.Size() > api.TerminalHistory+headSize {
				t.Errorf("%+v, %v", st, err)
			}
		})
	}
}

func TestForgetAndOrphans(t *testing.T) {
	t.Parallel()
	b := newBed(t, "/bin/sh", "")
	keep := b.open()
	mine, err := b.m.Open(t.Context(), "", api.TerminalOpen{ProjectID: "p", ThreadID: "t"})
	if err != nil {
		t.Fatal(err)
	}
	b.m.Forget(t.Context(), "", "t")
	list, err := b.m.List(t.Context())
	if err != nil || len(list.Terminals) != 1 || list.Terminals[0].ID != keep.ID {
		t.Fatalf("%+v, %v", list, err)
	}
	if _, err := b.m.Attach(t.Context(), mine.ID, nil, nil); err == nil {
		t.Error("a deleted thread's terminal is there")
	}
	b.end()
	// The next backend does not know the project any more; damaged and stray files go too.
	for name, content := range map[string]string{"tm_broken.json": "{", "tm_stray.history": "x", "tm_other.json": `{"terminal":{"id":"tm_third","projectId":"p"}}`} {
		if err := os.WriteFile(filepath.Join(b.o.Dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.o.Folder = func(ctx, string, string) (string, error) { return "", errGone }
	b.start()
	list, err = b.m.List(t.Context())
	if err != nil || len(list.Terminals) != 0 {
		t.Fatalf("%+v, %v", list, err)
	}
	if left, _ := os.ReadDir(b.o.Dir); len(left) > 0 {
		t.Errorf("files are left: %v", left)
	}
}

func TestModesAreRestored(t *testing.T) {
	t.Parallel()
	b := newBed(t, "/bin/bash", "")
	info := b.open()
	w := b.attach(info.ID, nil, nil)
	// Modes set before more output than is kept.
	w.types("printf '\\033[?1049h\\033[?1006;1002h\\033[?25l'; head -c 9000000 /dev/zero | tr '\\0' 'z'; echo d''one\r")
	w.until("all of it", func() bool { return strings.Contains(string(w.text[max(0, len(w.text)-100):]), "done\r\n") })
	late := b.attach(info.ID, nil, nil)
	if p := late.next(); p.Kind != PieceSnapshot || p.View.Preamble != "\x1b[?25l\x1b[?1002h\x1b[?1006h\x1b[?1049h" {
		t.Fatalf("%+v", p)
	}
}
