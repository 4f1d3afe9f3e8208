package link_test

import (
	"context"
	"encoding/binary"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"go.uber.org/goleak"

	"catamaran/internal/link/linktest"
	"catamaran/internal/proc"
)

const peerArg = "link-test-peer"

func TestMain(m *testing.M) {
	proc.GuardMain()
	if len(os.Args) > 1 && os.Args[1] == peerArg {
		os.Exit(linktest.PeerMain(os.Args[2:]))
	}
	goleak.VerifyTestMain(m)
}

// local starts a Peer in this process on the given pipes: what the peer writes
// comes out of the first, the owner writes into the last.
func local(t *testing.T, ownerR io.ReadCloser, peerW io.WriteCloser, peerR io.ReadCloser, ownerW io.WriteCloser) linktest.End {
	ended := make(chan int, 1)
	go func() { ended <- linktest.Peer(peerR, peerW) }()
	wait := sync.OnceValue(func() int { return <-ended })
	t.Cleanup(func() {
		ownerW.Close()
		ownerR.Close()
		wait()
	})
	return linktest.End{R: ownerR, W: ownerW, Wait: wait}
}

func pipes(t testing.TB) (ownerR, peerW, peerR, ownerW *os.File) {
	t.Helper()
	ownerR, peerW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	peerR, ownerW, err = os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return ownerR, peerW, peerR, ownerW
}

func TestOverPipes(t *testing.T) {
	t.Parallel()
	linktest.Run(t, linktest.Config{Start: func(t *testing.T) linktest.End {
		ownerR, peerW, peerR, ownerW := pipes(t)
		return local(t, ownerR, peerW, peerR, ownerW)
	}})
}

func startPeer(t testing.TB, args ...string) *proc.Process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := proc.Start(proc.Spec{Name: "peer", Path: self, Args: append([]string{peerArg}, args...),
		Env: append(os.Environ(), "GORACE=atexit_sleep_ms=0")})
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

func child(t *testing.T, args ...string) linktest.End {
	p := startPeer(t, args...)
	return linktest.End{R: p.Stdout(), W: p.Stdin(), Wait: func() int {
		<-p.Done()
		return p.ExitCode()
	}}
}

func TestOverChild(t *testing.T) {
	t.Parallel()
	linktest.Run(t, linktest.Config{Start: func(t *testing.T) linktest.End { return child(t) }})
}

func TestOverNoisyChild(t *testing.T) {
	t.Parallel()
	noise := strings.Repeat("Welcome to the machine\r\n", 2000) + "CATAMARAN-LINK/1 {broken\nCATAMARAN-LINK/x unfinished line"
	linktest.Run(t, linktest.Config{Start: func(t *testing.T) linktest.End { return child(t, "noise="+noise) }})
}

// wideNoise is what wsl.exe says before it starts anything.
func wideNoise(s string) []byte {
	var b []byte
	for _, unit := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, unit)
	}
	return b
}

func TestOverNoisyPipe(t *testing.T) {
	t.Parallel()
	linktest.Run(t, linktest.Config{Start: func(t *testing.T) linktest.End {
		ownerR, peerW, peerR, ownerW := pipes(t)
		// An odd number of bytes, so that the hello is not aligned to the units.
		noise := append(wideNoise("wsl: Es wurde eine Änderung an der Datei erkannt, CATAMARAN-LINK/1 {}\r\n"), '\n')
		if _, err := peerW.Write(noise); err != nil {
			t.Fatal(err)
		}
		return local(t, ownerR, peerW, peerR, ownerW)
	}})
}

// relay copies in pieces of the sizes in turn, as relays do, and passes the end on.
func relay(r io.ReadCloser, w io.WriteCloser, sizes ...int) {
	defer r.Close()
	defer w.Close()
	buf := make([]byte, 64<<10)
	for i := 0; ; {
		n, err := r.Read(buf)
		for at := 0; at < n; i++ {
			end := min(n, at+sizes[i%len(sizes)])
			if _, err := w.Write(buf[at:end]); err != nil {
				return
			}
			at = end
		}
		if err != nil {
			return
		}
	}
}

func fragmented(t *testing.T, bulk int64, sizes ...int) {
	linktest.Run(t, linktest.Config{Bulk: bulk, Start: func(t *testing.T) linktest.End {
		ownerR, relayUp, relayDown, ownerW := pipes(t)
		fromPeer, peerW, peerR, toPeer := pipes(t)
		end := local(t, ownerR, peerW, peerR, ownerW)
		var relays sync.WaitGroup
		relays.Go(func() { relay(fromPeer, relayUp, sizes...) })
		relays.Go(func() { relay(relayDown, toPeer, sizes...) })
		t.Cleanup(func() {
			ownerW.Close()
			ownerR.Close()
			relays.Wait()
		})
		return end
	}})
}

func TestOverSingleBytes(t *testing.T)  { t.Parallel(); fragmented(t, 64<<10, 1) }
func TestOverSmallPieces(t *testing.T)  { t.Parallel(); fragmented(t, 4<<20, 4096) }
func TestOverUnevenPieces(t *testing.T) { t.Parallel(); fragmented(t, 1<<20, 4096, 1, 11, 12, 13, 700) }
