package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"time"
)

// part is a library inside the packages.
type part struct {
	kind, name, version string
	text                string // its licence files
	spdx                string
}

// licences is what is inside the packages and under which terms.
type licences struct {
	version string
	parts   []part
	text    string
}

// licenceFile matches the files that carry a library's terms.
var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)([.-].*)?$`)

// collect reads the terms of every module that any of the programs links, on
// any system, and of every package in the page's bundle. One without a licence
// file is an error: nothing is shipped whose terms are not known.
func collect(version string) (*licences, error) {
	l := &licences{version: version}
	seen := map[string]bool{}
	for _, in := range []struct {
		dir, tags string
		packages  []string
	}{
		{".", "", []string{"./cmd/catamaran", "./cmd/catamaran-backend"}},
		{"desktop", "production,gtk3", []string{"."}},
	} {
		for _, goos := range []string{"linux", "windows", "darwin"} {
			if in.dir == "desktop" && goos == "darwin" {
				continue // it is not built for it
			}
			mods, err := modules(in.dir, goos, in.tags, in.packages)
			if err != nil {
				return nil, err
			}
			for _, m := range mods {
				if key := m.Path + "@" + m.Version; !seen[key] {
					seen[key] = true
					if err := l.add("golang", m.Path, m.Version, m.Dir); err != nil {
						return nil, err
					}
				}
			}
		}
	}
	root, err := output("go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	goVersion, err := output("go", "env", "GOVERSION")
	if err != nil {
		return nil, err
	}
	if err := l.add("golang", "std", strings.TrimSpace(goVersion), strings.TrimSpace(root)); err != nil {
		return nil, err
	}
	if err := l.page(); err != nil {
		return nil, err
	}
	sort.Slice(l.parts, func(i, j int) bool {
		a, b := l.parts[i], l.parts[j]
		return a.kind+a.name+a.version < b.kind+b.name+b.version
	})
	var b strings.Builder
	b.WriteString("Catamaran contains the following software of others, each under its own terms.\n")
	for _, p := range l.parts {
		fmt.Fprintf(&b, "\n%[1]s\n%[2]s %[3]s\n%[1]s\n\n%[4]s\n", strings.Repeat("-", 78), p.name, p.version, strings.TrimSpace(p.text))
	}
	l.text = b.String()
	return l, nil
}

type module struct {
	Path, Version, Dir string
	Main               bool
	Replace            *module
}

func modules(dir, goos, tags string, packages []string) ([]module, error) {
	cmd := exec.Command("go", append([]string{"list", "-deps", "-tags", tags, "-json=Module"}, packages...)...)
	cmd.Dir = dir
	cgo := "CGO_ENABLED=0"
	if dir == "desktop" && goos == "linux" {
		cgo = "CGO_ENABLED=1"
	}
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH=amd64", cgo)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list modules for %s: %w", goos, err)
	}
	var all []module
	dec := json.NewDecoder(bytes.NewReader(out))
	for dec.More() {
		var p struct{ Module *module }
		if err := dec.Decode(&p); err != nil {
			return nil, err
		}
		if p.Module != nil && !p.Module.Main && !strings.HasPrefix(p.Module.Path, "catamaran") {
			all = append(all, *p.Module)
		}
	}
	return all, nil
}

func (l *licences) add(kind, name, version, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	p := part{kind: kind, name: name, version: version}
	for _, e := range entries {
		if !e.Type().IsRegular() || !licenceFile.MatchString(e.Name()) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		p.text += strings.ReplaceAll(string(b), "\r\n", "\n") + "\n"
	}
	if p.text == "" {
		return fmt.Errorf("%s %s has no licence file", name, version)
	}
	if p.spdx = recognise(p.text); strings.Contains(p.spdx, "GPL") {
		return fmt.Errorf("%s %s is under %s, which these packages must not contain", name, version, p.spdx)
	}
	l.parts = append(l.parts, p)
	return nil
}

// page adds what the bundler says it has put into the page.
func (l *licences) page() error {
	b, err := os.ReadFile("out/page/page-licences.json")
	if err != nil {
		return fmt.Errorf("the page's list of libraries is missing (make dist makes it): %w", err)
	}
	var list []struct{ Name, Version, Identifier, Text string }
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	if len(list) == 0 {
		return fmt.Errorf("the page's list of libraries is empty")
	}
	for _, p := range list {
		if p.Text == "" {
			p.Text = p.Identifier
		}
		if p.Text == "" || strings.Contains(recognise(p.Text), "GPL") {
			return fmt.Errorf("the page contains %s %s under terms that are not known or not possible: %q", p.Name, p.Version, p.Identifier)
		}
		l.parts = append(l.parts, part{kind: "npm", name: p.Name, version: p.Version, text: p.Text, spdx: p.Identifier})
	}
	return nil
}

// recognise names the common licences by words that only they have; "" when it does not know.
func recognise(text string) string {
	t := strings.Join(strings.Fields(text), " ")
	switch {
	case strings.Contains(t, "GNU AFFERO GENERAL PUBLIC LICENSE"):
		return "AGPL-3.0"
	case strings.Contains(t, "GNU LESSER GENERAL PUBLIC LICENSE"):
		return "LGPL-3.0"
	case strings.Contains(t, "GNU GENERAL PUBLIC LICENSE") && !strings.Contains(t, "Mozilla Public License"):
		return "GPL-3.0"
	case strings.Contains(t, "Mozilla Public License"):
		return "MPL-2.0"
	case strings.Contains(t, "Apache License") && strings.Contains(t, "Version 2.0"):
		return "Apache-2.0"
	case strings.Contains(t, "Permission is hereby granted, free of charge"):
		return "MIT"
	case strings.Contains(t, "Permission to use, copy, modify, and/or distribute"), strings.Contains(t, "Permission to use, copy, modify, and distribute"):
		return "ISC"
	case strings.Contains(t, "Redistribution and use in source and binary forms"):
		if strings.Contains(t, "Neither the name") {
			return "BSD-3-Clause"
		}
		return "BSD-2-Clause"
	}
	return ""
}

// writeSBOM writes a CycloneDX 1.5 document.
func (l *licences) writeSBOM(to string, at time.Time) error {
	type component map[string]any
	var parts []component
	for _, p := range l.parts {
		c := component{"type": "library", "name": p.name, "version": p.version,
			"purl": fmt.Sprintf("pkg:%s/%s@%s", p.kind, strings.ReplaceAll(p.name, "@", "%40"), p.version)}
		if p.spdx != "" {
			c["licenses"] = []any{map[string]any{"expression": p.spdx}}
		}
		parts = append(parts, c)
	}
	doc := map[string]any{
		"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
		"metadata": map[string]any{
			"timestamp": at.Format(time.RFC3339),
			"component": component{"type": "application", "name": "catamaran", "version": l.version, "licenses": []any{map[string]any{"expression": "MIT"}}},
		},
		"components": parts,
	}
	b, err := json.MarshalIndent(doc, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(to, append(b, '\n'), 0o644)
}
