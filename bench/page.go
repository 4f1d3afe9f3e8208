package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	"catamaran/internal/api"

	"github.com/chromedp/chromedp"
)

// changed clicks its way through a mode change and tells the milliseconds from the confirming click until the dialog has closed.
const changed = `(async (mode) => {
	const find = (id) => document.querySelector('[data-testid="' + id + '"]');
	const until = async (f, bound = 20000) => {
		for (const end = performance.now() + bound; performance.now() < end;) {
			const found = f();
			if (found) return found;
			await new Promise(requestAnimationFrame);
		}
		throw new Error("nothing came of " + f);
	};
	if (!find("mode-" + mode)) (await until(() => find("open-settings"))).click();
	(await until(() => find("mode-" + mode))).click();
	const confirm = await until(() => find("mode-confirm"));
	const begun = performance.now();
	confirm.click();
	await until(() => !find("mode-dialog") && find("mode-" + mode)?.dataset.selected === "true", 30000);
	return performance.now() - begun;
})(%q)`

// painted tells when the page first painted and when it was usable, in milliseconds since the navigation began.
const painted = `(async () => {
	const usable = () => document.querySelector('[data-testid="add-project"]');
	while (!usable()) await new Promise(requestAnimationFrame);
	const now = performance.now();
	return [performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? now, now];
})()`

// pageRun opens the page of a new desktop beside a simulated WSL in a new browser and does something with it; the tab is still empty.
func pageRun(ctx context.Context, s *setup, name string, do func(run context.Context, url string) error) error {
	scenario := filepath.Join(s.tmp, name)
	if out, err := exec.CommandContext(ctx, s.program("wslsim"), "wslsim-init", scenario).CombinedOutput(); err != nil {
		return fmt.Errorf("make a scenario: %w: %s", err, out)
	}
	exe := filepath.Join(scenario, "wsl.exe")
	l, stop, err := startDesktop(ctx, s, filepath.Join(s.tmp, name+"-home"), "CATAMARAN_WSL_EXE="+exe)
	if err != nil {
		return err
	}
	defer exec.Command(exe, "--shutdown").Run()
	defer stop()
	run, end, err := newTab(ctx, s, name, time.Minute)
	if err != nil {
		return err
	}
	defer end()
	return do(run, l.URL)
}

// benchPage drives Chromium through the first load.
func benchPage(ctx context.Context, s *setup) ([]row, error) {
	var paint, usable sample
	for i := range s.runs(8) {
		name := fmt.Sprintf("page%d", i)
		err := pageRun(ctx, s, name, func(run context.Context, url string) error {
			load := func() error {
				if err := chromedp.Do(run, chromedp.Navigate(url)); err != nil {
					return err
				}
				times, err := chromedp.Run(run, chromedp.Evaluate[[]float64](painted, chromedp.EvalAwaitPromise))
				if err == nil {
					paint, usable = append(paint, times[0]), append(usable, times[1])
				}
				return err
			}
			if s.trace == "" {
				return load()
			}
			// A trace slows what it shows.
			_, err := s.traced(run, name, load)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("first load: %w", err)
		}
	}
	a := paint.row("page: first paint, cold profile", "ms")
	a.Budget, a.Peer = "< 200 ms", "256-364 ms"
	b := usable.row("page: usable, cold profile", "ms")
	b.Budget, b.Peer = "< 400 ms", "1,268-1,373 ms"
	return []row{a, b}, nil
}

// benchChange changes the mode in the page and back, twice; the second time everything is warm.
func benchChange(ctx context.Context, s *setup) ([]row, error) {
	var there, back sample
	for i := range s.runs(8) {
		err := pageRun(ctx, s, fmt.Sprintf("change%d", i), func(run context.Context, url string) error {
			if err := chromedp.Do(run, chromedp.Navigate(url)); err != nil {
				return err
			}
			for _, step := range []struct {
				mode api.Mode
				out  *sample
			}{{api.ModeWSLOnly, nil}, {api.ModeLocal, nil}, {api.ModeWSLOnly, &there}, {api.ModeLocal, &back}} {
				took, err := chromedp.Run(run, chromedp.Evaluate[float64](fmt.Sprintf(changed, step.mode), chromedp.EvalAwaitPromise))
				if err != nil {
					return fmt.Errorf("change to %s: %w", step.mode, err)
				}
				if step.out != nil {
					*step.out = append(*step.out, took)
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	a := there.row("mode change local to wsl-only in the page (simulator, warm), click to dialog closed", "ms")
	a.Budget, a.Peer = "< 1 s", "up to 30 s"
	b := back.row("mode change wsl-only to local in the page, click to dialog closed", "ms")
	b.Budget = "< 1 s"
	return []row{a, b}, nil
}
