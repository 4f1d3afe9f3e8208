package home

import "golang.org/x/sys/windows"

func volumeOf(path string) (Volume, error) {
	p, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return Volume{}, err
	}
	var v Volume
	err = windows.GetDiskFreeSpaceEx(p, &v.Free, nil, nil)
	return v, err
}
