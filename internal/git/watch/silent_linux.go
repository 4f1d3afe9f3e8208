package watch

import "syscall"

// defaultMost is below the bound of older kernels, 8,192 for all programs of a user.
const defaultMost = 6000

// silent reports whether the file system of path sends no notices of changes made
// elsewhere: Windows drives in WSL (9p, virtiofs), network shares, FUSE.
// Magic numbers: statfs(2).
func silent(path string) bool {
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return false
	}
	switch uint32(st.Type) {
	case 0x01021997, 0x6a656a63, 0x6969, 0xff534d42, 0xfe534d42, 0x517b, 0x65735546:
		return true
	}
	return false
}
