package shell

import (
	"context"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	notesName  = "org.freedesktop.Notifications"
	notesPath  = "/org/freedesktop/Notifications"
	notesWait  = 2 * time.Second // for an answer of the bus
	notesMost  = 64              // notifications whose click is waited for; the oldest goes first
	notesReads = 16              // signals of the bus that are not read yet; it drops more
)

// System is the app's part in what the system shows and says: notifications by the
// session's own service, over D-Bus. A log-off comes as a signal, and what sleep
// does to a link is seen by the link.
type System struct {
	o SystemOptions

	mu     sync.Mutex
	conn   *dbus.Conn // nil before the first use, and when the bus has gone
	order  []uint32
	clicks map[uint32]func()
	closed bool
	reads  sync.WaitGroup
}

// NewSystem prepares; it shows nothing and connects to nothing.
func NewSystem(o SystemOptions) *System { return &System{o: o, clicks: map[uint32]func(){}} }

// Run keeps notifications clickable until ctx ends.
func (s *System) Run(ctx context.Context) error {
	<-ctx.Done()
	s.mu.Lock()
	s.closed = true
	conn := s.conn
	s.conn = nil
	s.mu.Unlock()
	if conn != nil {
		_ = conn.Close()
	}
	s.reads.Wait()
	return nil
}

// busAddress is the session bus, "" where there is none; none is started.
func busAddress(getenv func(string) string) string {
	if a := getenv("DBUS_SESSION_BUS_ADDRESS"); a != "" {
		return a
	}
	dir := getenv("XDG_RUNTIME_DIR")
	if dir == "" {
		return ""
	}
	socket := filepath.Join(dir, "bus")
	if info, err := os.Stat(socket); err != nil || info.Mode()&os.ModeSocket == 0 {
		return ""
	}
	return "unix:path=" + dbus.EscapeBusAddressValue(socket)
}

// connected is the connection to the session bus, made when it is first needed; s.mu must be held.
func (s *System) connected() (*dbus.Conn, error) {
	switch {
	case s.closed:
		return nil, dbus.ErrClosed
	case s.conn != nil && s.conn.Connected():
		return s.conn, nil
	}
	s.conn = nil
	address := busAddress(os.Getenv)
	if address == "" {
		return nil, fmt.Errorf("notifications: there is no session bus")
	}
	conn, signals, err := dialBus(address)
	if err != nil {
		return nil, fmt.Errorf("notifications: %w", err)
	}
	s.conn, s.order = conn, nil
	clear(s.clicks)
	s.reads.Go(func() {
		for sig := range signals { // closed with the connection
			s.heard(sig)
		}
	})
	return conn, nil
}

// dialBus connects, within notesWait, and asks for the signals of the notification service.
func dialBus(address string) (*dbus.Conn, <-chan *dbus.Signal, error) {
	// What the library does at the beginning knows no deadline; a connection whose context ends is closed.
	ctx, cancel := context.WithCancel(context.Background())
	late := time.AfterFunc(notesWait, cancel)
	signals := make(chan *dbus.Signal, notesReads)
	conn, err := dbus.Connect(address, dbus.WithContext(ctx))
	if err == nil {
		conn.Signal(signals)
		err = conn.AddMatchSignalContext(ctx, dbus.WithMatchSender(notesName), dbus.WithMatchInterface(notesName))
	}
	if !late.Stop() {
		err = fmt.Errorf("the session bus did not answer within %v", notesWait)
	}
	if err != nil {
		cancel()
		if conn != nil {
			_ = conn.Close()
		}
		return nil, nil, err
	}
	// From here on the connection ends with its Close.
	return conn, signals, nil
}

// heard follows what becomes of a notification.
func (s *System) heard(sig *dbus.Signal) {
	if sig.Path != notesPath || len(sig.Body) == 0 {
		return
	}
	id, ok := sig.Body[0].(uint32)
	if !ok {
		return
	}
	s.mu.Lock()
	clicked := s.clicks[id]
	if sig.Name == notesName+".ActionInvoked" || sig.Name == notesName+".NotificationClosed" {
		delete(s.clicks, id)
	}
	s.mu.Unlock()
	if clicked != nil && sig.Name == notesName+".ActionInvoked" {
		clicked()
	}
}

// CanNotify reports whether a service shows notifications here, or can be started for it.
func (s *System) CanNotify() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	conn, err := s.connected()
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), notesWait)
	defer cancel()
	for _, method := range []string{"ListNames", "ListActivatableNames"} {
		var names []string
		if conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus."+method, 0).Store(&names) != nil {
			return false
		}
		for _, n := range names {
			if n == notesName {
				return true
			}
		}
	}
	return false
}

// Notify shows a notification; a click on it calls clicked.
func (s *System) Notify(title, body string, clicked func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	conn, err := s.connected()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), notesWait)
	defer cancel()
	var id uint32
	// The body may be read as markup; the page plays the sound itself.
	err = conn.Object(notesName, notesPath).CallWithContext(ctx, notesName+".Notify", 0,
		"Catamaran", uint32(0), "catamaran", title, html.EscapeString(body), []string{"default", "Open"},
		map[string]dbus.Variant{"desktop-entry": dbus.MakeVariant("catamaran"), "suppress-sound": dbus.MakeVariant(true)}, int32(-1)).Store(&id)
	if err != nil {
		return fmt.Errorf("show a notification: %w", err)
	}
	if clicked == nil {
		return nil
	}
	s.clicks[id] = clicked
	s.order = append(s.order, id)
	if len(s.order) > notesMost {
		delete(s.clicks, s.order[0])
		s.order = s.order[1:]
	}
	return nil
}
