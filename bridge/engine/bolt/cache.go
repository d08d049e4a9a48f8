package bolt

import (
	"sync"

	"github.com/cobridge/cobridge/cobrowse"
)

// sessionCache holds live sessions, decoded. What it holds is never changed, so it is
// handed out without a copy inside of this package. The writer puts what it has
// committed; a reader that had to look into the file adds what it found, unless the
// session was changed meanwhile.
type sessionCache struct {
	limit int

	mu      sync.RWMutex
	entries map[cobrowse.SessionID]*cobrowse.Session
	lookups map[cobrowse.SessionID]*lookup
}

// lookup stands for readers who are looking for a session in the file.
type lookup struct{ readers int }

func newSessionCache(limit int) *sessionCache {
	return &sessionCache{limit: limit, entries: map[cobrowse.SessionID]*cobrowse.Session{}, lookups: map[cobrowse.SessionID]*lookup{}}
}

// get returns nil if the session is not here.
func (c *sessionCache) get(id cobrowse.SessionID) *cobrowse.Session {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.entries[id]
}

// put is called by the writer, after the commit.
func (c *sessionCache) put(s *cobrowse.Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.lookups, s.ID)
	c.add(s)
}

// remove is called by the writer, after the commit that ended the session.
func (c *sessionCache) remove(id cobrowse.SessionID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.lookups, id)
	delete(c.entries, id)
}

// add makes room by dropping whichever entry the map names first.
func (c *sessionCache) add(s *cobrowse.Session) {
	if _, here := c.entries[s.ID]; !here && len(c.entries) >= c.limit {
		for id := range c.entries {
			delete(c.entries, id)
			break
		}
	}
	c.entries[s.ID] = s
}

// begin is called before a reader opens its transaction.
func (c *sessionCache) begin(id cobrowse.SessionID) *lookup {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.lookups[id]
	if l == nil {
		l = &lookup{}
		c.lookups[id] = l
	}
	l.readers++
	return l
}

// finish is called with what the reader found, or nil. A lookup that the writer has
// taken away in between may have found what is no longer true.
func (c *sessionCache) finish(id cobrowse.SessionID, l *lookup, found *cobrowse.Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lookups[id] != l {
		return
	}
	if l.readers--; l.readers == 0 {
		delete(c.lookups, id)
	}
	if found != nil {
		c.add(found)
	}
}
