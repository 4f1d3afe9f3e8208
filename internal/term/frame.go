package term

import (
	"encoding/binary"
	"errors"

	"catamaran/internal/api"
)

const (
	// MaxFrameID bounds a subscription's id in a frame: one byte tells its length.
	MaxFrameID = 255
	// maxSeq is the last number that a page holds exactly.
	maxSeq = 1 << 53
	fixed  = 10
)

// Frame is one binary message of the WebSocket: kind (1 byte), length of the
// subscription's id (1 byte), the id, Seq (8 bytes, big-endian), Data to the end.
type Frame struct {
	Kind byte
	ID   string
	Seq  int64
	Data []byte
}

// ErrFrame: the bytes are no frame.
var ErrFrame = errors.New("not a terminal frame")

// HeadSize is how many bytes of a frame of the subscription id come before its data.
func HeadSize(id string) int { return fixed + len(id) }

// AppendHead appends a frame's head to b. The id has 1 to MaxFrameID bytes.
func AppendHead(b []byte, kind byte, id string, seq int64) []byte {
	b = append(b, kind, byte(len(id)))
	b = append(b, id...)
	return binary.BigEndian.AppendUint64(b, uint64(seq))
}

// ParseFrame reads a frame; Data is part of b. The error is ErrFrame.
func ParseFrame(b []byte) (Frame, error) {
	if len(b) < fixed || b[0] < api.TerminalOutput || b[0] > api.TerminalTaken || b[1] == 0 {
		return Frame{}, ErrFrame
	}
	head := fixed + int(b[1])
	if len(b) < head {
		return Frame{}, ErrFrame
	}
	seq := binary.BigEndian.Uint64(b[head-8 : head])
	if seq > maxSeq {
		return Frame{}, ErrFrame
	}
	return Frame{Kind: b[0], ID: string(b[2 : head-8]), Seq: int64(seq), Data: b[head:]}, nil
}
