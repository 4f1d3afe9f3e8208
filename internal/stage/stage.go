// Package stage puts the right backend in place inside a distro: one sh script,
// run by the same wsl.exe call that then becomes the backend, probes for the
// content-addressed file, takes it over stdin when it is missing, verifies,
// renames, prunes and execs. It knows pipes, not wsl.exe, starts no process
// and touches nothing on the desktop's side but the files it carries. Package
// environment calls it.
//
// Invariants: nothing more is written to the backend's stdin until the script
// has said that it is done reading, so that a `head` that reads ahead loses
// nothing; not one byte after the script's last line is taken from stdout; a
// stream that is cut anywhere leaves no executable file.
package stage

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"catamaran/internal/api"
)

const (
	marker = "CATAMARAN-STAGE "
	// maxNoise bounds what a distro may print before the script has its say, maxLine one line of the script.
	maxNoise = 256 << 10
	maxLine  = 4 << 10
)

// Placed is the outcome of a negotiation: a backend that is about to be executed.
type Placed struct {
	// Rest continues stdout right after the negotiation.
	Rest io.Reader
	// Arch is amd64 or arm64, Digest the lower-case hex SHA-256 of that carried backend.
	Arch, Digest string
	// Staged says that the file was copied just now; Verified that the distro had a
	// tool to check its SHA-256. Without one only its size was checked there, and the
	// digest in the backend's hello is what remains to compare.
	Staged, Verified bool
}

// Negotiate talks with the script until it is about to exec the backend.
// Errors are *api.Error CodeStageFailed naming the cause and a remedy,
// io.ErrUnexpectedEOF (wrapped) when stdout ended first, or ctx's cause; after
// an error the caller ends the process, which also ends what Negotiate may
// still have under way on the two pipes. skipped gets output that was not the
// script's, progress the stage in words; both may be nil and are called from
// the calling goroutine.
func (c *Carried) Negotiate(ctx context.Context, stdin io.Writer, stdout io.Reader, skipped func([]byte), progress func(string)) (Placed, error) {
	if skipped == nil {
		skipped = func([]byte) {}
	}
	if progress == nil {
		progress = func(string) {}
	}
	l := &lines{src: stdout, mark: []byte(marker + c.nonce + " "), noise: skipped}
	var p Placed
	var sent chan error
	for {
		line, err := l.next(ctx)
		if err != nil {
			return Placed{}, err
		}
		word, rest, _ := strings.Cut(line, " ")
		arch, how, _ := strings.Cut(rest, " ")
		switch word {
		case "need":
			b, ok := c.backends[arch]
			if !ok || sent != nil {
				return Placed{}, unexpected(line)
			}
			progress("copying the backend")
			sent = make(chan error, 1)
			go func() { sent <- send(stdin, b) }()
		case "staged":
			if sent == nil {
				return Placed{}, unexpected(line)
			}
			select {
			case err := <-sent:
				if err != nil {
					return Placed{}, fmt.Errorf("stage: %w", err)
				}
			case <-ctx.Done():
				return Placed{}, context.Cause(ctx)
			}
			p.Staged, p.Verified = true, how == "sha256"
		case "exec":
			if c.backends[arch].digest == "" || (sent != nil) != p.Staged {
				return Placed{}, unexpected(line)
			}
			progress("starting the backend")
			p.Arch, p.Digest, p.Rest = arch, c.backends[arch].digest, l.rest()
			return p, nil
		case "fail":
			return Placed{}, failure(rest)
		default:
			return Placed{}, unexpected(line)
		}
	}
}

func send(w io.Writer, b backend) error {
	f, err := os.Open(b.path)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := io.CopyBuffer(struct{ io.Writer }{w}, io.LimitReader(f, b.size), make([]byte, 64<<10))
	if err == nil && n < b.size {
		err = fmt.Errorf("%s has become shorter", b.path)
	}
	return err
}

// lines finds the script's lines in a stream that may hold anything else. The
// marker is searched in raw bytes, since the noise may be in another encoding
// and need not end with a newline.
type lines struct {
	src     io.Reader
	mark    []byte
	noise   func([]byte)
	buf     []byte
	skipped int
	eof     error
}

func (l *lines) next(ctx context.Context) (string, error) {
	for {
		if i := bytes.Index(l.buf, l.mark); i >= 0 {
			if err := l.skip(i); err != nil {
				return "", err
			}
			body := l.buf[len(l.mark):]
			if j := bytes.IndexByte(body, '\n'); j >= 0 && j <= maxLine {
				line := string(bytes.TrimRight(body[:j], " \r"))
				l.buf = body[j+1:]
				return line, nil
			} else if j > maxLine || len(body) > maxLine {
				return "", unexpected("a line without an end")
			}
		} else if keep := len(l.mark) - 1; len(l.buf) > keep {
			if err := l.skip(len(l.buf) - keep); err != nil {
				return "", err
			}
		}
		if err := l.fill(ctx); err != nil {
			return "", err
		}
	}
}

func (l *lines) skip(n int) error {
	if n == 0 {
		return nil
	}
	l.noise(l.buf[:n])
	l.skipped += n
	l.buf = l.buf[n:]
	if l.skipped > maxNoise {
		return &api.Error{Code: api.CodeStageFailed, Message: "the distro prints without end instead of starting the backend",
			Hint: "Look at the log for what it prints, and at the distro's /etc/wsl.conf boot command.", Retryable: true}
	}
	return nil
}

// fill reads once. The read runs aside so that ctx can end the wait; none is
// under way when fill has returned nil, so nothing after the last line is lost.
func (l *lines) fill(ctx context.Context) error {
	if l.eof != nil {
		if len(l.buf) > 0 {
			l.noise(l.buf)
			l.buf = nil
		}
		if l.eof == io.EOF {
			l.eof = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("stage: the distro's output ended: %w", l.eof)
	}
	type result struct {
		b   []byte
		err error
	}
	done := make(chan result, 1)
	go func() {
		b := make([]byte, 4096)
		n, err := l.src.Read(b)
		done <- result{b[:n], err}
	}()
	select {
	case r := <-done:
		l.buf = append(l.buf, r.b...)
		l.eof = r.err
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *lines) rest() io.Reader {
	if l.eof != nil {
		return bytes.NewReader(l.buf)
	}
	return io.MultiReader(bytes.NewReader(l.buf), l.src)
}
