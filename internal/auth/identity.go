package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"catamaran/internal/atomicfile"
)

// Identity is a backend's or a gateway's identity, kept in its state folder.
// It is safe for concurrent use.
type Identity struct {
	EnvironmentID string // UUID
	key           []byte
	dir           string

	mu      sync.Mutex
	revoked map[[sha256.Size]byte]time.Time // until when each is worth remembering
}

// IdentityFile is the name of the identity within a state folder.
const IdentityFile = "identity"

// keyBytes is the size of a signing key.
const keyBytes = 32

// identityFile is what the file holds.
type identityFile struct {
	Version       int    `json:"version"`
	EnvironmentID string `json:"environmentId"`
	Key           []byte `json:"key"`
}

// LoadIdentity reads dir/identity, or creates it (0600, exclusively, fsynced,
// folder 0700). Two processes racing end with one identity. A file that cannot
// be understood is an error, never replaced: a new identity would orphan every
// session and every client that knows the old one.
func LoadIdentity(dir string) (*Identity, error) {
	path := filepath.Join(dir, IdentityFile)
	id, err := readIdentity(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return at(id, dir), err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create identity: %w", err)
	}
	if err := createIdentity(dir, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("create identity: %w", err)
	}
	id, err = readIdentity(path)
	return at(id, dir), err
}

func at(id *Identity, dir string) *Identity {
	if id != nil {
		id.dir = dir
	}
	return id
}

// Replace puts a new identity in the place of this one's file, for a state folder
// that is a copy of another (a cloned distro). It counts from the next
// LoadIdentity on: this process goes on with the old one, so that what is signed
// in stays so until it ends.
func (id *Identity) Replace() error {
	b, err := newIdentity()
	if err != nil {
		return fmt.Errorf("replace identity: %w", err)
	}
	f, err := os.CreateTemp(id.dir, ".identity-*") // 0600, O_EXCL
	if err != nil {
		return fmt.Errorf("replace identity: %w", err)
	}
	defer os.Remove(f.Name()) // fails once it was renamed
	if err := writeSynced(f, b); err != nil {
		return fmt.Errorf("replace identity: %w", err)
	}
	if err := atomicfile.Rename(f.Name(), filepath.Join(id.dir, IdentityFile)); err != nil {
		return fmt.Errorf("replace identity: %w", err)
	}
	syncFolder(id.dir)
	return nil
}

func newIdentity() ([]byte, error) {
	key := make([]byte, keyBytes)
	rand.Read(key)
	return json.Marshal(identityFile{Version: 1, EnvironmentID: newUUID(), Key: key})
}

func syncFolder(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync() // folders cannot be synced everywhere
		d.Close()
	}
}

func readIdentity(path string) (*Identity, error) {
	f, err := atomicfile.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read identity: %w", err)
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.Mode().Perm()&0o077 != 0 {
		// Readable by others, e.g. after a restore from a backup. Systems
		// without such bits ignore this.
		_ = os.Chmod(path, 0o600)
	}
	b, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return nil, fmt.Errorf("read identity: %w", err)
	}
	id, err := parseIdentity(b)
	if err != nil {
		return nil, fmt.Errorf("read identity %s: %w; move the file away to get a new identity", path, err)
	}
	return id, nil
}

var uuidPattern = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// parseIdentity never quotes what it read: the bytes may hold the key.
func parseIdentity(b []byte) (*Identity, error) {
	var f identityFile
	if json.Unmarshal(b, &f) != nil {
		return nil, errors.New("not an identity file")
	}
	if f.Version != 1 {
		return nil, fmt.Errorf("version %d is not known to this program", f.Version)
	}
	if len(f.Key) != keyBytes {
		return nil, errors.New("the signing key is damaged")
	}
	if !uuidPattern.MatchString(f.EnvironmentID) {
		return nil, errors.New("the environment id is damaged")
	}
	return &Identity{EnvironmentID: f.EnvironmentID, key: f.Key, revoked: map[[sha256.Size]byte]time.Time{}}, nil
}

// createIdentity writes the whole file under another name and links it into
// place, so that a racing process sees either no file or a complete one.
func createIdentity(dir, path string) error {
	b, err := newIdentity()
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".identity-*") // 0600, O_EXCL
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := writeSynced(f, b); err != nil {
		return err
	}
	err = os.Link(f.Name(), path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		// No hard links here (FAT, some network file systems): exclusive
		// creation still ends with one identity.
		f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		err = writeSynced(f, b)
	}
	if err != nil {
		return err
	}
	syncFolder(dir)
	return nil
}

func writeSynced(f *os.File, b []byte) error {
	_, err := f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// newUUID returns a random (version 4) UUID.
func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
