package jsonl_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"catamaran/internal/agent/jsonl"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair connects two peers and runs both until the test ends.
func pair(t *testing.T, a, b jsonl.Options) (*jsonl.Peer, *jsonl.Peer) {
	t.Helper()
	ar, bw := io.Pipe()
	br, aw := io.Pipe()
	a.Reader, a.Writer, b.Reader, b.Writer = ar, aw, br, bw
	return start(t, a), start(t, b)
}

func start(t *testing.T, o jsonl.Options) *jsonl.Peer {
	t.Helper()
	if o.Handle == nil {
		o.Handle = func(m jsonl.Message) { t.Errorf("unexpected message %+v", m) }
	}
	p, err := jsonl.New(o)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = p.Run(context.Background()) })
	t.Cleanup(func() { _ = p.Close(); wg.Wait() })
	return p
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestBothEndsCall(t *testing.T) {
	t.Parallel()
	for _, bare := range []bool{false, true} {
		t.Run(fmt.Sprintf("bare=%v", bare), func(t *testing.T) {
			t.Parallel()
			var a, b *jsonl.Peer
			var ready sync.WaitGroup
			ready.Add(1)
			echo := func(p **jsonl.Peer) func(jsonl.Message) {
				return func(m jsonl.Message) {
					ready.Wait()
					if m.Method == "fail" {
						_ = (*p).RespondError(m.ID, jsonl.CodeInvalidParams, "no")
						return
					}
					_ = (*p).Respond(m.ID, m.Params)
				}
			}
			a, b = pair(t, jsonl.Options{Bare: bare, Handle: echo(&a)}, jsonl.Options{Bare: bare, Handle: echo(&b)})
			ready.Done()
			var wg sync.WaitGroup
			for _, p := range []*jsonl.Peer{a, b} {
				for i := range 50 {
					wg.Go(func() {
						want := fmt.Sprintf(`{"n":%d}`, i)
						got, err := p.Call(deadline(t), "echo", json.RawMessage(want))
						if err != nil || string(got) != want {
							t.Errorf("echo = %s, %v; want %s", got, err, want)
						}
					})
				}
			}
			wg.Wait()
			_, err := a.Call(deadline(t), "fail", nil)
			var e *jsonl.Error
			if !errors.As(err, &e) || e.Code != jsonl.CodeInvalidParams {
				t.Errorf("fail = %v; want the error answer", err)
			}
		})
	}
}

func TestWireForm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		bare bool
		want string
	}{
		{"with member", false, `{"jsonrpc":"2.0","method":"m","params":{"a":"<b>"}}`},
		{"bare", true, `{"method":"m","params":{"a":"<b>"}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, w := io.Pipe()
			in, inw := io.Pipe()
			t.Cleanup(func() { _ = inw.Close() })
			p := start(t, jsonl.Options{Reader: in, Writer: w, Bare: c.bare})
			got := make(chan string, 1)
			go func() { l, _ := bufio.NewReader(r).ReadString('\n'); got <- strings.TrimSpace(l) }()
			if err := p.Notify(deadline(t), "m", map[string]string{"a": "<b>"}); err != nil {
				t.Fatal(err)
			}
			if l := <-got; l != c.want {
				t.Errorf("wrote %s; want %s", l, c.want)
			}
		})
	}
}

// The answer must not overtake the notifications sent before it.
func TestOrderIsKept(t *testing.T) {
	t.Parallel()
	const n = 5000
	var seen []int
	in, inw := io.Pipe()
	p := start(t, jsonl.Options{Reader: in, Writer: io.Discard, Handle: func(m jsonl.Message) {
		var i int
		_ = json.Unmarshal(m.Params, &i)
		seen = append(seen, i)
	}})
	go func() {
		for i := range n {
			fmt.Fprintf(inw, `{"method":"n","params":%d}`+"\n", i)
		}
		fmt.Fprintln(inw, `{"id":0,"result":"end"}`)
	}()
	if _, err := p.Call(deadline(t), "turn", nil); err != nil {
		t.Fatal(err)
	}
	if len(seen) != n {
		t.Fatalf("%d notifications before the answer; want %d", len(seen), n)
	}
	for i, v := range seen {
		if i != v {
			t.Fatalf("notification %d is %d", i, v)
		}
	}
}

func TestSkipsGarbage(t *testing.T) {
	t.Parallel()
	long := `{"method":"long","params":"` + strings.Repeat("x", 300_000) + `"}`
	lines := []string{
		"Loading extension...", "", "{", `[1,2]`, `{}`, `{"method":7}`, `{"id":{"a":1},"method":"x"}`, long,
		`{"id":99,"result":1}`, `{"id":null,"error":{"code":1,"message":"x"}}`, "\xff\xfe", `{"jsonrpc":"2.0","method":"ok","params":{}}`,
		`{"id":"s-1","method":"ask"}`, `{"id":null,"method":"nullid"}`, `{"method":"last line without end"}`,
	}
	var got []string
	var reasons []error
	p, err := jsonl.New(jsonl.Options{
		Reader: strings.NewReader(strings.Join(lines, "\r\n")), Writer: io.Discard, MaxLine: 200_000,
		Handle: func(m jsonl.Message) { got = append(got, m.Method+string(m.ID)) },
		Garbage: func(l []byte, reason error) {
			if len(l) > jsonl.GarbageBytes {
				t.Errorf("garbage of %d bytes", len(l))
			}
			reasons = append(reasons, reason)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(context.Background()); err != nil {
		t.Errorf("Run = %v; want nil at the end of the stream", err)
	}
	if want := `[ok ask"s-1" nullid last line without end]`; fmt.Sprint(got) != want {
		t.Errorf("handled %v; want %s", got, want)
	}
	if len(reasons) != 9 {
		t.Errorf("%d garbage lines: %v; want 9", len(reasons), reasons)
	}
	if !errors.Is(reasons[6], jsonl.ErrLineTooLong) {
		t.Errorf("reason of the long line = %v", reasons[6])
	}
}

func TestLongLine(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("0123456789abcdef", 24<<16) // 24 MiB; the bound is 64, but the race detector makes every byte dear
	var size int
	p, _ := jsonl.New(jsonl.Options{
		Reader: io.MultiReader(strings.NewReader(`{"method":"m","params":"`), strings.NewReader(text), strings.NewReader("\"}\n")), Writer: io.Discard,
		Handle: func(m jsonl.Message) { size = len(m.Params) },
	})
	if err := p.Run(context.Background()); err != nil || size != len(text)+2 {
		t.Errorf("got %d bytes, %v; want %d", size, err, len(text)+2)
	}
}

func TestCallEnds(t *testing.T) {
	t.Parallel()
	t.Run("by its context, and the late answer is ignored", func(t *testing.T) {
		t.Parallel()
		in, inw := io.Pipe()
		seen := make(chan string, 1)
		p := start(t, jsonl.Options{Reader: in, Writer: io.Discard, Handle: func(m jsonl.Message) { seen <- m.Method }})
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := p.Call(ctx, "m", nil); !errors.Is(err, context.Canceled) {
			t.Errorf("Call = %v", err)
		}
		fmt.Fprintln(inw, `{"id":0,"result":1}`)
		fmt.Fprintln(inw, `{"method":"alive"}`)
		if m := <-seen; m != "alive" {
			t.Errorf("saw %s", m)
		}
	})
	t.Run("by the end of the stream", func(t *testing.T) {
		t.Parallel()
		in, inw := io.Pipe()
		p := start(t, jsonl.Options{Reader: in, Writer: io.Discard})
		go func() { _ = inw.Close() }()
		if _, err := p.Call(deadline(t), "m", nil); !errors.Is(err, jsonl.ErrClosed) {
			t.Errorf("Call = %v", err)
		}
		<-p.Done()
		if _, err := p.Call(deadline(t), "m", nil); !errors.Is(err, jsonl.ErrClosed) {
			t.Errorf("second Call = %v", err)
		}
	})
	t.Run("by Close", func(t *testing.T) {
		t.Parallel()
		in, _ := io.Pipe()
		p := start(t, jsonl.Options{Reader: in, Writer: io.Discard})
		go func() { _ = p.Close() }()
		if _, err := p.Call(deadline(t), "m", nil); !errors.Is(err, jsonl.ErrClosed) {
			t.Errorf("Call = %v", err)
		}
	})
	t.Run("by an end that stopped reading", func(t *testing.T) {
		t.Parallel()
		in, _ := io.Pipe()
		_, out := io.Pipe() // nobody reads it
		p := start(t, jsonl.Options{Reader: in, Writer: out, WriteTimeout: 20 * time.Millisecond})
		_, err := p.Call(deadline(t), "m", nil)
		if !errors.Is(err, jsonl.ErrClosed) || !errors.Is(err, jsonl.ErrWriteTimeout) {
			t.Errorf("Call = %v", err)
		}
	})
}

func TestSlowHandlerHoldsTheSender(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in, inw := io.Pipe()
		release := make(chan struct{})
		handled, sent := 0, 0
		p, err := jsonl.New(jsonl.Options{Reader: in, Writer: io.Discard, Handle: func(jsonl.Message) {
			<-release
			handled++
		}})
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for range 5000 {
				if _, err := io.WriteString(inw, `{"method":"n"}`+"\n"); err != nil {
					t.Error(err)
				}
				sent++
			}
			_ = inw.Close()
		}()
		go func() { _ = p.Run(context.Background()) }()
		synctest.Wait()
		if sent > 2 {
			t.Errorf("%d messages were taken while the first was being handled", sent)
		}
		close(release)
		<-p.Done()
		_ = p.Close()
		if handled != 5000 {
			t.Errorf("handled %d of 5000", handled)
		}
	})
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{
		"", "\n\n", `{"jsonrpc":"2.0","id":0,"result":{}}` + "\n", `{"id":"a","method":"m","params":[1]}` + "\n{\n",
		`{"id":0,"error":{"code":"x"}}`, `{"id":0,"error":5}` + "\n" + `{"id":0}`, "\x00\xff\n{\"method\":\"\\u0000\"}\n", strings.Repeat("x", 5000) + "\n{\"method\":\"m\"}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		handled, skipped := 0, 0
		p, err := jsonl.New(jsonl.Options{
			Reader: strings.NewReader(string(data)), Writer: io.Discard, MaxLine: 4096,
			Handle: func(m jsonl.Message) {
				handled++
				if m.ID != nil && !json.Valid(m.ID) {
					t.Errorf("id %q is not JSON", m.ID)
				}
				if m.Params != nil && !json.Valid(m.Params) {
					t.Errorf("params %q are not JSON", m.Params)
				}
			},
			Garbage: func([]byte, error) { skipped++ },
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Run(context.Background()); err != nil {
			t.Fatalf("Run = %v", err)
		}
		if lines := strings.Count(string(data), "\n") + 1; handled+skipped > lines {
			t.Errorf("%d handled and %d skipped of %d lines", handled, skipped, lines)
		}
	})
}
