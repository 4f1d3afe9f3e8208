package home

import "syscall"

const (
	stReadOnly = 1 // ST_RDONLY of statfs(2)
	stNoExec   = 8 // ST_NOEXEC
)

func volumeOf(path string) (Volume, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return Volume{}, err
	}
	return Volume{Free: s.Bavail * uint64(s.Bsize), ReadOnly: s.Flags&stReadOnly != 0, NoExec: s.Flags&stNoExec != 0}, nil
}
