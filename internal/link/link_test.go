package link

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"catamaran/internal/api"
)

func TestReadEnvelope(t *testing.T) {
	t.Parallel()
	const secret = "s3cret"
	long := `{"protocol":1,"env":{"A":"` + strings.Repeat("x", api.MaxEnvelopeBytes) + "\"}}\n"
	for _, c := range []struct {
		name, in string
		code     api.Code
		is       error
	}{
		{"good", `{"protocol":1,"credential":"` + secret + `","new":{"a":1}}` + "\n", "", nil},
		{"CRLF", `{"protocol":1,"credential":"` + secret + `"}` + "\r\n", "", nil},
		{"other version", `{"protocol":7,"credential":["` + secret + `"]}` + "\n", api.CodeProtocolMismatch, nil},
		{"no version", `{"credential":"` + secret + `"}` + "\n", api.CodeProtocolMismatch, nil},
		{"not JSON", `{"protocol":1,` + secret + "\n", api.CodeInvalid, nil},
		{"wrong type", `{"protocol":1,"env":"` + secret + `"}` + "\n", api.CodeInvalid, nil},
		{"not an object", `["` + secret + `"]` + "\n", api.CodeInvalid, nil},
		{"empty line", "\n", api.CodeInvalid, nil},
		{"too long", long, api.CodeTooLarge, nil},
		{"no end", `{"protocol":1`, "", io.ErrUnexpectedEOF},
		{"nothing", "", "", io.EOF},
	} {
		in := strings.NewReader(c.in + "behind")
		if c.is != nil {
			in = strings.NewReader(c.in)
		}
		env, err := ReadEnvelope(in)
		switch {
		case c.is != nil:
			if !errors.Is(err, c.is) {
				t.Errorf("%s: %v", c.name, err)
			}
		case c.code != "":
			if api.CodeOf(err) != c.code || api.AsError(err) == nil || strings.Contains(err.Error(), secret) {
				t.Errorf("%s: %v", c.name, err)
			}
		case err != nil || env.Credential != secret:
			t.Errorf("%s: %+v, %v", c.name, env, err)
		default:
			if rest, _ := io.ReadAll(in); string(rest) != "behind" {
				t.Errorf("%s: left %q", c.name, rest)
			}
		}
	}
	// A line as a relay delivers it.
	if _, err := ReadEnvelope(iotest.OneByteReader(strings.NewReader("{\"protocol\":1}\n"))); err != nil {
		t.Error(err)
	}
}

func FuzzReadEnvelope(f *testing.F) {
	for _, s := range []string{"{\"protocol\":1}\n", "{\"protocol\":2}\n", "{}\n", "\n", "x", "{\"protocol\":1,\"env\":{\"A\":1}}\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bytes.NewReader(in)
		env, err := ReadEnvelope(r)
		if err == nil && env.Protocol != api.ProtocolVersion {
			t.Fatalf("%+v", env)
		}
		if i := bytes.IndexByte(in, '\n'); i >= 0 && i < api.MaxEnvelopeBytes && r.Len() != len(in)-i-1 {
			t.Fatalf("took %d bytes of %q", len(in)-r.Len(), in)
		}
	})
}

func FuzzReadControl(f *testing.F) {
	for _, s := range []string{"{\"type\":\"ping\",\"seq\":1}\n", "{}\n", "null\n", "x\n", "{\"type\":\"goodbye\"}", strings.Repeat("a", 5000)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(in), maxControl)
		for range len(in) + 1 {
			if _, err := readControl(r); err != nil {
				return
			}
		}
		t.Fatal("never ends")
	})
}

// osPipes makes the two pipes of a link.
func osPipes(t testing.TB) (ownerR, peerW, peerR, ownerW *os.File) {
	t.Helper()
	var err error
	if ownerR, peerW, err = os.Pipe(); err != nil {
		t.Fatal(err)
	}
	if peerR, ownerW, err = os.Pipe(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, f := range []*os.File{ownerR, peerW, peerR, ownerW} {
			f.Close()
		}
	})
	return ownerR, peerW, peerR, ownerW
}

func testEnvelope() api.Envelope { return api.Envelope{Protocol: api.ProtocolVersion} }

// pair makes both ends of a link in this process.
func pair(t testing.TB, owner, peer Options) (*Session, *Session) {
	t.Helper()
	ownerR, peerW, peerR, ownerW := osPipes(t)
	accepted := make(chan *Session, 1)
	go func() {
		defer close(accepted)
		if _, err := ReadEnvelope(peerR); err != nil {
			t.Error(err)
			return
		}
		s, err := Accept(peerR, peerW, api.Hello{Version: "v"}, peer)
		if err != nil {
			t.Error(err)
			return
		}
		accepted <- s
	}()
	a, err := Connect(context.Background(), ownerR, ownerW, testEnvelope(), owner)
	if err != nil {
		t.Fatal(err)
	}
	b := <-accepted
	if b == nil {
		t.FailNow()
	}
	t.Cleanup(func() {
		a.Close()
		b.Close()
	})
	return a, b
}

func TestConnectErrors(t *testing.T) {
	t.Parallel()
	refusal := &api.Error{Code: api.CodeDatabaseOwned, Message: "owned"}
	hello := func(h api.Hello) string {
		b, _ := json.Marshal(h)
		return Marker + string(b) + "\n"
	}
	for _, c := range []struct {
		name, says string
		stays      bool
		check      func(error) bool
	}{
		{"ends at once", "", false, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"ends after noise", "command not found\n", false, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"ends in the hello", Marker + "{", false, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"noise without end", strings.Repeat("noise\n", 3000), true, func(err error) bool { return errors.Is(err, ErrNoise) }},
		{"says nothing", "", true, func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }},
		{"refuses", hello(api.Hello{Protocol: 1, Refusal: refusal}), true, func(err error) bool { return api.CodeOf(err) == api.CodeDatabaseOwned }},
		{"other version in the hello", hello(api.Hello{Protocol: 3}), true, func(err error) bool { return api.CodeOf(err) == api.CodeProtocolMismatch }},
		{"other version in the marker", "CATAMARAN-LINK/2 {}\n", true, func(err error) bool { return api.CodeOf(err) == api.CodeProtocolMismatch }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ownerR, peerW, _, ownerW := osPipes(t)
			said := make(chan struct{})
			go func() { // a pipe may hold no more than 4 KiB
				defer close(said)
				io.WriteString(peerW, c.says)
				if !c.stays {
					peerW.Close()
				}
			}()
			t.Cleanup(func() { <-said })
			var noise bytes.Buffer
			_, err := Connect(context.Background(), ownerR, ownerW, testEnvelope(),
				Options{HelloTimeout: 2 * time.Second, MaxNoise: 10_000, Noise: func(b []byte) { noise.Write(b) }})
			if err == nil || !c.check(err) {
				t.Fatalf("%v", err)
			}
			if c.name == "ends after noise" && noise.String() != c.says {
				t.Errorf("noise %q", noise.String())
			}
			for _, f := range []*os.File{ownerR, ownerW} {
				if err := f.Close(); !errors.Is(err, os.ErrClosed) {
					t.Errorf("left a pipe open: %v", err)
				}
			}
		})
	}
}

// An envelope that nobody reads blocks nothing: the hello is read beside it, and
// ctx ends the rest.
func TestConnectObeysContext(t *testing.T) {
	t.Parallel()
	cause := errors.New("mode changed")
	env := testEnvelope()
	env.Env = map[string]string{"BIG": strings.Repeat("x", 500_000)}
	for _, says := range []string{"", Marker + goodHello + "\n"} {
		ownerR, peerW, _, ownerW := osPipes(t)
		io.WriteString(peerW, says)
		ctx, cancel := context.WithCancelCause(context.Background())
		time.AfterFunc(100*time.Millisecond, func() { cancel(cause) })
		if _, err := Connect(ctx, ownerR, ownerW, env, Options{}); !errors.Is(err, cause) {
			t.Errorf("after %q: %v", says, err)
		}
	}
	env.Env["BIG"] = strings.Repeat("x", api.MaxEnvelopeBytes)
	ownerR, _, _, ownerW := osPipes(t)
	if _, err := Connect(context.Background(), ownerR, ownerW, env, Options{}); api.CodeOf(err) != api.CodeTooLarge {
		t.Errorf("too large: %v", err)
	}
}

func TestAcceptRefuses(t *testing.T) {
	t.Parallel()
	ownerR, peerW, peerR, ownerW := osPipes(t)
	refusal := &api.Error{Code: api.CodeDatabaseOwned, Message: "another backend owns the database"}
	if _, err := Accept(peerR, peerW, api.Hello{Refusal: refusal}, Options{}); api.AsError(err) != refusal {
		t.Errorf("peer: %v", err)
	}
	_, err := Connect(context.Background(), ownerR, ownerW, testEnvelope(), Options{})
	if got := api.AsError(err); got == nil || *got != *refusal {
		t.Errorf("owner: %v", err)
	}
}

func TestAcceptGivesUpWriting(t *testing.T) {
	t.Parallel()
	ownerR, peerW, peerR, _ := osPipes(t)
	// Where pipes know no deadlines a write can only be left behind.
	filled := make(chan error, 1)
	go func() {
		_, err := peerW.Write(make([]byte, 4<<20))
		filled <- err
	}()
	if _, err := ownerR.Read(make([]byte, 1)); err != nil { // the write has begun
		t.Fatal(err)
	}
	_, err := Accept(peerR, peerW, api.Hello{}, Options{HelloTimeout: 100 * time.Millisecond})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if err := <-filled; err == nil {
		t.Error("the pipe takes everything")
	}
}

func TestListenerClose(t *testing.T) {
	t.Parallel()
	a, b := pair(t, Options{}, Options{})
	waiting, err := a.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		b.Listener().Close()
	}
	if _, err := b.Listener().Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept: %v", err)
	}
	later, err := a.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{waiting, later} {
		c.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("read of a refused stream: %v", err)
		}
	}
}

func TestTooManyStreamsAreRefused(t *testing.T) {
	t.Parallel()
	a, _ := pair(t, Options{}, Options{})
	refused := make(chan struct{}, acceptQueue+50)
	for range acceptQueue + 50 {
		c, err := a.Open(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if _, err := c.Read(make([]byte, 1)); errors.Is(err, io.EOF) {
				refused <- struct{}{}
			}
		}()
	}
	for range 50 {
		<-refused
	}
}

func TestDeadlines(t *testing.T) {
	t.Parallel()
	a, b := pair(t, Options{}, Options{})
	c, err := a.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Listener().Accept(); err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %v", err)
	}
	if _, err := c.Write(make([]byte, 4<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("write: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if c, err := a.Open(ctx); err == nil {
		c.Close()
	} else if !errors.Is(err, context.Canceled) {
		t.Errorf("open: %v", err)
	}
}

func TestGoodbyeUnanswered(t *testing.T) {
	t.Parallel()
	ownerR, peerW, _, ownerW := osPipes(t)
	io.WriteString(peerW, Marker+goodHello+"\n")
	s, err := Connect(context.Background(), ownerR, ownerW, testEnvelope(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.Goodbye(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("goodbye: %v", err)
	}
	if !errors.Is(s.Err(), net.ErrClosed) {
		t.Errorf("ended with %v", s.Err())
	}
}

// stuckPipe is a pipe whose Close does not end its Read, as some terminals' are.
type stuckPipe struct{ release chan struct{} }

func (p stuckPipe) Read([]byte) (int, error) { <-p.release; return 0, io.EOF }
func (p stuckPipe) Close() error             { return nil }

func TestCloseWithStuckPipe(t *testing.T) {
	t.Parallel()
	_, peerW, _, _ := osPipes(t)
	stuck := stuckPipe{make(chan struct{})}
	defer close(stuck.release)
	s, err := Accept(stuck, peerW, api.Hello{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	s.Close()
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}
