//go:build linux || darwin

package bridge

import "syscall"

// diskFree returns how many bytes the service can still write below dir; false if nobody knows.
func diskFree(dir string) (free int64, known bool) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return 0, false
	}
	return int64(stat.Bavail) * int64(stat.Bsize), true //nolint:gosec,unconvert // below 8 EB, and of another type on other systems
}
