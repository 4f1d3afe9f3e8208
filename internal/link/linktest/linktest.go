// Package linktest is the conformance suite of package link: it plays the owner
// on any byte pipe at whose other end Peer or PeerMain runs, in the same process
// or as a program behind any number of relays. Only tests import it.
package linktest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/link"
)

// Heartbeats are quick, so that several pass in a test; being lost is not, so
// that a busy machine fails none.
const (
	heartbeat = 50 * time.Millisecond
	lost      = 30 * time.Second
	patience  = time.Minute
)

// End is one fresh peer as the owner sees it.
type End struct {
	R io.ReadCloser // the peer's output
	W io.WriteCloser
	// Wait waits for the peer's end and returns one of the End values; nil where
	// the transport hides it.
	Wait func() int
}

// Config says what is tested.
type Config struct {
	// Start starts a peer. It registers its own clean-up with t.
	Start func(t *testing.T) End
	// Bulk is the size of bulk transfers in bytes; 0 means 4 MiB. Smaller for
	// transports that move single bytes.
	Bulk int64
}

// Run runs the whole suite.
func Run(t *testing.T, c Config) {
	if c.Bulk == 0 {
		c.Bulk = 4 << 20
	}
	for _, test := range []struct {
		name string
		run  func(*testing.T, Config)
	}{
		{"Hello", testHello}, {"EchoSizes", testEchoSizes}, {"Bulk", testBulk}, {"BothWays", testBothWays},
		{"UnreadStreams", testUnreadStreams}, {"ManyStreams", testManyStreams}, {"PeerOpens", testPeerOpens},
		{"Heartbeat", testHeartbeat}, {"StrayPrint", testStrayPrint}, {"CloseEndsRead", testCloseEndsRead},
		{"OwnerGoodbye", testOwnerGoodbye}, {"PeerGoodbye", testPeerGoodbye}, {"BothGoodbye", testBothGoodbye},
		{"OwnerVanishes", testOwnerVanishes}, {"PeerDies", testPeerDies}, {"Mismatch", testMismatch},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, c)
		})
	}
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func envelope() api.Envelope {
	return api.Envelope{Protocol: api.ProtocolVersion, Credential: "one-time", Environment: "test:1",
		Env: map[string]string{"KEY": strings.Repeat("value ", 500)}}
}

func connect(t *testing.T, c Config) (*link.Session, End) {
	t.Helper()
	end := c.Start(t)
	s, err := link.Connect(within(t), end.R, end.W, envelope(), link.Options{Heartbeat: heartbeat, Lost: lost})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, end
}

func open(t *testing.T, s *link.Session, what string) net.Conn {
	t.Helper()
	conn, err := s.Open(within(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, what+"\n"); err != nil {
		t.Fatal(err)
	}
	return conn
}

func (e End) expect(t *testing.T, want int) {
	t.Helper()
	if e.Wait == nil {
		return
	}
	got := make(chan int, 1)
	go func() { got <- e.Wait() }()
	select {
	case code := <-got:
		if code != want {
			t.Errorf("the peer ended with %d, want %d", code, want)
		}
	case <-time.After(patience):
		t.Errorf("the peer is still there")
	}
}

func isDone(t *testing.T, s *link.Session, want error) {
	t.Helper()
	select {
	case <-s.Done():
	case <-time.After(patience):
		t.Fatal("the session is not over")
	}
	if !errors.Is(s.Err(), want) {
		t.Errorf("the session ended with %v, want %v", s.Err(), want)
	}
}

// echo sends n bytes and checks that they come back.
func echo(c net.Conn, n int) error {
	want := make([]byte, n)
	(&Pattern{at: n}).Read(want)
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(want)
		sent <- err
	}()
	got := make([]byte, n)
	if _, err := io.ReadFull(c, got); err != nil {
		return fmt.Errorf("echo of %d bytes: %w", n, err)
	}
	if string(got) != string(want) {
		return fmt.Errorf("echo of %d bytes came back changed", n)
	}
	return <-sent
}

func testHello(t *testing.T, c Config) {
	s, _ := connect(t, c)
	if h := s.Hello(); h.Version != "linktest" || h.EnvironmentID != "test:1" || h.PID == 0 || h.Protocol != api.ProtocolVersion {
		t.Errorf("%+v", h)
	}
}

func testEchoSizes(t *testing.T, c Config) {
	s, _ := connect(t, c)
	conn := open(t, s, "echo")
	for _, n := range []int{1, 2, 11, 12, 13, 4083, 4095, 4096, 4097, 65535, 65536, 65537, 262144, 262145, 1<<20 + 1} {
		if int64(n) > c.Bulk {
			break
		}
		if err := echo(conn, n); err != nil {
			t.Fatal(err)
		}
	}
}

// push sends n bytes to a sink and checks its sum.
func push(c net.Conn, n int64) error {
	sum := crc32.NewIEEE()
	if _, err := io.Copy(io.MultiWriter(c, sum), io.LimitReader(&Pattern{}, n)); err != nil {
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return err
	}
	if got, _ := strconv.ParseUint(strings.TrimSpace(line), 10, 64); uint32(got) != sum.Sum32() {
		return errors.New("the sink got something else")
	}
	return nil
}

// pull reads a source of n bytes to its end.
func pull(c net.Conn, n int64) error {
	want, got := crc32.NewIEEE(), crc32.NewIEEE()
	io.Copy(want, io.LimitReader(&Pattern{}, n))
	read, err := io.Copy(got, c)
	if err != nil {
		return err
	}
	if read != n || got.Sum32() != want.Sum32() {
		return fmt.Errorf("%d of %d bytes, or changed ones", read, n)
	}
	return nil
}

func testBulk(t *testing.T, c Config) {
	s, _ := connect(t, c)
	if err := push(open(t, s, fmt.Sprintf("sink %d", c.Bulk)), c.Bulk); err != nil {
		t.Errorf("up: %v", err)
	}
	if err := pull(open(t, s, fmt.Sprintf("source %d", c.Bulk)), c.Bulk); err != nil {
		t.Errorf("down: %v", err)
	}
}

func testBothWays(t *testing.T, c Config) {
	s, _ := connect(t, c)
	errs := make(chan error, 4)
	for range 2 {
		up, down := open(t, s, fmt.Sprintf("sink %d", c.Bulk)), open(t, s, fmt.Sprintf("source %d", c.Bulk))
		go func() { errs <- push(up, c.Bulk) }()
		go func() { errs <- pull(down, c.Bulk) }()
	}
	for range 4 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// Streams that are full because nobody reads them, on either side, stall
// neither each other nor calls.
func testUnreadStreams(t *testing.T, c Config) {
	s, _ := connect(t, c)
	each := 10 // each way
	if c.Bulk < 1<<20 {
		each = 1 // they take a megabyte each before they are full
	}
	var writers sync.WaitGroup
	stalled := make(chan int, each)
	for i := range each {
		open(t, s, "source 1000000000")
		deaf := open(t, s, "deaf")
		deaf.SetDeadline(time.Time{})
		writers.Go(func() {
			n, err := io.Copy(deaf, io.LimitReader(&Pattern{}, 1<<30))
			if err == nil || n > 4<<20 {
				t.Errorf("deaf stream %d took %d bytes: %v", i, n, err)
			}
			stalled <- i
		})
	}
	conn := open(t, s, "echo")
	for range 50 {
		if err := echo(conn, 200); err != nil {
			t.Fatal(err)
		}
	}
	if err := pull(open(t, s, fmt.Sprintf("source %d", c.Bulk/4)), c.Bulk/4); err != nil {
		t.Errorf("a source beside them: %v", err)
	}
	if len(stalled) > 0 {
		t.Error("a stream that is not read took everything")
	}
	s.Close()
	writers.Wait()
}

func testManyStreams(t *testing.T, c Config) {
	s, _ := connect(t, c)
	var calls sync.WaitGroup
	for range 8 {
		calls.Go(func() {
			for range 25 {
				conn, err := s.Open(within(t))
				if err != nil {
					t.Error(err)
					return
				}
				if _, err = io.WriteString(conn, "echo\n"); err == nil {
					err = echo(conn, 100)
				}
				conn.Close()
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	calls.Wait()
}

func testPeerOpens(t *testing.T, c Config) {
	s, _ := connect(t, c)
	open(t, s, "back")
	conn, err := s.Listener().Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	got, err := io.ReadAll(conn)
	if err != nil || string(got) != "hello from the peer" {
		t.Errorf("%q, %v", got, err)
	}
}

func testHeartbeat(t *testing.T, c Config) {
	s, _ := connect(t, c)
	conn := open(t, s, "echo")
	for end := time.Now().Add(patience); s.RTT() == 0; {
		if err := echo(conn, 10); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(end) {
			t.Fatal("no heartbeat came back")
		}
	}
}

func testStrayPrint(t *testing.T, c Config) {
	s, _ := connect(t, c)
	for range 3 {
		got, err := io.ReadAll(open(t, s, "print"))
		if err != nil || string(got) != "printed" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if err := echo(open(t, s, "echo"), 1000); err != nil {
		t.Error(err)
	}
}

func testCloseEndsRead(t *testing.T, c Config) {
	s, _ := connect(t, c)
	conn := open(t, s, "deaf")
	ended := make(chan error, 1)
	go func() {
		_, err := conn.Read(make([]byte, 1))
		ended <- err
	}()
	conn.Close()
	select {
	case err := <-ended:
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("read: %v", err)
		}
	case <-time.After(patience):
		t.Error("a read outlives its stream")
	}
	if _, err := conn.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write: %v", err)
	}
}

func testOwnerGoodbye(t *testing.T, c Config) {
	s, end := connect(t, c)
	conn := open(t, s, "deaf")
	if err := s.Goodbye(within(t)); err != nil {
		t.Fatal(err)
	}
	isDone(t, s, link.ErrGoodbye)
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, link.ErrGoodbye) {
		t.Errorf("read after it: %v", err)
	}
	if _, err := s.Open(within(t)); err == nil {
		t.Error("opened a stream after it")
	}
	if _, err := s.Listener().Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept after it: %v", err)
	}
	end.expect(t, EndGoodbye)
}

func testPeerGoodbye(t *testing.T, c Config) {
	s, end := connect(t, c)
	open(t, s, "goodbye")
	isDone(t, s, link.ErrGoodbye)
	end.expect(t, EndGoodbye)
}

func testBothGoodbye(t *testing.T, c Config) {
	s, end := connect(t, c)
	open(t, s, "goodbye")
	if err := s.Goodbye(within(t)); err != nil {
		t.Error(err)
	}
	isDone(t, s, link.ErrGoodbye)
	end.expect(t, EndGoodbye)
}

func testOwnerVanishes(t *testing.T, c Config) {
	s, end := connect(t, c)
	open(t, s, "source 1000000000")
	s.Close()
	isDone(t, s, net.ErrClosed)
	end.expect(t, EndEOF)
}

func testPeerDies(t *testing.T, c Config) {
	s, _ := connect(t, c)
	idle := open(t, s, "echo")
	// The peer may be gone before the word for it has been written whole.
	if last, err := s.Open(t.Context()); err == nil {
		_, _ = io.WriteString(last, "die\n")
	}
	isDone(t, s, io.EOF)
	if _, err := idle.Read(make([]byte, 1)); err == nil || errors.Is(err, link.ErrGoodbye) {
		t.Errorf("read: %v", err)
	}
}

func testMismatch(t *testing.T, c Config) {
	end := c.Start(t)
	env := envelope()
	env.Protocol = api.ProtocolVersion + 41
	_, err := link.Connect(within(t), end.R, end.W, env, link.Options{})
	if api.CodeOf(err) != api.CodeProtocolMismatch {
		t.Fatalf("%v", err)
	}
	end.expect(t, EndRefused)
}
