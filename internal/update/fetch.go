package update

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/atomicfile"
)

const (
	manifestName = "manifest.json"
	maxManifest  = 1 << 20
	checkBound   = 30 * time.Second
	// fetchBound limits a whole download, stallBound a silence within it.
	fetchBound = 30 * time.Minute
	stallBound = 60 * time.Second
)

// source is the folder on the update server that holds the manifest, its signature (.sig) and the archives.
type source struct {
	base   *url.URL
	client *http.Client
}

func newSource(base string) (*source, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && u.Hostname() == "127.0.0.1") {
		return nil, fmt.Errorf("the update server %q is not an https address", base)
	}
	return &source{base: u, client: &http.Client{CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > 5 || r.URL.Scheme != u.Scheme {
			return errors.New("the update server redirects to another kind of address, or too often")
		}
		return nil
	}}}, nil
}

func (s *source) get(ctx context.Context, name string, header http.Header) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base.JoinPath(name).String(), nil)
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		r.Header[k] = v
	}
	return s.client.Do(r)
}

// small fetches a bounded file whole.
func (s *source) small(ctx context.Context, name string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, checkBound, errors.New("the update server did not answer in time"))
	defer cancel()
	resp, err := s.get(ctx, name, nil)
	if err != nil {
		return nil, unreachable(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, unreachable(fmt.Errorf("%s: %s", name, resp.Status))
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxManifest+1))
	if err == nil && len(b) > maxManifest {
		err = fmt.Errorf("%s is larger than %d bytes", name, maxManifest)
	}
	if err != nil {
		return nil, unreachable(err)
	}
	return b, nil
}

func unreachable(err error) error {
	return &api.Error{Code: api.CodeUnavailable, Message: "The update server could not be asked.", Hint: "Check the connection and try again.", Retryable: true, Details: err.Error()}
}

// fetch downloads a file into dir under its digest and returns its path. A cut
// download goes on where it was, if the server can; progress is told in bytes.
// A file whose size or digest is wrong is removed.
func (s *source) fetch(ctx context.Context, f File, dir string, progress func(int64)) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	done := filepath.Join(dir, f.SHA256)
	if sum, err := digest(done); err == nil && sum == f.SHA256 {
		progress(f.Bytes)
		return done, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, fetchBound, errors.New("the download took longer than "+fetchBound.String()))
	defer cancel()
	part, err := os.OpenFile(done+".part", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer part.Close()
	have, err := part.Seek(0, io.SeekEnd)
	if err != nil {
		return "", err
	}
	if have > f.Bytes {
		have = 0
	}
	if have < f.Bytes {
		if have, err = s.rest(ctx, cancel, f, part, have, progress); err != nil {
			return "", err
		}
	}
	// Closed, because Windows neither moves nor removes an open file.
	if err := errors.Join(part.Sync(), part.Close()); err != nil {
		return "", err
	}
	sum, err := digest(done + ".part")
	if err != nil {
		return "", err
	}
	if sum != f.SHA256 || have != f.Bytes {
		os.Remove(done + ".part")
		return "", &api.Error{Code: api.CodeInvalid, Message: "The downloaded update is not what its publisher signed; it was thrown away.", Hint: "Try again later.", Retryable: true}
	}
	return done, atomicfile.Rename(done+".part", done)
}

func (s *source) rest(ctx context.Context, cancel context.CancelFunc, f File, part *os.File, have int64, progress func(int64)) (int64, error) {
	header := http.Header{}
	if have > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	resp, err := s.get(ctx, f.Name, header)
	if err != nil {
		return have, unreachable(err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusPartialContent:
	case http.StatusOK:
		have = 0 // the server sends all of it
	default:
		return have, unreachable(fmt.Errorf("%s: %s", f.Name, resp.Status))
	}
	if err := part.Truncate(have); err != nil {
		return have, err
	}
	if _, err := part.Seek(have, io.SeekStart); err != nil {
		return have, err
	}
	stall := time.AfterFunc(stallBound, cancel)
	defer stall.Stop()
	buf := make([]byte, 256<<10)
	for have < f.Bytes+1 {
		n, err := resp.Body.Read(buf)
		stall.Reset(stallBound)
		if n > 0 {
			if _, werr := part.Write(buf[:n]); werr != nil {
				return have, werr
			}
			have += int64(n)
			progress(have)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return have, unreachable(err)
		}
	}
	return have, nil
}

func digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
