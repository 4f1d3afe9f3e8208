package store

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"catamaran/internal/api"
)

var errLocked = errors.New("locked by another process")

const (
	// ownWait bounds the wait for a lock that this very process has just given back.
	ownWait, ownPause = 2 * time.Second, 10 * time.Millisecond
)

// lockSoon takes the lock, or says at once that another process has it. One that
// this process had is waited for: a child between fork and exec has a copy of
// the closed file, and with it the lock, for a moment.
func lockSoon(f *os.File, path string) error {
	deadline := time.Now().Add(ownWait)
	for {
		err := lockFileNow(f)
		if !errors.Is(err, errLocked) || time.Now().After(deadline) {
			return err
		}
		text, _ := os.ReadFile(path)
		if strings.TrimSpace(string(text)) != strconv.Itoa(os.Getpid()) {
			return err
		}
		time.Sleep(ownPause)
	}
}

// takeLock holds the data folder for this process. The lock is the system's, so
// it ends with the process in any way; the pid inside is only for people.
func takeLock(path, dir string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store: lock: %w", err)
	}
	if err := lockSoon(f, path); err != nil {
		who := "another backend"
		if text, rerr := os.ReadFile(path); rerr == nil {
			if pid, perr := strconv.Atoi(strings.TrimSpace(string(text))); perr == nil {
				who = fmt.Sprintf("another backend (process %d)", pid)
			}
		}
		f.Close()
		if !errors.Is(err, errLocked) {
			return nil, fmt.Errorf("store: lock %s: %w", path, err)
		}
		return nil, &api.Error{Code: api.CodeDatabaseOwned, Retryable: true,
			Message: fmt.Sprintf("The data folder %s is in use by %s.", dir, who),
			Hint:    "End that backend, or start this one with another data folder."}
	}
	if err := f.Truncate(0); err == nil {
		f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return f, nil
}
