//go:build !linux && !darwin

package bridge

// diskFree returns how many bytes the service can still write below dir; false if nobody knows.
func diskFree(string) (free int64, known bool) { return 0, false }
