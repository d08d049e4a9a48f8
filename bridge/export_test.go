package bridge

// SetDiskFree has the application ask the function how much room a disk has. Call it
// before the application serves.
func (a *App) SetDiskFree(free func() int64) {
	a.diskFree = func(string) (int64, bool) { return free(), true }
}
