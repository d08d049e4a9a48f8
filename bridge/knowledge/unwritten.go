package knowledge

import (
	"sync"
	"time"
)

// unwritten remembers calls that the store does not know of, so that each restarts
// the idle time-out and few are written. It is lost with the process: a session then
// expires early, by the time between two writes at most.
type unwritten struct {
	most   int // sessions that there is room for
	mu     sync.Mutex
	access map[Key]time.Time
}

// add reports whether it has taken the call in; else it has to be written.
func (u *unwritten) add(key Key, at time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	known, ok := u.access[key]
	if !ok && len(u.access) >= u.most {
		return false
	}
	if u.access == nil {
		u.access = map[Key]time.Time{}
	}
	if at.After(known) {
		u.access[key] = at
	}
	return true
}

// last returns the latest call that it knows of, else the zero time.
func (u *unwritten) last(key Key) time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.access[key]
}

// written forgets the calls up to the given time.
func (u *unwritten) written(key Key, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.access[key].After(at) {
		delete(u.access, key)
	}
}

// forget forgets all calls up to the given time.
func (u *unwritten) forget(at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for key, access := range u.access {
		if !access.After(at) {
			delete(u.access, key)
		}
	}
}
