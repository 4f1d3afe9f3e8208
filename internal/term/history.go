package term

// history is the last bytes of a terminal, numbered from the first byte it ever
// had. It grows with its content up to its bound, then drops the oldest.
type history struct {
	// chunks are a ring of equal pieces, made when they are first needed: byte n lies in
	// the piece n/chunk % len(chunks). A single block would be copied as it grows, and
	// leave as much garbage as it holds.
	chunks [][]byte
	chunk  int
	bound  int
	start  int64 // number of the oldest byte kept
	end    int64 // number of the next byte
	// grew is told how many bytes more are held, or with a negative number fewer; it may be nil.
	grew func(n int)
	// dropped follows what leaves, so that the modes at the start are known.
	dropped scanner
}

// historyChunk is the size of a piece in bytes.
const historyChunk = 64 << 10

func newHistory(bound int, grew func(n int)) *history {
	chunk := min(historyChunk, bound)
	return &history{chunks: make([][]byte, (bound+chunk-1)/chunk), chunk: chunk, bound: bound, grew: grew}
}

// append adds b, which may be longer than the bound.
func (h *history) append(b []byte) {
	for len(b) > 0 {
		into := h.into()
		n := min(len(b), len(into))
		if over := int(h.end-h.start) + n - h.bound; over > 0 {
			h.drop(over)
		}
		copy(into, b[:n])
		h.end += int64(n)
		b = b[n:]
	}
}

// into is where the next bytes go: the rest of a piece, no longer than the bound.
func (h *history) into() []byte {
	i := int(h.end / int64(h.chunk) % int64(len(h.chunks)))
	if h.chunks[i] == nil {
		h.chunks[i] = make([]byte, h.chunk)
		h.held(h.chunk)
	}
	return h.chunks[i][h.end%int64(h.chunk):]
}

// drop forgets the n oldest bytes.
func (h *history) drop(n int) {
	for n > 0 {
		piece := h.at(h.start)
		piece = piece[:min(n, len(piece))]
		h.dropped.feed(piece)
		h.start += int64(len(piece))
		n -= len(piece)
	}
}

// at returns kept bytes from seq on, as far as they lie in one piece; nil where there are none.
func (h *history) at(seq int64) []byte {
	if seq < h.start || seq >= h.end {
		return nil
	}
	at := int(seq % int64(h.chunk))
	return h.chunks[seq/int64(h.chunk)%int64(len(h.chunks))][at:min(h.chunk, at+int(h.end-seq))]
}

// release lets go of everything: nothing is kept any more.
func (h *history) release() {
	h.start = h.end
	for i := range h.chunks {
		if h.chunks[i] != nil {
			h.chunks[i] = nil
			h.held(-h.chunk)
		}
	}
}

func (h *history) held(n int) {
	if h.grew != nil {
		h.grew(n)
	}
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
