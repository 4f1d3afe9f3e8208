// Command bench measures the product beside what a user would choose instead
// and beside the bare floor, in one run, and prints one table; the same as JSON
// goes to bench/out/. It asserts nothing: figures are for reading, ratios within a
// run are what counts. It needs the programs of `make build`, and OpenCode from
// `go run ./tools/agents install` for the comparison.
//
//	bench [-quick] [-only RE] [-duration D] [-trace DIR]
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"time"
)

// row is one line of the table.
type row struct {
	What string `json:"what"`
	// Ours and Other are the medians in Unit; Other is what stands beside it.
	Ours      float64 `json:"ours"`
	OursMin   float64 `json:"oursMin,omitempty"`
	OursMax   float64 `json:"oursMax,omitempty"`
	Unit      string  `json:"unit"`
	OtherName string  `json:"otherName,omitempty"`
	Other     float64 `json:"other,omitempty"`
	Budget    string  `json:"budget,omitempty"`
	Peer      string  `json:"peer,omitempty"`
	Runs      int     `json:"runs"`
	Note      string  `json:"note,omitempty"`
}

// benchmark is one measurement; it returns its rows or why it could not run.
type benchmark struct {
	name string
	run  func(ctx context.Context, s *setup) ([]row, error)
}

// setup is what every benchmark shares.
type setup struct {
	root, bin, tmp string
	quick          bool
	// duration is how long the page is watched for growth.
	duration time.Duration
	// trace is a folder for Chromium's traces, with a profile of the scripts in them; "" for none.
	trace string
}

func (s *setup) program(name string) string { return filepath.Join(s.bin, name) }

// runs is how often a measurement is repeated.
func (s *setup) runs(full int) int {
	if s.quick {
		return max(3, full/4)
	}
	return full
}

func main() {
	if role() {
		return
	}
	quick := flag.Bool("quick", false, "fewer repetitions")
	only := flag.String("only", ".", "benchmarks whose name matches")
	duration := flag.Duration("duration", 3*time.Minute, "how long the page streams while its memory is watched")
	trace := flag.String("trace", "", "keep Chromium's traces in this folder, for the Performance panel of its developer tools; the profile in them costs time")
	flag.Parse()
	re, err := regexp.Compile(*only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	root, err := os.Getwd()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	tmp, err := os.MkdirTemp("", "catamaran-bench")
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	defer os.RemoveAll(tmp)
	s := &setup{root: root, bin: filepath.Join(root, "bin"), tmp: tmp, quick: *quick, duration: *duration, trace: *trace}
	var rows []row
	failed := 0
	for _, b := range benchmarks {
		if !re.MatchString(b.name) || ctx.Err() != nil {
			continue
		}
		fmt.Fprintf(os.Stderr, "bench: %s\n", b.name)
		rs, err := b.run(ctx, s)
		rows = append(rows, rs...)
		if err != nil {
			failed++
			fmt.Fprintf(os.Stderr, "bench: %s: %v\n", b.name, err)
		}
	}
	print(rows)
	if err := save(root, rows); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		failed++
	}
	if failed > 0 {
		os.RemoveAll(tmp)
		os.Exit(1)
	}
}

func print(rows []row) {
	fmt.Printf("\n%d cores, %s/%s, %s, %s\n\n", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), time.Now().UTC().Format("2006-01-02 15:04"))
	fmt.Println("| what | ours (median; min-max) | beside it | ratio | budget | peer, 2026-11-22 | runs |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- |")
	for _, r := range rows {
		beside, ratio := "", ""
		if r.OtherName != "" {
			beside = fmt.Sprintf("%s: %s %s", r.OtherName, number(r.Other), r.Unit)
			if r.Other > 0 {
				ratio = fmt.Sprintf("%.2f", r.Ours/r.Other)
			}
		}
		spread := ""
		if r.OursMax > 0 {
			spread = fmt.Sprintf(" (%s-%s)", number(r.OursMin), number(r.OursMax))
		}
		note := ""
		if r.Note != "" {
			note = " · " + r.Note
		}
		fmt.Printf("| %s%s | %s %s%s | %s | %s | %s | %s | %d |\n", r.What, note, number(r.Ours), r.Unit, spread, beside, ratio, r.Budget, r.Peer, r.Runs)
	}
}

func number(f float64) string {
	switch {
	case f >= 100:
		return fmt.Sprintf("%.0f", f)
	case f >= 10:
		return fmt.Sprintf("%.1f", f)
	case f >= 1:
		return fmt.Sprintf("%.2f", f)
	default:
		return fmt.Sprintf("%.3f", f)
	}
}

func save(root string, rows []row) error {
	dir := filepath.Join(root, "bench", "out")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	b, err := json.MarshalIndent(map[string]any{
		"at": time.Now().UTC(), "cores": runtime.NumCPU(), "go": runtime.Version(), "rows": rows,
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "bench-"+time.Now().UTC().Format("20060102-150405")+".json"), append(b, '\n'), 0o644)
}

// sample summarises measurements.
type sample []float64

func (s sample) sorted() sample { c := slices.Clone(s); slices.Sort(c); return c }

func (s sample) quantile(q float64) float64 {
	if len(s) == 0 {
		return 0
	}
	c := s.sorted()
	return c[min(len(c)-1, int(q*float64(len(c))))]
}

func (s sample) row(what, unit string) row {
	c := s.sorted()
	if len(c) == 0 {
		return row{What: what, Unit: unit}
	}
	return row{What: what, Unit: unit, Ours: s.quantile(.5), OursMin: c[0], OursMax: c[len(c)-1], Runs: len(c)}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
