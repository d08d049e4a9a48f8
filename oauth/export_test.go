package oauth

import (
	"crypto/subtle"
	"sync/atomic"
)

// The tests below look at what no caller can see.
var (
	NewJWK       = newJWK
	KeyRetention = keyRetention
	KeyRefresh   = keyRefresh
	Leeway       = issuedAtLeeway
)

// CountCompares makes s count its comparisons of secrets.
func CountCompares(s *Service) *atomic.Int64 {
	var n atomic.Int64
	s.compare = func(x, y []byte) int {
		n.Add(1)
		return subtle.ConstantTimeCompare(x, y)
	}
	return &n
}

// CacheLen is how many signatures s remembers.
func CacheLen(s *Service) int { return s.cache.len() }

// ForgetSignatures empties the memory of s, which nobody else may be using.
func ForgetSignatures(s *Service) { s.cache = newTokenCache(defaultCacheSize) }
