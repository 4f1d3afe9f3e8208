package term

// history is the last bytes of a terminal, numbered from the first byte it ever
// had. It grows with its content up to its bound, then drops the oldest.
type history struct {
	buf   []byte // a ring: byte n lies at n % len(buf)
	bound int
	start int64 // number of the oldest byte kept
	end   int64 // number of the next byte
	// dropped follows what leaves, so that the modes at the start are known.
	dropped scanner
}

// firstHistory is the first allocation in bytes.
const firstHistory = 64 << 10

func newHistory(bound int) *history { return &history{bound: bound} }

// append adds b, which may be longer than the bound.
func (h *history) append(b []byte) {
	h.grow(len(b))
	for len(b) > 0 {
		at := int(h.end % int64(len(h.buf)))
		n := min(len(b), len(h.buf)-at)
		if over := int(h.end-h.start) + n - len(h.buf); over > 0 {
			h.drop(over)
		}
		copy(h.buf[at:], b[:n])
		h.end += int64(n)
		b = b[n:]
	}
}

// drop forgets the n oldest bytes.
func (h *history) drop(n int) {
	for n > 0 {
		at := int(h.start % int64(len(h.buf)))
		piece := min(n, len(h.buf)-at)
		h.dropped.feed(h.buf[at : at+piece])
		h.start += int64(piece)
		n -= piece
	}
}

func (h *history) grow(more int) {
	need := int(h.end-h.start) + more
	if need <= len(h.buf) || len(h.buf) == h.bound {
		return
	}
	size := max(len(h.buf), min(firstHistory, h.bound))
	for size < need && size < h.bound {
		size *= 2
	}
	size = min(size, h.bound)
	buf := make([]byte, size)
	for seq := h.start; seq < h.end; {
		piece := h.at(seq)
		at := int(seq % int64(size))
		n := copy(buf[at:], piece)
		seq += int64(n)
	}
	h.buf = buf
}

// at returns kept bytes from seq on, as far as they lie in one piece; nil where there are none.
func (h *history) at(seq int64) []byte {
	if seq < h.start || seq >= h.end {
		return nil
	}
	at := int(seq % int64(len(h.buf)))
	return h.buf[at:min(len(h.buf), at+int(h.end-seq))]
}

// copy copies kept bytes from seq on into b and returns how many.
func (h *history) copy(b []byte, seq int64) int {
	total := 0
	for len(b) > total {
		n := copy(b[total:], h.at(seq+int64(total)))
		if n == 0 {
			break
		}
		total += n
	}
	return total
}

// modesAt returns the state of an emulator before seq, and the first place from
// there on where a reader can begin: in no sequence and at the start of a line,
// if there is one within search bytes.
func (h *history) modesAt(seq int64, search int) (int64, scanner) {
	s := h.dropped.clone()
	for at := h.start; at < seq; {
		piece := h.at(at)
		piece = piece[:min(len(piece), int(seq-at))]
		s.feed(piece)
		at += int64(len(piece))
	}
	if seq == 0 {
		return 0, s
	}
	found, at := int64(-1), seq
	began := s.clone()
	for at < h.end && at < seq+int64(search) {
		c := h.at(at)[0]
		s.feed([]byte{c})
		at++
		if !s.ground() {
			continue
		}
		if c == '\n' {
			return at, s
		}
		if found < 0 && c < 0x80 {
			found, began = at, s.clone()
		}
	}
	if found < 0 {
		return seq, began
	}
	return found, began
}
