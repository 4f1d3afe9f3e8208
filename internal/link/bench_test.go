package link_test

import (
	"context"
	"io"
	"os"
	"testing"

	"catamaran/internal/api"
	"catamaran/internal/link"
)

func benchLink(b *testing.B) *link.Session {
	b.Helper()
	p := startPeer(b)
	s, err := link.Connect(context.Background(), p.Stdout(), p.Stdin(), api.Envelope{Protocol: api.ProtocolVersion}, link.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

func throughput(b *testing.B, w io.Writer) {
	b.Helper()
	block := make([]byte, 256<<10)
	b.SetBytes(int64(len(block)))
	for b.Loop() {
		if _, err := w.Write(block); err != nil {
			b.Fatal(err)
		}
	}
}

func roundTrip(b *testing.B, rw io.ReadWriter) {
	b.Helper()
	buf := make([]byte, 100)
	for b.Loop() {
		if _, err := rw.Write(buf); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(rw, buf); err != nil {
			b.Fatal(err)
		}
	}
}

// To a child process and into its sink.
func BenchmarkThroughputLink(b *testing.B) {
	c, err := benchLink(b).Open(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	io.WriteString(c, "sink 1000000000000000\n")
	throughput(b, c)
}

// Through a pipe, read by a goroutine.
func BenchmarkThroughputPipe(b *testing.B) {
	r, w, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 64<<10)
		for {
			if _, err := r.Read(buf); err != nil {
				return
			}
		}
	}()
	throughput(b, w)
	w.Close()
	<-done
	r.Close()
}

func BenchmarkRoundTripLink(b *testing.B) {
	c, err := benchLink(b).Open(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	io.WriteString(c, "echo\n")
	roundTrip(b, c)
}

// While eight other streams carry as much as they can.
func BenchmarkRoundTripLinkBusy(b *testing.B) {
	s := benchLink(b)
	for range 8 {
		c, err := s.Open(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		io.WriteString(c, "source 1000000000000000\n")
		go io.Copy(io.Discard, c)
	}
	c, err := s.Open(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	io.WriteString(c, "echo\n")
	roundTrip(b, c)
}

type duplex struct {
	io.Reader
	io.Writer
}

// Two pipes and a goroutine that echoes.
func BenchmarkRoundTripPipe(b *testing.B) {
	ownerR, peerW, peerR, ownerW := pipes(b)
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(struct{ io.Writer }{peerW}, struct{ io.Reader }{peerR})
	}()
	roundTrip(b, duplex{ownerR, ownerW})
	ownerW.Close()
	<-done
	for _, f := range []*os.File{ownerR, peerW, peerR} {
		f.Close()
	}
}

// A stream opened, used for one exchange and closed.
func BenchmarkOpen(b *testing.B) {
	s := benchLink(b)
	buf := make([]byte, 1)
	for b.Loop() {
		c, err := s.Open(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		io.WriteString(c, "echo\nx")
		if _, err := io.ReadFull(c, buf); err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
}
