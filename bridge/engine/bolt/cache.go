package bolt

import "sync"

// recordCache holds records, decoded, by their id. What it holds is never changed, so
// it is handed out without a copy inside of this package. The writer puts what it has
// committed, or removes what is no longer so; a reader that had to look into the file
// adds what it found, unless the record was changed meanwhile.
type recordCache[K comparable, V any] struct {
	limit int

	mu      sync.RWMutex
	entries map[K]*V
	lookups map[K]*lookup
}

// lookup stands for readers who are looking for a record in the file.
type lookup struct{ readers int }

func newRecordCache[K comparable, V any](limit int) *recordCache[K, V] {
	return &recordCache[K, V]{limit: limit, entries: map[K]*V{}, lookups: map[K]*lookup{}}
}

// get returns nil if the record is not here.
func (c *recordCache[K, V]) get(id K) *V {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.entries[id]
}

// put is called by the writer, after the commit.
func (c *recordCache[K, V]) put(id K, record *V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.lookups, id)
	c.add(id, record)
}

// remove is called by the writer, after the commit that changed or ended it.
func (c *recordCache[K, V]) remove(id K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.lookups, id)
	delete(c.entries, id)
}

// add makes room by dropping whichever entry the map names first.
func (c *recordCache[K, V]) add(id K, record *V) {
	if _, here := c.entries[id]; !here && len(c.entries) >= c.limit {
		for other := range c.entries {
			delete(c.entries, other)
			break
		}
	}
	c.entries[id] = record
}

// begin is called before a reader opens its transaction.
func (c *recordCache[K, V]) begin(id K) *lookup {
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
func (c *recordCache[K, V]) finish(id K, l *lookup, found *V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lookups[id] != l {
		return
	}
	if l.readers--; l.readers == 0 {
		delete(c.lookups, id)
	}
	if found != nil {
		c.add(id, found)
	}
}
