package store

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"catamaran/internal/api"
)

// ReadOutput returns a part of an output that was spilled, from about offset on
// and at most limit bytes (at least a character's), cut between characters.
// ErrNotFound tells that there is no spill file.
func (s *Store) ReadOutput(threadID, itemID string, offset, limit int64) (api.ItemOutputPart, error) {
	f, err := os.Open(filepath.Join(s.o.Dir, spillDir, filepath.Base(threadID), filepath.Base(itemID)))
	if errors.Is(err, os.ErrNotExist) {
		return api.ItemOutputPart{}, ErrNotFound
	}
	if err != nil {
		return api.ItemOutputPart{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return api.ItemOutputPart{}, err
	}
	return Cut(f, info.Size(), offset, limit)
}

// Cut reads a part of total bytes of text as ReadOutput describes it.
func Cut(r io.ReaderAt, total, offset, limit int64) (api.ItemOutputPart, error) {
	at := min(max(offset, 0), total)
	b := make([]byte, min(max(limit, utf8.UTFMax), total-at))
	n, err := r.ReadAt(b, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return api.ItemOutputPart{}, err
	}
	b = b[:n]
	for skipped := 0; at > 0 && skipped < utf8.UTFMax && len(b) > 0 && !utf8.RuneStart(b[0]); skipped++ {
		b, at = b[1:], at+1
	}
	for cut := 1; at+int64(len(b)) < total && cut < utf8.UTFMax && cut <= len(b); cut++ {
		if c := b[len(b)-cut]; utf8.RuneStart(c) {
			if !utf8.FullRune(b[len(b)-cut:]) {
				b = b[:len(b)-cut]
			}
			break
		}
	}
	return api.ItemOutputPart{Text: strings.ToValidUTF8(string(b), "\uFFFD"), Offset: at, Next: at + int64(len(b)), Total: total}, nil
}

// DropSpill removes the spill files of a thread.
func (s *Store) DropSpill(threadID string) error {
	return os.RemoveAll(filepath.Join(s.o.Dir, spillDir, filepath.Base(threadID)))
}

// SweepSpill removes the spill files of threads that are gone: a backend killed while it deleted one leaves them.
func (s *Store) SweepSpill(ctx context.Context) error {
	entries, err := os.ReadDir(filepath.Join(s.o.Dir, spillDir))
	if os.IsNotExist(err) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	ids, err := s.ThreadIDs(ctx)
	if err != nil {
		return err
	}
	known := "\n" + strings.Join(ids, "\n") + "\n"
	for _, e := range entries {
		if !strings.Contains(known, "\n"+e.Name()+"\n") {
			if err := s.DropSpill(e.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

// ThreadIDs returns the ids of all threads, archived ones too.
func (s *Store) ThreadIDs(ctx context.Context) ([]string, error) {
	return s.ids(ctx, "SELECT id FROM threads")
}
