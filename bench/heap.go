package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/memory"
	"github.com/chromedp/chromedp"
)

// streamOn keeps three threads streaming, one turn after the other, with the first of them on screen.
const streamOn = `(async (seconds, folder) => {
	const project = await bench.call("project.add", {path: folder});
	bench.turns = 0;
	const ids = [];
	for (let i = 0; i < 3; i++) ids.push((await bench.call("thread.create", {projectId: project.id, agentId: "demo", title: "stream " + i})).id);
	const feed = async (id) => {
		// Two wait behind the one that runs, so that there is never a pause.
		const r = await bench.call("turn.start", {threadId: id, text: "stream " + seconds});
		if (r.code) throw new Error(r.message);
		bench.turns++;
	};
	for (const id of ids) for (let i = 0; i < 3; i++) await feed(id);
	bench.feeding = setInterval(() => ids.forEach((id) => feed(id).catch((e) => (bench.problem = String(e)))), seconds * 1000);
	bench.go("/t/local/" + ids[0]);
	await bench.until(() => bench.find("turn-working"));
	await bench.until(() => /[0-9] [0-9]/.test(bench.find("timeline").innerText));
})(%d, %q)`

// shape is what a heap snapshot holds, by kind and name.
type shape map[string]struct{ count, bytes int64 }

// snapshot takes a heap snapshot, which collects garbage first, and adds it up.
func snapshot(ctx context.Context) (shape, error) {
	var text strings.Builder
	listen, stop := context.WithCancel(ctx)
	defer stop()
	if err := chromedp.Listen(listen, func(ev any) {
		if e, ok := ev.(*heapprofiler.EventAddHeapSnapshotChunk); ok {
			text.WriteString(e.Chunk)
		}
	}); err != nil {
		return nil, err
	}
	if err := chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, heapprofiler.TakeHeapSnapshot, heapprofiler.TakeHeapSnapshotParams{})
		return err
	})); err != nil {
		return nil, fmt.Errorf("take a heap snapshot: %w", err)
	}
	return shapeOf([]byte(text.String()))
}

func shapeOf(text []byte) (shape, error) {
	var s struct {
		Snapshot struct {
			Meta struct {
				Fields []string          `json:"node_fields"`
				Types  []json.RawMessage `json:"node_types"`
			} `json:"meta"`
		} `json:"snapshot"`
		Nodes   []int64  `json:"nodes"`
		Strings []string `json:"strings"`
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("read a heap snapshot of %d bytes: %w", len(text), err)
	}
	var kinds []string
	at := func(name string) int { return slices.Index(s.Snapshot.Meta.Fields, name) }
	kind, name, size := at("type"), at("name"), at("self_size")
	if kind < 0 || name < 0 || size < 0 || json.Unmarshal(s.Snapshot.Meta.Types[kind], &kinds) != nil {
		return nil, fmt.Errorf("a heap snapshot with the fields %v", s.Snapshot.Meta.Fields)
	}
	out := shape{}
	for n := s.Nodes; len(n) >= len(s.Snapshot.Meta.Fields); n = n[len(s.Snapshot.Meta.Fields):] {
		key := kinds[n[kind]]
		if key == "object" || key == "native" || key == "closure" {
			key += " " + s.Strings[n[name]]
		}
		v := out[key]
		v.count, v.bytes = v.count+1, v.bytes+n[size]
		out[key] = v
	}
	return out, nil
}

// grown names what there is more of, the most bytes first.
func grown(before, after shape, most int) string {
	type change struct {
		what         string
		count, bytes int64
	}
	var all []change
	for k, v := range after {
		if by := v.bytes - before[k].bytes; by > 4<<10 {
			all = append(all, change{k, v.count - before[k].count, by})
		}
	}
	slices.SortFunc(all, func(a, b change) int { return cmp.Compare(b.bytes, a.bytes) })
	var parts []string
	for _, c := range all[:min(most, len(all))] {
		parts = append(parts, fmt.Sprintf("%s %+d (%+.0f KiB)", c.what, c.count, float64(c.bytes)/1024))
	}
	return strings.Join(parts, ", ")
}

// nodes counts what the document has, detached nodes included.
func nodes(ctx context.Context) (n int64, err error) {
	err = chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		c, err := cdp.Call(ctx, t, memory.GetDOMCounters, cdp.Empty{})
		if err == nil {
			n = c.Nodes
		}
		return err
	}))
	return n, err
}

// benchHeap streams for a time and tells whether the page's memory stays flat: its heap after a
// collection at equal intervals, and two snapshots compared. The first sixth is left out, in which the page
// fills its caches.
func benchHeap(ctx context.Context, s *setup) ([]row, error) {
	folder, err := repository(ctx, s, "heap")
	if err != nil {
		return nil, err
	}
	l, stop, err := startDesktop(ctx, s, filepath.Join(s.tmp, "heap"))
	if err != nil {
		return nil, err
	}
	defer stop()
	run, end, err := openPage(ctx, s, "heap", l.URL, s.duration+5*time.Minute)
	if err != nil {
		return nil, err
	}
	defer end()
	const seconds = 15
	if err := chromedp.Do(run, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(streamOn, seconds, folder), chromedp.EvalAwaitPromise)); err != nil {
		return nil, fmt.Errorf("stream: %w", err)
	}
	pause := func(d time.Duration) error {
		select {
		case <-time.After(d):
			return nil
		case <-run.Done():
			return run.Err()
		}
	}
	const parts = 6
	if err := pause(s.duration / parts); err != nil {
		return nil, err
	}
	before, err := snapshot(run)
	if err != nil {
		return nil, err
	}
	first, err := nodes(run)
	if err != nil {
		return nil, err
	}
	var held sample
	begun := time.Now()
	for i := range parts {
		if i > 0 {
			if err := pause(s.duration / parts); err != nil {
				return nil, err
			}
		}
		used, err := heap(run)
		if err != nil {
			return nil, err
		}
		held = append(held, used)
	}
	after, err := snapshot(run)
	if err != nil {
		return nil, err
	}
	last, err := nodes(run)
	if err != nil {
		return nil, err
	}
	turns, err := chromedp.Run(run, chromedp.Evaluate[float64](`bench.problem ? -1 : bench.turns`))
	if err != nil || turns < 0 {
		return nil, fmt.Errorf("the streams stopped: %v", err)
	}
	var line []string
	for _, h := range held {
		line = append(line, fmt.Sprintf("%.1f", h))
	}
	took := time.Since(begun)
	return []row{
		{What: fmt.Sprintf("three threads stream for %s: growth of the page's heap", took.Round(time.Second)), Ours: held[len(held)-1] - held[0], Unit: "MiB", Budget: "flat", Runs: 1,
			Note: fmt.Sprintf("after a collection each: %s MiB; %.0f turns asked for; grown: %s", strings.Join(line, ", "), turns, grown(before, after, 8))},
		{What: "the same: growth of the document, detached nodes included", Ours: float64(last - first), Unit: "nodes", Budget: "flat", Runs: 1, Note: fmt.Sprintf("from %d to %d", first, last)},
	}, nil
}
