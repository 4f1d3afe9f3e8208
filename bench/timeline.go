package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"catamaran/test/longthread"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/tracing"
	"github.com/chromedp/chromedp"
)

// What the page is made to do, in its own words.
const (
	// timelineTools are put into the page once.
	timelineTools = `window.bench = {
		find: (id) => document.querySelector('[data-testid="' + id + '"]'),
		frame: () => new Promise(requestAnimationFrame),
		async until(f, bound = 60000) {
			for (const end = performance.now() + bound; performance.now() < end;) {
				const found = f();
				if (found) return found;
				await bench.frame();
			}
			throw new Error("nothing came of " + f);
		},
		inView(key) {
			const r = document.querySelector('[data-row="' + key + '"]')?.getBoundingClientRect(), v = bench.find("timeline")?.getBoundingClientRect();
			return !!r && !!v && r.bottom > v.top && r.top < v.bottom;
		},
		call: async (method, body) => (await fetch("/e/local/api/call/" + method, {method: "POST", headers: {"Content-Type": "application/json", Authorization: "Bearer " + sessionStorage.getItem("catamaran.token")}, body: JSON.stringify(body)})).json(),
		go: (path) => { history.pushState(null, "", path); dispatchEvent(new PopStateEvent("popstate")); },
	}`
	// openLong opens the long thread and tells the milliseconds until its last answer is in view.
	openLong = `(async (last) => {
		const row = await bench.until(() => bench.find("thread-row"));
		const begun = performance.now();
		row.click();
		await bench.until(() => bench.inView(last));
		await bench.frame();
		return performance.now() - begun;
	})(%q)`
	// readLong scrolls up for 300 frames, goes to the middle, and back to the end; it tells how many rows the document had at most.
	readLong = `(async (far, last) => {
		let most = 0;
		for (let i = 0; i < 300; i++) {
			bench.find("timeline").scrollTop -= 400;
			await bench.frame();
			most = Math.max(most, document.querySelectorAll("[data-row]").length);
		}
		bench.go(far.path);
		await bench.until(() => bench.inView(far.key));
		for (let i = 0; i < 100; i++) {
			bench.find("timeline").scrollTop += 400;
			await bench.frame();
		}
		(await bench.until(() => bench.find("to-end"))).click();
		await bench.until(() => bench.inView(last));
		return most;
	})(%s, %q)`
	// streamTen starts a turn of the given seconds in ten threads and opens the last of them.
	streamTen = `(async (seconds, folder) => {
		const project = await bench.call("project.add", {path: folder});
		let id;
		for (let i = 0; i < 10; i++) {
			id = (await bench.call("thread.create", {projectId: project.id, agentId: "demo", title: "stream " + i})).id;
			await bench.call("turn.start", {threadId: id, text: "stream " + seconds});
		}
		bench.go("/t/local/" + id);
		await bench.until(() => bench.find("turn-working"));
		await bench.until(() => /[0-9] [0-9]/.test(bench.find("timeline").innerText));
		bench.find("composer-input").focus();
		bench.handled = [];
		bench.painted = [];
		let pressed = 0;
		addEventListener("keydown", (e) => {
			const at = (pressed = e.timeStamp);
			requestAnimationFrame(() => {
				const c = new MessageChannel();
				c.port1.onmessage = () => bench.painted.push(performance.now() - at);
				c.port2.postMessage(0);
			});
		}, true);
		// After every handler of the page and what they changed in the document.
		addEventListener("input", () => queueMicrotask(() => bench.handled.push(performance.now() - pressed)));
	})(%d, %q)`
)

// tasks tells of the page's main thread in a trace: the longest task in milliseconds, the most processor time
// that one took (which a busy machine does not change), and how many took over 50 ms.
type tasks struct {
	longest, cpu float64
	over50       int
	// all is the processor time of every task, in ms; layouts and styles are how often the page was
	// laid out and styled, forced how many of them in the middle of a script.
	all, layoutMS, styleMS  float64
	layouts, styles, forced int
}

func (t tasks) String() string {
	return fmt.Sprintf("%d over 50 ms; the dearest took %.0f ms of processor time, all %.0f ms; %d layouts (%.0f ms, %d forced), %d style passes (%.0f ms)",
		t.over50, t.cpu, t.all, t.layouts, t.layoutMS, t.forced, t.styles, t.styleMS)
}

func tasksOf(events []json.RawMessage) (t tasks) {
	type key struct{ pid, tid int }
	main := map[key]bool{}
	type event struct {
		Name string  `json:"name"`
		Ph   string  `json:"ph"`
		PID  int     `json:"pid"`
		TID  int     `json:"tid"`
		Dur  float64 `json:"dur"`  // microseconds
		CPU  float64 `json:"tdur"` // microseconds of the thread
		TS   float64 `json:"ts"`
		Args struct {
			Name string `json:"name"`
		} `json:"args"`
	}
	var all, laid, scripts []event
	for _, raw := range events {
		var e event
		if json.Unmarshal(raw, &e) != nil {
			continue
		}
		switch {
		case e.Name == "thread_name" && e.Args.Name == "CrRendererMain":
			main[key{e.PID, e.TID}] = true
		case e.Ph == "X" && (e.Name == "RunTask" || e.Name == "ThreadControllerImpl::RunTask"):
			all = append(all, e)
		case e.Ph == "X" && (e.Name == "Layout" || e.Name == "UpdateLayoutTree"):
			laid = append(laid, e)
		case e.Ph == "X" && (e.Name == "FunctionCall" || e.Name == "EvaluateScript" || e.Name == "RunMicrotasks"):
			scripts = append(scripts, e)
		}
	}
	slices.SortFunc(scripts, func(a, b event) int { return cmp.Compare(a.TS, b.TS) })
	for _, e := range laid {
		if !main[key{e.PID, e.TID}] {
			continue
		}
		if e.Name == "UpdateLayoutTree" {
			t.styles, t.styleMS = t.styles+1, t.styleMS+e.CPU/1000
			continue
		}
		t.layouts, t.layoutMS = t.layouts+1, t.layoutMS+e.CPU/1000
		// Scripts nest: the outermost that began before is looked for among the last few.
		i, _ := slices.BinarySearchFunc(scripts, e.TS, func(s event, at float64) int { return cmp.Compare(s.TS, at) })
		for back := 1; back <= 8 && i-back >= 0; back++ {
			if s := scripts[i-back]; s.PID == e.PID && s.TID == e.TID && s.TS+s.Dur >= e.TS+e.Dur {
				t.forced++
				break
			}
		}
	}
	for _, e := range all {
		if !main[key{e.PID, e.TID}] {
			continue
		}
		t.all += e.CPU / 1000
		t.longest, t.cpu = max(t.longest, e.Dur/1000), max(t.cpu, e.CPU/1000)
		if e.Dur > 50_000 {
			t.over50++
		}
	}
	return t
}

// traced runs f and gives the trace of it.
func traced(ctx context.Context, f func() error) ([]json.RawMessage, error) {
	var mu sync.Mutex
	var events []json.RawMessage
	done := make(chan struct{})
	listen, stop := context.WithCancel(ctx)
	defer stop()
	if err := chromedp.Listen(listen, func(ev any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := ev.(type) {
		case *tracing.EventDataCollected:
			for _, v := range e.Value {
				events = append(events, json.RawMessage(v))
			}
		case *tracing.EventTracingComplete:
			close(done)
		}
	}); err != nil {
		return nil, err
	}
	call := func(f func(context.Context, *chromedp.Target) error) error {
		return chromedp.Do(ctx, chromedp.Func(f))
	}
	if err := call(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, tracing.Start, tracing.StartParams{TraceConfig: &tracing.TraceConfig{IncludedCategories: []string{"toplevel", "disabled-by-default-devtools.timeline", "devtools.timeline"}}})
		return err
	}); err != nil {
		return nil, fmt.Errorf("start the trace: %w", err)
	}
	err := f()
	if e := call(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, tracing.End, cdp.Empty{})
		return err
	}); err == nil {
		err = e
	}
	if err != nil {
		return nil, err
	}
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		return nil, fmt.Errorf("the trace did not come within 30 s")
	}
	mu.Lock()
	defer mu.Unlock()
	return events, nil
}

// heap is what the page's JavaScript holds after a collection, in MiB.
func heap(ctx context.Context) (float64, error) {
	var used float64
	err := chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		for range 2 {
			if _, err := cdp.Call(ctx, t, heapprofiler.CollectGarbage, cdp.Empty{}); err != nil {
				return err
			}
		}
		u, err := cdp.Call(ctx, t, runtime.GetHeapUsage, cdp.Empty{})
		used = u.UsedSize / (1 << 20)
		return err
	}))
	return used, err
}

// benchTimeline measures the page with a thread of 100,000 messages and beside ten that stream.
func benchTimeline(ctx context.Context, s *setup) ([]row, error) {
	program, err := exec.LookPath("chromium")
	if err != nil {
		return nil, fmt.Errorf("chromium is missing; `go run ./tools/check -only tools` installs it: %w", err)
	}
	messages, seconds, keys := 100_000, 120, 100
	if s.quick {
		messages, seconds, keys = 20_000, 40, 40
	}
	home, folder := filepath.Join(s.tmp, "timeline"), filepath.Join(s.tmp, "timeline-project")
	if out, err := exec.CommandContext(ctx, "git", "init", "-q", folder).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("git init: %w: %s", err, out)
	}
	if err := longthread.Write(ctx, home, folder, messages); err != nil {
		return nil, err
	}
	l, stop, err := startDesktop(ctx, s, home)
	if err != nil {
		return nil, err
	}
	defer stop()
	alloc, endAlloc := chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Headless, chromedp.WindowSize(1440, 900),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.UserDataDir(filepath.Join(s.tmp, "timeline-profile")))...)
	defer endAlloc()
	tab, endTab := chromedp.NewContext(alloc)
	defer endTab()
	defer chromedp.Cancel(tab)
	if err := chromedp.Do(tab, chromedp.Navigate("about:blank")); err != nil {
		return nil, err
	}
	run, cancel := context.WithTimeout(tab, 6*time.Minute)
	defer cancel()
	if err := chromedp.Do(run, chromedp.Navigate(l.URL), chromedp.Evaluate[chromedp.Void](timelineTools)); err != nil {
		return nil, err
	}
	last := longthread.AnswerID(messages / 2)
	var rows []row

	var opened, drawn float64
	trace, err := traced(run, func() (err error) {
		opened, err = chromedp.Run(run, chromedp.Evaluate[float64](fmt.Sprintf(openLong, last), chromedp.EvalAwaitPromise))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open the thread: %w", err)
	}
	openTask := tasksOf(trace)
	trace, err = traced(run, func() (err error) {
		far := longthread.AnswerID(messages / 4)
		to := fmt.Sprintf(`{path: "/t/local/%s/%s", key: %q}`, longthread.ThreadID, far, far)
		drawn, err = chromedp.Run(run, chromedp.Evaluate[float64](fmt.Sprintf(readLong, to, last), chromedp.EvalAwaitPromise))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the thread: %w", err)
	}
	readTask := tasksOf(trace)
	name := fmt.Sprintf("a thread of %d messages", messages)
	rows = append(rows,
		row{What: name + ": click to its last answer in view", Ours: opened, Unit: "ms", Runs: 1, Note: fmt.Sprintf("longest task %.0f ms; %v", openTask.longest, openTask)},
		row{What: name + ": longest task while scrolling, going to its middle and back", Ours: readTask.longest, Unit: "ms", Budget: "< 100 ms", Runs: 1, Note: fmt.Sprintf("%v; at most %.0f rows in the document", readTask, drawn)},
	)
	more, err := benchStreams(run, folder, seconds, keys)
	return append(rows, more...), err
}

// benchStreams types while ten threads stream.
func benchStreams(run context.Context, folder string, seconds, keys int) ([]row, error) {
	if err := chromedp.Do(run, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(streamTen, seconds, folder), chromedp.EvalAwaitPromise)); err != nil {
		return nil, fmt.Errorf("stream: %w", err)
	}
	before, err := heap(run)
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	trace, err := traced(run, func() error {
		for i := range keys {
			text := string(rune('a' + i%26))
			err := chromedp.Do(run, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
				for _, p := range []input.DispatchKeyEventParams{{Type: "keyDown", Key: text, Text: text, UnmodifiedText: text}, {Type: "keyUp", Key: text}} {
					if _, err := cdp.Call(ctx, t, input.DispatchKeyEvent, p); err != nil {
						return err
					}
				}
				return nil
			}))
			if err != nil {
				return err
			}
			select {
			case <-time.After(70 * time.Millisecond):
			case <-run.Done():
				return run.Err()
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("type: %w", err)
	}
	typing := tasksOf(trace)
	handled, err := chromedp.Run(run, chromedp.Evaluate[[]float64](`bench.handled`))
	if err != nil {
		return nil, err
	}
	painted, err := chromedp.Run(run, chromedp.Evaluate[[]float64](`bench.painted`))
	if err != nil {
		return nil, err
	}
	// Until shortly before the streams end.
	if left := time.Duration(seconds)*time.Second - time.Since(begun) - 8*time.Second; left > 0 {
		select {
		case <-time.After(left):
		case <-run.Done():
			return nil, run.Err()
		}
	}
	after, err := heap(run)
	if err != nil {
		return nil, err
	}
	h := sample(handled)
	a := h.row("ten threads stream: a key until the page has dealt with it", "ms")
	a.Budget, a.Note = "< 16 ms", fmt.Sprintf("p99 %.1f ms", h.quantile(0.99))
	p := sample(painted)
	b := p.row("ten threads stream: a key until the next frame is made", "ms")
	b.Note = fmt.Sprintf("p99 %.1f ms; a frame is 16.7 ms", p.quantile(0.99))
	return []row{a, b,
		{What: "ten threads stream: longest task while typing", Ours: typing.longest, Unit: "ms", Budget: "< 100 ms", Runs: 1, Note: typing.String()},
		{What: fmt.Sprintf("ten threads stream: growth of the page's heap in %.0f s", time.Since(begun).Seconds()), Ours: after - before, Unit: "MiB", Runs: 1, Note: fmt.Sprintf("from %.1f to %.1f MiB, each after a collection", before, after)},
	}, nil
}
