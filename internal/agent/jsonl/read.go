package jsonl

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// readBuffer is what one read asks for; lines beyond it grow by doubling, so that
// a long line costs time in proportion to its length.
const readBuffer = 64 << 10

func (p *Peer) read() error {
	r := bufio.NewReaderSize(p.o.Reader, readBuffer)
	for {
		line, err := p.readLine(r)
		if line = bytes.TrimSpace(line); len(line) > 0 {
			p.dispatch(line)
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				return io.EOF
			}
			return fmt.Errorf("read: %w", err)
		}
	}
}

// readLine returns a line that stays valid after the next call; nil for one over
// the bound, which it has reported.
func (p *Peer) readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	tooLong := false
	for {
		part, err := r.ReadSlice('\n')
		switch {
		case tooLong:
		case len(line)+len(part) > p.o.MaxLine+1:
			tooLong = true
			if len(line) == 0 {
				line = part
			}
			p.garbage(line, fmt.Errorf("%w: more than %d bytes", ErrLineTooLong, p.o.MaxLine))
			line = nil
		default:
			line = append(line, part...)
		}
		if err == nil || !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

func (p *Peer) garbage(line []byte, reason error) {
	if len(line) > GarbageBytes {
		line = line[:GarbageBytes]
	}
	p.o.Garbage(bytes.Clone(line), reason)
}

func present(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

func (p *Peer) dispatch(line []byte) {
	var in Incoming
	var err error
	if p.o.Dialect != nil {
		in, err = p.o.Dialect.Decode(line)
	} else {
		err = json.Unmarshal(line, &in)
	}
	if err != nil {
		p.garbage(line, err)
		return
	}
	if present(in.Method) {
		m := Message{Params: in.Params}
		if err := json.Unmarshal(in.Method, &m.Method); err != nil {
			p.garbage(line, fmt.Errorf("%w: method: %w", ErrNoMessage, err))
			return
		}
		if present(in.ID) {
			if c := in.ID[0]; c == '{' || c == '[' || c == 't' || c == 'f' {
				p.garbage(line, fmt.Errorf("%w: id is neither number nor string", ErrNoMessage))
				return
			}
			m.ID = in.ID
		}
		p.o.Handle(m)
		return
	}
	if !present(in.ID) {
		p.garbage(line, ErrNoMessage)
		return
	}
	p.mu.Lock()
	c := p.pending[string(in.ID)]
	delete(p.pending, string(in.ID))
	p.mu.Unlock()
	if c == nil {
		return // answered late, or never asked
	}
	a := answer{result: in.Result}
	if present(in.Error) {
		a = answer{err: decodeError(in.Error)}
	}
	c <- a
}

// decodeError is lenient: what has not the shape of an error becomes its text.
func decodeError(raw json.RawMessage) error {
	e := new(Error)
	if err := json.Unmarshal(raw, e); err != nil || (e.Code == 0 && e.Message == "") {
		return &Error{Code: CodeInternal, Message: string(raw[:min(len(raw), GarbageBytes)])}
	}
	return e
}
