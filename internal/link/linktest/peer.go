package linktest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/link"
)

// How a peer's link ended, and the exit code of PeerMain for it.
const (
	EndGoodbye = 0
	EndEOF     = 3
	EndLost    = 4
	EndRefused = 5
	EndOther   = 6
)

// endOf is the exit code for what a session or its start ended with.
func endOf(err error) int {
	switch {
	case errors.Is(err, link.ErrGoodbye):
		return EndGoodbye
	case errors.Is(err, link.ErrLost):
		return EndLost
	case api.CodeOf(err) == api.CodeProtocolMismatch:
		return EndRefused
	case errors.Is(err, io.EOF):
		return EndEOF
	default:
		return EndOther
	}
}

// PeerMain is the peer as a program on standard input and output: call it first
// in a main and give the result to os.Exit. args may hold noise=<text>, printed
// before the hello, and lost=<duration>, after which a silent owner is lost.
func PeerMain(args []string) int {
	after := lost
	for _, arg := range args {
		if d, ok := strings.CutPrefix(arg, "lost="); ok {
			var err error
			if after, err = time.ParseDuration(d); err != nil {
				fmt.Fprintln(os.Stderr, "linktest peer:", err)
				return EndOther
			}
		}
		if noise, ok := strings.CutPrefix(arg, "noise="); ok {
			io.WriteString(os.Stdout, noise)
		}
	}
	r, w := link.Stdio()
	end, err := serve(r, w, acts{lost: after, die: func() { os.Exit(9) }, stray: func() {
		fmt.Println("a stray print")
		fmt.Fprintln(os.Stderr, "a message")
	}})
	if end == EndOther {
		fmt.Fprintln(os.Stderr, "linktest peer:", err)
	}
	return end
}

// Peer plays the peer on a pipe until its session is over and returns one of
// the End values.
func Peer(r io.ReadCloser, w io.WriteCloser) int {
	end, _ := serve(r, w, acts{lost: lost, die: func() { w.Close(); r.Close() }, stray: func() {}})
	return end
}

// acts are what a peer in a process of its own does otherwise.
type acts struct {
	die, stray func()
	lost       time.Duration
}

// serve answers streams. A stream begins with a line that names what it is for:
//
//	echo          sends back what it gets
//	sink <n>      reads n bytes, answers with their sum
//	source <n>    sends n bytes of Pattern
//	deaf          is never read
//	back          the peer opens a stream, sends "hello from the peer" and closes
//	print         answers "printed"; as a program, writes to os.Stdout and os.Stderr first
//	goodbye       the peer says goodbye
//	die           the peer ends without a word
func serve(r io.ReadCloser, w io.WriteCloser, act acts) (int, error) {
	env, err := link.ReadEnvelope(r)
	hello := api.Hello{Version: "linktest", PID: os.Getpid(), EnvironmentID: env.Environment, Phase: api.PhaseReady}
	if refusal := api.AsError(err); refusal != nil {
		hello.Refusal = refusal
	} else if err != nil {
		return endOf(err), err
	}
	s, err := link.Accept(r, w, hello, link.Options{Heartbeat: heartbeat, Lost: act.lost})
	if err != nil {
		return endOf(err), err
	}
	var streams sync.WaitGroup
	for {
		c, err := s.Listener().Accept()
		if err != nil {
			break
		}
		streams.Go(func() {
			defer c.Close()
			answer(s, c, act)
		})
	}
	<-s.Done()
	end := s.Err()
	s.Close()
	streams.Wait()
	return endOf(end), end
}

func answer(s *link.Session, c net.Conn, act acts) {
	in := bufio.NewReaderSize(c, 64<<10)
	line, err := in.ReadString('\n')
	if err != nil {
		return
	}
	verb, arg, _ := strings.Cut(strings.TrimSpace(line), " ")
	n, _ := strconv.ParseInt(arg, 10, 64)
	switch verb {
	case "echo":
		buf := make([]byte, 64<<10)
		for {
			got, err := in.Read(buf)
			if got > 0 {
				if _, err := c.Write(buf[:got]); err != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	case "sink":
		sum := crc32.NewIEEE()
		if _, err := io.CopyN(sum, in, n); err == nil {
			fmt.Fprintf(c, "%d\n", sum.Sum32())
		}
	case "source":
		io.Copy(c, io.LimitReader(&Pattern{}, n))
	case "deaf":
		<-s.Done()
	case "back":
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if back, err := s.Open(ctx); err == nil {
			io.WriteString(back, "hello from the peer")
			back.Close()
		}
	case "print":
		act.stray()
		io.WriteString(c, "printed")
	case "goodbye":
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			s.Goodbye(ctx)
		}()
	case "die":
		act.die()
	}
}

// Pattern is an endless reader whose bytes depend on their place.
type Pattern struct{ at int }

// patternTable is repeated; its prime length fits no piece or window size.
var patternTable = func() []byte {
	table := make([]byte, 65521)
	x := uint64(1)
	for i := range table {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		table[i] = byte(x)
	}
	return table
}()

func (p *Pattern) Read(b []byte) (int, error) {
	for n := 0; n < len(b); {
		got := copy(b[n:], patternTable[p.at%len(patternTable):])
		n += got
		p.at += got
	}
	return len(b), nil
}
