package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"
)

// summaryFormat begins the one section of an MSI's summary (FMTID_SummaryInformation).
var summaryFormat = []byte{0xe0, 0x85, 0x9f, 0xf2, 0xf9, 0x4f, 0x68, 0x10, 0xab, 0x91, 0x08, 0x00, 0x2b, 0x27, 0xb3, 0xd9}

// Properties of the summary, and their types, as [MS-OLEPS] has them.
const (
	propRevision, propCreated, propSaved = 9, 12, 13
	typeText, typeTime                   = 30, 64
)

// settleMSI writes the package's id and times into its summary: wixl makes up an
// id and takes the time of its run. What is not laid out as expected is an error.
func settleMSI(path, id string, at time.Time) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	f := bytes.Index(b, summaryFormat)
	if f < 28 || bytes.Contains(b[f+1:], summaryFormat) {
		return errors.New("the MSI has no summary, or several")
	}
	le := binary.LittleEndian
	// Offsets below are from the section's begin, which is given from the stream's, 28 bytes before the format.
	section := f - 28 + int(le.Uint32(b[f+16:]))
	const most = 4096 // of a stream that is stored in one piece
	end := section + int(le.Uint32(b[section:]))
	if section < f || end > len(b) || end-section > most {
		return errors.New("the MSI's summary is not where its head says")
	}
	// 100 ns since 1601.
	stamp := uint64(at.Unix()+11644473600) * 10_000_000
	done := 0
	for i := range int(le.Uint32(b[section+4:])) {
		entry := section + 8 + 8*i
		if entry+8 > end {
			return errors.New("the MSI's summary is cut off")
		}
		v := section + int(le.Uint32(b[entry+4:]))
		if v+8 > end { // type and the least value
			return errors.New("a property of the MSI's summary is cut off")
		}
		kind := le.Uint32(b[v:])
		switch prop := le.Uint32(b[entry:]); {
		case prop == propRevision && kind == typeText:
			text := "{" + id + "}"
			if n := int(le.Uint32(b[v+4:])); n < len(text) || v+8+n > end || b[v+8] != '{' {
				return fmt.Errorf("the MSI's id has %d bytes", n)
			}
			copy(b[v+8:], text)
			done++
		case (prop == propCreated || prop == propSaved) && kind == typeTime && v+12 <= end:
			le.PutUint64(b[v+4:], stamp)
			done++
		}
	}
	if done != 3 {
		return fmt.Errorf("%d of 3 properties of the MSI's summary were found", done)
	}
	return os.WriteFile(path, b, 0o644)
}
