package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/link"
	"catamaran/internal/link/linktest"
)

// peerRole makes this program the far end of a measured pipe; catRole echoes stdin to stdout without any protocol.
const (
	peerRole = "link-peer"
	catRole  = "cat-peer"
	sinkRole = "sink-peer"
)

// role runs the program as a far end and reports whether it was asked to.
func role() bool {
	if len(os.Args) < 2 {
		return false
	}
	switch os.Args[1] {
	case peerRole:
		os.Exit(linktest.PeerMain(os.Args[2:]))
	case catRole:
		_, _ = io.Copy(os.Stdout, os.Stdin)
	case floodRole:
		floodMain()
	case sinkRole:
		_, _ = io.Copy(io.Discard, os.Stdin)
	default:
		return false
	}
	return true
}

// via is how the far end is reached.
type via struct {
	name string
	args func(role string) (string, []string, []string)
}

// far starts the far end and returns its pipes.
func (v via) far(ctx context.Context, name string) (io.WriteCloser, io.ReadCloser, func(), error) {
	path, args, env := v.args(name)
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, nil, err
	}
	return in, out, func() { in.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() }, nil
}

func benchLink(ctx context.Context, s *setup) ([]row, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	scenario := filepath.Join(s.tmp, "scenario")
	if out, err := exec.CommandContext(ctx, s.program("wslsim"), "wslsim-init", scenario).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("make a scenario: %w: %s", err, out)
	}
	defer exec.Command(filepath.Join(scenario, "wsl.exe"), "--shutdown").Run()
	var rows []row
	for _, v := range []via{
		{"native child", func(r string) (string, []string, []string) { return self, []string{r}, nil }},
		{"through wslsim's relays", func(r string) (string, []string, []string) {
			return filepath.Join(scenario, "wsl.exe"), []string{"-d", "Ubuntu", "--cd", "~", "--exec", self, r}, nil
		}},
	} {
		rs, err := measureLink(ctx, s, v)
		rows = append(rows, rs...)
		if err != nil {
			return rows, fmt.Errorf("%s: %w", v.name, err)
		}
	}
	return rows, nil
}

func measureLink(ctx context.Context, s *setup, v via) ([]row, error) {
	size := int64(512 << 20)
	if s.quick {
		size = 64 << 20
	}
	in, out, stop, err := v.far(ctx, peerRole)
	if err != nil {
		return nil, err
	}
	defer stop()
	session, err := link.Connect(ctx, out, in, api.Envelope{Protocol: api.ProtocolVersion}, link.Options{HelloTimeout: 20 * time.Second})
	if err != nil {
		return nil, err
	}
	defer session.Close()
	stream := func(what string) (io.ReadWriteCloser, error) {
		c, err := session.Open(ctx)
		if err == nil {
			_, err = io.WriteString(c, what+"\n")
		}
		return c, err
	}
	up, err := stream(fmt.Sprintf("sink %d", size))
	if err != nil {
		return nil, err
	}
	upRate, err := push(up, size, func() error { _, err := up.Read(make([]byte, 1)); return err })
	if err != nil {
		return nil, err
	}
	down, err := stream(fmt.Sprintf("source %d", size))
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if _, err := io.CopyN(io.Discard, down, size); err != nil {
		return nil, err
	}
	downRate := float64(size) / 1e6 / time.Since(start).Seconds()
	echo, err := stream("echo")
	if err != nil {
		return nil, err
	}
	trips, err := roundTrips(echo, echo, s.runs(20000))
	if err != nil {
		return nil, err
	}

	pin, _, pstop, err := v.far(ctx, sinkRole)
	if err != nil {
		return nil, err
	}
	pipeRate, err := push(pin, size, func() error { return nil })
	pstop()
	if err != nil {
		return nil, err
	}
	cin, cout, cstop, err := v.far(ctx, catRole)
	if err != nil {
		return nil, err
	}
	defer cstop()
	pipeTrips, err := roundTrips(cin, cout, s.runs(20000))
	if err != nil {
		return nil, err
	}
	one := func(what, unit string, ours, other float64) row {
		return row{What: "link, " + v.name + ": " + what, Unit: unit, Ours: ours, OtherName: "plain pipe there", Other: other, Runs: 1}
	}
	rtt := one("round trip of 100 bytes, p50", "us", trips.quantile(.5), pipeTrips.quantile(.5))
	p99 := one("round trip of 100 bytes, p99", "us", trips.quantile(.99), pipeTrips.quantile(.99))
	rtt.Runs, p99.Runs = len(trips), len(trips)
	return []row{one("throughput up", "MB/s", upRate, pipeRate), one("throughput down", "MB/s", downRate, pipeRate), rtt, p99}, nil
}

func push(w io.Writer, size int64, wait func() error) (float64, error) {
	block := make([]byte, 256<<10)
	start := time.Now()
	for sent := int64(0); sent < size; sent += int64(len(block)) {
		if _, err := w.Write(block); err != nil {
			return 0, err
		}
	}
	if err := wait(); err != nil {
		return 0, err
	}
	return float64(size) / 1e6 / time.Since(start).Seconds(), nil
}

func roundTrips(w io.Writer, r io.Reader, n int) (sample, error) {
	buf := make([]byte, 100)
	var out sample
	for range n {
		start := time.Now()
		if _, err := w.Write(buf); err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(r, buf); err != nil {
			return nil, err
		}
		out = append(out, float64(time.Since(start).Nanoseconds())/1000)
	}
	return out, nil
}
