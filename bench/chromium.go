package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"catamaran/test/chromium"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/tracing"
	"github.com/chromedp/chromedp"
)

// newTab starts a Chromium with a profile of its own and gives its empty tab, which is good for a time.
func newTab(ctx context.Context, s *setup, name string, bound time.Duration) (run context.Context, end func(), err error) {
	program, err := chromium.Path()
	if err != nil {
		return nil, nil, err
	}
	alloc, endAlloc := chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Headless, chromedp.WindowSize(1440, 900),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.UserDataDir(filepath.Join(s.tmp, "profile-"+name)))...)
	tab, endTab := chromedp.NewContext(alloc)
	run, cancel := context.WithTimeout(tab, bound)
	end = func() {
		cancel()
		_ = chromedp.Cancel(tab)
		endTab()
		endAlloc()
	}
	if err := chromedp.Do(tab, chromedp.Navigate("about:blank")); err != nil {
		end()
		return nil, nil, err
	}
	return run, end, nil
}

// openPage opens the page in a new Chromium and puts pageTools into it.
func openPage(ctx context.Context, s *setup, name, url string, bound time.Duration) (run context.Context, end func(), err error) {
	run, end, err = newTab(ctx, s, name, bound)
	if err != nil {
		return nil, nil, err
	}
	if err := chromedp.Do(run, chromedp.Navigate(url), chromedp.Evaluate[chromedp.Void](pageTools)); err != nil {
		end()
		return nil, nil, err
	}
	return run, end, nil
}

// repository makes an empty repository, for a project.
func repository(ctx context.Context, s *setup, name string) (string, error) {
	folder := filepath.Join(s.tmp, name+"-project")
	if out, err := exec.CommandContext(ctx, "git", "init", "-q", folder).CombinedOutput(); err != nil {
		return "", fmt.Errorf("git init: %w: %s", err, out)
	}
	return folder, nil
}

// pageTools are put into the page once.
const pageTools = `window.bench = {
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
	// The same task is told twice, one in the other.
	slices.SortStableFunc(all, func(a, b event) int { return cmp.Or(cmp.Compare(a.TS, b.TS), cmp.Compare(b.Dur, a.Dur)) })
	until := map[key]float64{}
	for _, e := range all {
		k := key{e.PID, e.TID}
		if !main[k] || e.TS < until[k] {
			continue
		}
		until[k] = e.TS + e.Dur
		t.all += e.CPU / 1000
		t.longest, t.cpu = max(t.longest, e.Dur/1000), max(t.cpu, e.CPU/1000)
		if e.Dur > 50_000 {
			t.over50++
		}
	}
	return t
}

// traced runs f and gives the trace of it, which is kept under a name where traces are wanted.
func (s *setup) traced(ctx context.Context, name string, f func() error) ([]json.RawMessage, error) {
	categories := []string{"toplevel", "disabled-by-default-devtools.timeline", "devtools.timeline"}
	if s.trace != "" {
		categories = append(categories, "disabled-by-default-v8.cpu_profiler", "v8.execute", "loading", "blink.user_timing")
	}
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
		_, err := cdp.Call(ctx, t, tracing.Start, tracing.StartParams{TraceConfig: &tracing.TraceConfig{IncludedCategories: categories}})
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
	if s.trace == "" {
		return events, nil
	}
	b, err := json.Marshal(map[string]any{"traceEvents": events})
	if err == nil {
		err = os.MkdirAll(s.trace, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(s.trace, name+".json"), b, 0o644)
	}
	return events, err
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
