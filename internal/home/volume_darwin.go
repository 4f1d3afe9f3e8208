package home

import "syscall"

const (
	mntReadOnly = 1 // MNT_RDONLY of statfs(2)
	mntNoExec   = 4 // MNT_NOEXEC
)

func volumeOf(path string) (Volume, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return Volume{}, err
	}
	return Volume{Free: s.Bavail * uint64(s.Bsize), ReadOnly: s.Flags&mntReadOnly != 0, NoExec: s.Flags&mntNoExec != 0}, nil
}
