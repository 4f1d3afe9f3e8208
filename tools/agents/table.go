package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	begin = "<!-- tested with: begin -->\n"
	end   = "<!-- tested with: end -->\n"
)

// report is what one run showed of one agent; package agenttest writes it.
type report struct {
	Agent, Version string
	Stories        []struct{ Name, Result string }
}

// table puts what the files in dir tell between the marks of a document. All agents
// must be there, so that no part of an older run is taken for one of this.
func table(dir, document string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return err
	}
	var all []report
	for _, f := range files {
		var r report
		b, err := os.ReadFile(f)
		if err == nil {
			err = json.Unmarshal(b, &r)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f, err)
		}
		all = append(all, r)
	}
	if len(all) != len(programs) {
		return fmt.Errorf("%d agents were tested, not %d", len(all), len(programs))
	}
	slices.SortFunc(all, func(a, b report) int { return strings.Compare(a.Agent, b.Agent) })
	b, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	head, rest, ok := strings.Cut(string(b), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no marks for the table", document)
	}
	return os.WriteFile(document, []byte(head+begin+markdown(all)+end+tail), 0o644)
}

func markdown(all []report) string {
	var b strings.Builder
	b.WriteString("| |")
	for _, r := range all {
		fmt.Fprintf(&b, " %s %s |", r.Agent, r.Version)
	}
	b.WriteString("\n| --- |" + strings.Repeat(" --- |", len(all)) + "\n")
	for _, s := range all[0].Stories {
		fmt.Fprintf(&b, "| %s |", s.Name)
		for _, r := range all {
			result := "not run"
			for _, o := range r.Stories {
				if o.Name == s.Name {
					result = o.Result
				}
			}
			if result == "absent" {
				result = "-"
			}
			fmt.Fprintf(&b, " %s |", result)
		}
		b.WriteString("\n")
	}
	return b.String()
}
