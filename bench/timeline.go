package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"catamaran/test/longthread"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// What the page is made to do, in its own words.
const (
	// openLong opens the long thread once the page has come to rest, and tells the milliseconds until its last answer is in view.
	openLong = `(async (last) => {
		const row = await bench.until(() => bench.find("thread-row"));
		for (let i = 0; i < 3; i++) await new Promise(requestIdleCallback);
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

// benchTimeline measures the page with a thread of 100,000 messages.
func benchTimeline(ctx context.Context, s *setup) ([]row, error) {
	messages := 100_000
	if s.quick {
		messages = 20_000
	}
	home := filepath.Join(s.tmp, "timeline")
	folder, err := repository(ctx, s, "timeline")
	if err != nil {
		return nil, err
	}
	if err := longthread.Write(ctx, home, folder, messages); err != nil {
		return nil, err
	}
	l, stop, err := startDesktop(ctx, s, home)
	if err != nil {
		return nil, err
	}
	defer stop()
	run, end, err := openPage(ctx, s, "timeline", l.URL, 6*time.Minute)
	if err != nil {
		return nil, err
	}
	defer end()
	last := longthread.AnswerID(messages / 2)
	var rows []row

	var opened, drawn float64
	trace, err := s.traced(run, "open", func() (err error) {
		opened, err = chromedp.Run(run, chromedp.Evaluate[float64](fmt.Sprintf(openLong, last), chromedp.EvalAwaitPromise))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open the thread: %w", err)
	}
	openTask := tasksOf(trace)
	trace, err = s.traced(run, "read", func() (err error) {
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
	return rows, nil
}

// benchTyping types while ten threads stream.
func benchTyping(ctx context.Context, s *setup) ([]row, error) {
	seconds, keys := 120, 100
	if s.quick {
		seconds, keys = 40, 40
	}
	folder, err := repository(ctx, s, "typing")
	if err != nil {
		return nil, err
	}
	l, stop, err := startDesktop(ctx, s, filepath.Join(s.tmp, "typing"))
	if err != nil {
		return nil, err
	}
	defer stop()
	run, end, err := openPage(ctx, s, "typing", l.URL, 6*time.Minute)
	if err != nil {
		return nil, err
	}
	defer end()
	if err := chromedp.Do(run, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(streamTen, seconds, folder), chromedp.EvalAwaitPromise)); err != nil {
		return nil, fmt.Errorf("stream: %w", err)
	}
	before, err := heap(run)
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	trace, err := s.traced(run, "typing", func() error {
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
