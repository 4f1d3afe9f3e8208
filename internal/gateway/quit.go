package gateway

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"catamaran/internal/api"
)

// activityWait bounds the question to one backend; one that does not answer has nothing a person could lose by it.
const activityWait = 3 * time.Second

// Busy asks every backend that is up for turns that have not ended and names
// their threads, each with its environment.
func (g *Gateway) Busy(ctx context.Context) []string {
	envs := g.o.Environments.Snapshot().Environments
	names := make([][]string, len(envs))
	var wg sync.WaitGroup
	for i, e := range envs {
		if e.State != api.EnvReady && e.State != api.EnvDegraded {
			continue
		}
		wg.Go(func() {
			var a api.Activity
			if err := g.callBackendWithin(ctx, activityWait, e.ID, api.MethodActivity, api.Empty{}, &a); err != nil {
				g.o.Log.Warn("running turns are not known", "environment", e.ID, "error", err)
				return
			}
			for _, t := range a.Threads {
				title := t.Title
				if title == "" {
					title = "a thread without a title"
				}
				names[i] = append(names[i], fmt.Sprintf("%s (%s)", title, e.Name))
			}
		})
	}
	wg.Wait()
	var all []string
	for _, n := range names {
		all = append(all, n...)
	}
	return all
}

// quit ends the desktop after its answer; turns that would be cut off refuse it.
func (g *Gateway) quit(ctx context.Context, r api.Quit) (api.Empty, error) {
	if busy := g.Busy(ctx); len(busy) > 0 && !r.Force {
		return api.Empty{}, &api.Error{
			Code: api.CodeConflict, Message: fmt.Sprintf("%d threads are at work: %s.", len(busy), strings.Join(busy[:min(len(busy), 5)], ", ")),
			Hint: "Wait until they are done, or stop them. To end all the same: catamaran quit --force",
		}
	}
	g.o.Log.Info("asked to end")
	g.o.Quit()
	return api.Empty{}, nil
}
