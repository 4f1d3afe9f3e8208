package shell

import (
	"bufio"
	"context"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// desk is a notification service as desktops have one.
type desk struct {
	conn  *dbus.Conn
	shown chan []string // title, body, actions
}

func (d *desk) Notify(_ string, _ uint32, _, title, body string, actions []string, _ map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	d.shown <- append([]string{title, body}, actions...)
	return uint32(len(title)), nil
}

func (d *desk) click(t *testing.T, id uint32, action string) {
	t.Helper()
	if err := d.conn.Emit(notesPath, notesName+".ActionInvoked", id, action); err != nil {
		t.Fatal(err)
	}
}

// bus starts a bus of this test's own and gives its address.
func bus(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("dbus-daemon")
	if err != nil {
		t.Fatal("dbus-daemon is missing; `go run ./tools/check -only tools` installs it")
	}
	cmd := exec.Command(program, "--session", "--nofork", "--nopidfile", "--print-address")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(address)
}

// A bus that takes the connection and then says nothing must not hold up who asks.
func TestSilentBus(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "bus")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		c, err := ln.Accept()
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, c) // until the other side gives up
		_ = c.Close()
	}()
	t.Cleanup(func() { _ = ln.Close() })
	answered := make(chan error, 1)
	go func() {
		_, _, err := dialBus("unix:path=" + path)
		answered <- err
	}()
	select {
	case err := <-answered:
		if err == nil || !strings.Contains(err.Error(), "did not answer") {
			t.Errorf("a silent bus: %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("a silent bus is waited for without end")
	}
	select {
	case <-closed:
	case <-time.After(30 * time.Second):
		t.Error("the connection to the silent bus stays open")
	}
}

// Not beside other tests: the bus is told by an environment variable.
func TestNotificationsOfTheSession(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
	if NewSystem(SystemOptions{}).CanNotify() {
		t.Error("without a bus it claims to notify")
	}
	address := bus(t)
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", address)
	s := NewSystem(SystemOptions{})
	if s.CanNotify() {
		t.Error("without a service it claims to notify")
	}
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	d := &desk{conn: conn, shown: make(chan []string, 4)}
	if err := conn.Export(d, notesPath, notesName); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.RequestName(notesName, 0); err != nil {
		t.Fatal(err)
	}
	if !s.CanNotify() {
		t.Fatal("with a service it does not notify")
	}
	clicked := make(chan string, 8)
	for _, title := range []string{"one", "three"} {
		if err := s.Notify(title, "a <b> & c", func() { clicked <- title }); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(<-d.shown, "|"); got != title+"|a &lt;b&gt; &amp; c|default|Open" {
			t.Errorf("shown %q", got)
		}
	}
	next := func() string {
		select {
		case c := <-clicked:
			return c
		case <-time.After(20 * time.Second):
			t.Fatal("no click came")
			return ""
		}
	}
	d.click(t, 99, "default") // somebody else's
	d.click(t, 5, "default")
	if c := next(); c != "three" {
		t.Errorf("clicked %s", c)
	}
	d.click(t, 5, "default") // a click counts once
	d.click(t, 3, "default")
	if c := next(); c != "one" {
		t.Errorf("clicked %s", c)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if s.CanNotify() {
		t.Error("after its end it claims to notify")
	}
}
