package term

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"

	"catamaran/internal/api"
	"catamaran/internal/atomicfile"
)

// A terminal lies in two files of the terminals' folder: <id>.json, the record,
// replaced as a whole, and <id>.history. That one is a ring like the one in
// memory: after the head byte n lies at n % bound. A save writes what is new,
// so a terminal that never stops printing costs a bounded amount of writing.
//
// The head is written twice: before the bytes, without those that are about to
// be overwritten, and after them. Whenever the backend is killed, what the head
// names is there.
const (
	headSize  = 32
	headMagic = 0x43544d48 // "CTMH"
	savePiece = 256 << 10
)

// record is <id>.json.
type record struct {
	Terminal api.Terminal `json:"terminal"`
	Command  string       `json:"command,omitempty"`
	// Keypad and Modes are an emulator's state where the history begins, Last* where it ends.
	Start emulator `json:"start"`
	Last  emulator `json:"last"`
}

type emulator struct {
	Keypad bool         `json:"keypad,omitempty"`
	Modes  map[int]bool `json:"modes,omitempty"`
}

func (s *scanner) emulator() emulator {
	c := s.clone()
	return emulator{Keypad: c.keypad, Modes: c.modes}
}

func (e emulator) scanner() scanner { return scanner{keypad: e.Keypad, modes: e.Modes} }

// file is where a terminal is kept.
type file struct {
	dir, id string
	saved   int64 // everything before is in the file
	start   emulator
}

func (f *file) path(ext string) string { return filepath.Join(f.dir, f.id+ext) }

func head(start, end int64) []byte {
	b := binary.BigEndian.AppendUint32(nil, headMagic)
	b = binary.BigEndian.AppendUint64(b, uint64(start))
	b = binary.BigEndian.AppendUint64(b, uint64(end))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return append(b, make([]byte, headSize-len(b))...)
}

// parseHead reads a head; ok is false for anything else.
func parseHead(b []byte, bound int) (start, end int64, ok bool) {
	if len(b) < headSize || binary.BigEndian.Uint32(b) != headMagic || binary.BigEndian.Uint32(b[20:]) != crc32.ChecksumIEEE(b[:20]) {
		return 0, 0, false
	}
	s, e := binary.BigEndian.Uint64(b[4:]), binary.BigEndian.Uint64(b[12:])
	if s > e || e > maxSeq || e-s > uint64(bound) {
		return 0, 0, false
	}
	return int64(s), int64(e), true
}

// load reads the history; one that is damaged or missing is empty.
func (f *file) load(bound int, grew func(n int)) (*history, error) {
	h := newHistory(bound, grew)
	h.dropped = f.start.scanner()
	in, err := os.Open(f.path(".history"))
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	if err != nil {
		return nil, err
	}
	defer in.Close()
	b := make([]byte, headSize)
	if _, err := in.ReadAt(b, 0); err != nil {
		return h, nil
	}
	start, end, ok := parseHead(b, bound)
	if !ok {
		return h, nil
	}
	h.start, h.end = start, start
	piece := make([]byte, savePiece)
	for h.end < end {
		at := h.end % int64(bound)
		n := min(end-h.end, int64(len(piece)), int64(bound)-at)
		if _, err := in.ReadAt(piece[:n], headSize+at); err != nil {
			h.release()
			return nil, err
		}
		h.append(piece[:n])
	}
	f.saved = end
	return h, nil
}

// save brings the files up to date. It holds the terminal's lock for copying only.
func (t *terminal) save() error {
	t.saveMu.Lock()
	defer t.saveMu.Unlock()
	t.mu.Lock()
	if t.gone || t.history == nil {
		t.mu.Unlock()
		return nil
	}
	t.dirty = false
	t.pinned++
	h := t.history
	rec := record{Terminal: t.info, Command: t.command, Start: h.dropped.emulator(), Last: t.head.emulator()}
	start, end := h.start, h.end
	t.mu.Unlock()
	err := t.saveHistory(h, start, end)
	if err == nil {
		err = t.file.saveRecord(rec)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pinned--
	t.dirty = t.dirty || err != nil
	return err
}

// saveHistory writes what is new of h, which was from start to end.
func (t *terminal) saveHistory(h *history, start, end int64) error {
	f := &t.file
	if f.saved == end {
		return nil
	}
	out, err := os.OpenFile(f.path(".history"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	from := max(start, f.saved)
	if _, err := out.WriteAt(head(start, from), 0); err != nil {
		return err
	}
	buf := make([]byte, min(savePiece, end-from))
	for at := from; at < end; {
		place := at % int64(t.m.bound)
		t.mu.Lock()
		n := h.copy(buf[:min(int64(len(buf)), end-at, int64(t.m.bound)-place)], at)
		kept := h.start
		t.mu.Unlock()
		if n == 0 {
			// The program has printed more than the bound since: what it was is gone.
			at = min(kept, end)
			start = max(start, at)
			continue
		}
		if _, err := out.WriteAt(buf[:n], headSize+place); err != nil {
			return err
		}
		at += int64(n)
	}
	if _, err := out.WriteAt(head(start, end), 0); err != nil {
		return err
	}
	f.saved = end
	return nil
}

func (f *file) saveRecord(rec record) error {
	b, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	tmp := f.path(".json.tmp")
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return atomicfile.Rename(tmp, f.path(".json"))
}

func (f *file) remove() {
	for _, ext := range []string{".json", ".history", ".json.tmp"} {
		_ = os.Remove(f.path(ext)) // a terminal without a record is swept at the next start
	}
}

// loadRecord reads a record; its error says which.
func loadRecord(path string) (record, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return record{}, err
	}
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return r, nil
}
