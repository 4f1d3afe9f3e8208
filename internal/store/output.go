package store

import (
	"fmt"
	"os"
	"path/filepath"
	"unicode/utf8"
)

const (
	// OutputHead and OutputTail are what an item keeps of a tool's output, in bytes.
	OutputHead = 64 << 10
	OutputTail = 64 << 10
	// spillMost bounds the file that keeps the whole output.
	spillMost = 64 << 20
)

// Output collects the output of one tool call: whole while it is small, else
// head and tail, with the whole in DataDir/spill/<thread>/<item> up to 64 MiB.
// It is not safe for concurrent use.
type Output struct {
	path  string
	head  []byte // everything until it is more than OutputHead + OutputTail
	tail  []byte // the end, once capped; up to twice OutputTail between two trims
	total int64
	file  *os.File
}

// NewOutput collects output for an item; it writes nothing before there is too much of it.
func (s *Store) NewOutput(threadID, itemID string) *Output {
	return &Output{path: filepath.Join(s.o.Dir, spillDir, filepath.Base(threadID), filepath.Base(itemID))}
}

// Bytes is the size of the whole output.
func (o *Output) Bytes() int64 { return o.total }

// Capped says that Text is less than the whole.
func (o *Output) Capped() bool { return o.tail != nil }

// Append adds text. An error says that the spill file could not be written; head and tail are kept all the same.
func (o *Output) Append(text string) error {
	o.total += int64(len(text))
	if !o.Capped() {
		if len(o.head)+len(text) <= OutputHead+OutputTail {
			o.head = append(o.head, text...)
			return nil
		}
		whole := append(o.head, text...)
		err := o.spill(whole)
		o.head = append([]byte(nil), whole[:runeStart(whole, OutputHead)]...)
		o.tail = append(make([]byte, 0, 2*OutputTail), lastBytes(whole, OutputTail)...)
		return err
	}
	err := o.spill([]byte(text))
	if len(o.tail)+len(text) > 2*OutputTail {
		keep := append(o.tail, text...)
		o.tail = append(make([]byte, 0, 2*OutputTail), lastBytes(keep, OutputTail)...)
		return err
	}
	o.tail = append(o.tail, text...)
	return err
}

// Replace starts over with text.
func (o *Output) Replace(text string) error {
	o.Close()
	var err error
	if o.Capped() {
		if err = os.Remove(o.path); os.IsNotExist(err) {
			err = nil
		}
	}
	o.head, o.tail, o.total = nil, nil, 0
	if aerr := o.Append(text); aerr != nil {
		return aerr
	}
	return err
}

// Text is what the item shows: all of it, or head and tail with a line between them that says so.
func (o *Output) Text() string {
	if !o.Capped() {
		return string(o.head)
	}
	tail := lastBytes(o.tail, OutputTail)
	left := o.total - int64(len(o.head)) - int64(len(tail))
	if left <= 0 {
		left = 0
	}
	return fmt.Sprintf("%s\n[... %d bytes left out ...]\n%s", o.head, left, tail)
}

// Close closes the spill file; more output opens it again.
func (o *Output) Close() {
	if o.file != nil {
		o.file.Close()
		o.file = nil
	}
}

func (o *Output) spill(b []byte) error {
	before := o.total - int64(len(b))
	if before < 0 || o.tail == nil {
		before = 0
	}
	if before >= spillMost {
		return nil
	}
	if o.file == nil {
		if err := os.MkdirAll(filepath.Dir(o.path), 0o700); err != nil {
			return err
		}
		flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
		if before == 0 {
			flags = os.O_CREATE | os.O_WRONLY | os.O_TRUNC
		}
		f, err := os.OpenFile(o.path, flags, 0o600)
		if err != nil {
			return err
		}
		o.file = f
	}
	_, err := o.file.Write(b[:min(int64(len(b)), spillMost-before)])
	return err
}

// runeStart returns the last rune boundary of b at or before n.
func runeStart(b []byte, n int) int {
	if n >= len(b) {
		return len(b)
	}
	for n > 0 && !utf8.RuneStart(b[n]) {
		n--
	}
	return n
}

// lastBytes returns at most the last n bytes of b, from a rune boundary on.
func lastBytes(b []byte, n int) []byte {
	if len(b) <= n {
		return b
	}
	b = b[len(b)-n:]
	for len(b) > 0 && !utf8.RuneStart(b[0]) {
		b = b[1:]
	}
	return b
}

// ContinueOutput goes on with a capped output of which only what Text returned, and the whole size, are known.
func (s *Store) ContinueOutput(threadID, itemID, text string, total int64) *Output {
	o := s.NewOutput(threadID, itemID)
	b := []byte(text)
	at := runeStart(b, OutputHead)
	o.head = b[:at:at]
	o.tail = append(make([]byte, 0, 2*OutputTail), lastBytes(b[at:], OutputTail)...)
	o.total = total
	return o
}
