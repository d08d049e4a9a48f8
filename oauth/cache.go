package oauth

import (
	"crypto/sha256"
	"sync"
)

// tokenDigest is the SHA-256 of a raw token: the cache holds no token that could leak.
type tokenDigest [sha256.Size]byte

// signedToken is what a good signature vouches for. It is never changed.
type signedToken struct {
	principal Principal // without ClientName, which may change
}

// tokenCache remembers tokens whose signature was found good; bad ones are not worth
// room. It says nothing about expiry or revocation. It keeps two generations: a full
// young one becomes the old one, whose entries are dropped unless they are used again
// before the next change. So it never holds more than twice its limit, and needs neither
// a list nor a clock.
type tokenCache struct {
	limit int // of one generation

	mu         sync.RWMutex
	young, old map[tokenDigest]*signedToken
}

func newTokenCache(size int) *tokenCache {
	return &tokenCache{limit: max(1, size/2), young: make(map[tokenDigest]*signedToken)}
}

// get returns nil for an unknown token.
func (c *tokenCache) get(digest tokenDigest) *signedToken {
	c.mu.RLock()
	token, young := c.young[digest]
	if !young {
		token = c.old[digest]
	}
	c.mu.RUnlock()
	if token != nil && !young {
		c.put(digest, token)
	}
	return token
}

func (c *tokenCache) put(digest tokenDigest, token *signedToken) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.young) >= c.limit {
		c.old, c.young = c.young, make(map[tokenDigest]*signedToken)
	}
	c.young[digest] = token
}

// len counts the entries, one that stands in both generations twice.
func (c *tokenCache) len() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.young) + len(c.old)
}
