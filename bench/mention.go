package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/file"
	"catamaran/internal/git"
)

// benchMention is the "@" mention over 100,000 files: making the list, and one
// key press once it is there. Beside it stands Git's own listing.
func benchMention(ctx context.Context, s *setup) ([]row, error) {
	dir := filepath.Join(s.tmp, "mention")
	words := []string{"server", "client", "engine", "Thread", "view", "model", "test", "util", "parser", "render", "Index", "config", "store", "queue", "agent", "turn"}
	const folders, each = 2500, 40
	for f := range folders {
		n := f * 2654435761 >> 4
		at := filepath.Join(dir, "packages", words[n&15], words[n>>4&15]+fmt.Sprint(f), "src")
		if err := os.MkdirAll(at, 0o755); err != nil {
			return nil, err
		}
		for i := range each {
			if err := os.WriteFile(filepath.Join(at, fmt.Sprintf("%s%s%d.go", words[(n>>8+i)&15], words[i&15], i)), nil, 0o644); err != nil {
				return nil, err
			}
		}
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "-A"}} {
		if _, err := git.Run(ctx, git.Command{Dir: dir, Args: args}); err != nil {
			return nil, err
		}
	}
	var listing, ours sample
	for range s.runs(8) {
		began := time.Now()
		if _, err := git.Run(ctx, git.Command{Dir: dir, Args: []string{"ls-files", "-z", "-c", "-o", "-m", "-d", "--exclude-standard"}}); err != nil {
			return nil, err
		}
		listing = append(listing, ms(time.Since(began)))
		f := file.New(nil)
		began = time.Now()
		if _, err := f.Find(ctx, dir, api.FileFind{Query: "x"}); err != nil {
			return nil, err
		}
		ours = append(ours, ms(time.Since(began)))
		f.Close()
	}
	first := ours.row("first mention among 100,000 files", "ms")
	first.OtherName, first.Other = "git ls-files", listing.quantile(0.5)

	f := file.New(nil)
	defer f.Close()
	var keys sample
	for range s.runs(20) {
		for _, q := range []string{"s", "se", "ser", "serv", "thrvw", "pkgsrvThread42", "engine/agent"} {
			began := time.Now()
			if _, err := f.Find(ctx, dir, api.FileFind{Query: q}); err != nil {
				return nil, err
			}
			keys = append(keys, ms(time.Since(began)))
		}
	}
	keys = keys[1:] // the one that made the list
	typed := keys.row("a mention's key press among 100,000 files", "ms")
	typed.Budget = "< 20 ms"
	return []row{first, typed}, nil
}
