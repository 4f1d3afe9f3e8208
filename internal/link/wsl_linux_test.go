package link_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/link"
	"catamaran/internal/link/linktest"
	"catamaran/internal/proc"
	"catamaran/internal/wsl/wslsim"
	"catamaran/internal/wsl/wsltest"
)

// The link as it is in the product: through wsl.exe (simulated) into a distro.

// inDistro starts argv in the machine's distro.
func inDistro(t *testing.T, m *wsltest.Machine, argv ...string) *proc.Process {
	t.Helper()
	p, err := proc.Start(proc.Spec{Name: "wsl", Path: m.Exe, Args: append([]string{"-d", "Ubuntu", "--cd", "~", "--exec"}, argv...)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(context.Background(), proc.Ladder{CloseStdin: 10 * time.Second, Kill: 10 * time.Second}); err != nil {
			t.Error(err)
		}
		p.Stdout().Close()
		if tail := p.StderrTail(); strings.Contains(tail, "DATA RACE") || strings.Contains(tail, "panic") {
			t.Errorf("the peer says: %s", tail)
		}
	})
	return p
}

// peerIn is the command of the suite's peer.
func peerIn(t *testing.T, args ...string) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{"/usr/bin/env", "GORACE=atexit_sleep_ms=0", self, peerArg}, args...)
}

func throughWSL(m *wsltest.Machine, argv func(*testing.T) []string) func(*testing.T) linktest.End {
	return func(t *testing.T) linktest.End {
		p := inDistro(t, m, argv(t)...)
		// Without Wait: wsl.exe that writes to an owner who has closed dies of it, and takes the
		// peer's exit code along, or its goodbye. nothingLeft sees to the end.
		return linktest.End{R: p.Stdout(), W: p.Stdin()}
	}
}

// nothingLeft sees at the end that no peer outlived its link.
func nothingLeft(t *testing.T, m *wsltest.Machine) {
	t.Cleanup(func() {
		var left []int
		for end := time.Now().Add(5 * time.Second); time.Now().Before(end); <-time.After(20 * time.Millisecond) {
			if left = m.Processes("Ubuntu"); len(left) == 0 {
				return
			}
		}
		t.Errorf("left in the distro: %v", left)
	})
}

func TestOverWSL(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	nothingLeft(t, m)
	linktest.Run(t, linktest.Config{Start: throughWSL(m, func(t *testing.T) []string { return peerIn(t) })})
}

// W4.3: wsl.exe warns on stderr in its own encoding, and a profile prints UTF-16 and half a hello on stdout.
func TestOverNoisyWSL(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{Faults: []wslsim.Fault{
		{ID: "own", On: wslsim.OnLaunch, Kind: wslsim.Noise, Text: "Es wurde eine \u00c4nderung erkannt, CATAMARAN-LINK/1 {}"},
		{ID: "linux", On: wslsim.OnLaunch, Kind: wslsim.LinuxNoise, Text: "Failed to mount C"},
	}})
	nothingLeft(t, m)
	const profile = `printf 'w\000s\000l\000:\000 \000C\000\n\000Welcome\r\nCATAMARAN-LINK/1 {broken\nCATAMARAN-LINK/x'; exec "$@"`
	linktest.Run(t, linktest.Config{Start: throughWSL(m, func(t *testing.T) []string {
		return append([]string{"/bin/sh", "-c", profile, "sh"}, peerIn(t)...)
	})})
}

// W4.6: a relay that passes 4 KiB at a time and is slow about it.
func TestOverSlowWSL(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	nothingLeft(t, m)
	start := throughWSL(m, func(t *testing.T) []string { return peerIn(t) })
	linktest.Run(t, linktest.Config{Bulk: 128 << 10, Start: func(t *testing.T) linktest.End {
		end := start(t)
		r, up := net.Pipe()
		down, w := net.Pipe()
		var relays sync.WaitGroup
		relays.Go(func() { slowly(end.R, up) })
		relays.Go(func() { slowly(down, end.W) })
		t.Cleanup(func() {
			r.Close()
			w.Close()
			end.R.Close()
			end.W.Close()
			relays.Wait()
		})
		return linktest.End{R: r, W: w}
	}})
}

// slowly copies 4 KiB pieces with a pause after each, and passes the end on.
func slowly(r io.ReadCloser, w io.WriteCloser) {
	defer r.Close()
	defer w.Close()
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return
			}
			<-time.After(500 * time.Microsecond) // the latency that is the test
		}
		if err != nil {
			return
		}
	}
}

func ping(c net.Conn) error {
	c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(c, "ping"); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 4))
	return err
}

// W4.5: a peer that is silent is lost after a bound; one that was suspended for
// longer than its own bound finds its link alive.
func TestFrozenInWSL(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		lost time.Duration // the owner's
		ends bool
	}{
		{"silent for too long", 400 * time.Millisecond, true},
		{"suspended and resumed", time.Minute, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			m := wsltest.Scenario(t, wslsim.Scenario{})
			p := inDistro(t, m, peerIn(t, "lost=300ms")...)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			s, err := link.Connect(ctx, p.Stdout(), p.Stdin(), api.Envelope{Protocol: api.ProtocolVersion, Environment: "wsl:Ubuntu"},
				link.Options{Heartbeat: 50 * time.Millisecond, Lost: tc.lost})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			c, err := s.Open(ctx)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := io.WriteString(c, "echo\n"); err != nil {
				t.Fatal(err)
			}
			if err := ping(c); err != nil {
				t.Fatal(err)
			}
			pid := s.Hello().PID
			if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			defer syscall.Kill(pid, syscall.SIGCONT)
			if tc.ends {
				select {
				case <-s.Done():
				case <-ctx.Done():
					t.Fatal("a silent peer is not lost")
				}
				if !errors.Is(s.Err(), link.ErrLost) {
					t.Errorf("ended with %v", s.Err())
				}
				return
			}
			<-time.After(900 * time.Millisecond) // thrice the peer's bound: its clock jumps
			if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			if err := ping(c); err != nil {
				t.Errorf("after the suspension: %v", err)
			}
		})
	}
}

// W4.2: what answers in the distro may be another version, or lie about it.
func TestLiarInWSL(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	for _, tc := range []struct {
		name, says string
		code       api.Code // of Connect's error; "" when the lie shows only later
	}{
		{"another version in the marker", `CATAMARAN-LINK/7 {\"protocol\":7}\n`, api.CodeProtocolMismatch},
		{"another version behind our marker", `CATAMARAN-LINK/1 {\"protocol\":99}\n`, api.CodeProtocolMismatch},
		{"our version, then something else", `CATAMARAN-LINK/1 {\"protocol\":1}\nHTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := inDistro(t, m, "/bin/sh", "-c", "read -r envelope; printf '"+strings.ReplaceAll(tc.says, `\"`, `"`)+"'; exec cat >/dev/null")
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			s, err := link.Connect(ctx, p.Stdout(), p.Stdin(), api.Envelope{Protocol: api.ProtocolVersion, Credential: "sk-one-time"}, link.Options{})
			if tc.code != "" {
				if api.CodeOf(err) != tc.code || strings.Contains(err.Error(), "sk-one-time") {
					t.Errorf("error %v, want %s", err, tc.code)
				}
				return
			}
			if err != nil { // what is no frame may come before the first one of ours is out
				if ctx.Err() != nil || strings.Contains(err.Error(), "sk-one-time") {
					t.Errorf("error %v", err)
				}
				return
			}
			defer s.Close()
			select {
			case <-s.Done():
			case <-ctx.Done():
				t.Fatal("the session goes on with a peer that speaks something else")
			}
			if err := s.Err(); err == nil || errors.Is(err, link.ErrGoodbye) {
				t.Errorf("ended with %v", err)
			}
		})
	}
}
