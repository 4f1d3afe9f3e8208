package agenttest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// ReportVar names the folder that a run writes what it showed into, a file for each
// target; tools/agents makes the table of docs/agents.md of them.
const ReportVar = "CATAMARAN_AGENTS_REPORT"

// Report is what one run of the suite showed of one agent.
type Report struct {
	Agent   string `json:"agent"`
	Version string `json:"version"`
	// Stories by name: ok, failed, or absent where the agent has nothing of the kind.
	Stories []StoryResult `json:"stories"`
}

// StoryResult is how one story went.
type StoryResult struct {
	Name   string `json:"name"`
	Result string `json:"result"`
}

// recording collects one run.
type recording struct {
	mu     sync.Mutex
	report Report
}

func (r *recording) story(t *testing.T, name string, has bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := len(r.report.Stories)
	r.report.Stories = append(r.report.Stories, StoryResult{name, "absent"})
	if !has {
		return
	}
	t.Cleanup(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.report.Stories[at].Result = "ok"
		if t.Failed() {
			r.report.Stories[at].Result = "failed"
		}
	})
}

// version keeps what the agent says of itself.
func (r *recording) version(v string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v != "" {
		r.report.Version = v
	}
}

// write writes the file, for real agents only: those with a report's name.
func (r *recording) write(t *testing.T) {
	dir := os.Getenv(ReportVar)
	if dir == "" || r.report.Agent == "" {
		return
	}
	b, err := json.MarshalIndent(r.report, "", "  ")
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, r.report.Agent+".json"), b, 0o644)
	}
	if err != nil {
		t.Errorf("report: %v", err)
	}
}
