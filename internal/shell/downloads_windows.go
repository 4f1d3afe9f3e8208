package shell

import "golang.org/x/sys/windows"

// downloads is this user's folder for downloads, wherever they have moved it; "" leaves it to the system.
func downloads() string {
	dir, err := windows.KnownFolderPath(windows.FOLDERID_Downloads, windows.KF_FLAG_DONT_VERIFY)
	if err != nil {
		return ""
	}
	return dir
}
