package mocks

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/cobridge/cobridge/bridge"
)

// seededIDs gives the n-th thing of a kind the same name in every run with the same
// seed, whatever else was named in between and whatever time it is.
type seededIDs struct {
	seed uint64

	mu     sync.Mutex
	counts map[string]uint64
}

var _ bridge.IDs = (*seededIDs)(nil)

func newSeededIDs(seed uint64) *seededIDs {
	return &seededIDs{seed: seed, counts: map[string]uint64{}}
}

// next returns the next number of a kind, and what follows from it and the seed.
func (s *seededIDs) next(kind string) (uint64, [sha256.Size]byte) {
	s.mu.Lock()
	s.counts[kind]++
	n := s.counts[kind]
	s.mu.Unlock()
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], s.seed)
	binary.BigEndian.PutUint64(b[8:], n)
	return n, sha256.Sum256(append(b[:], kind...))
}

// idEpoch is where the time in seeded ids begins: 2026-01-01T00:00:00Z in milliseconds.
const idEpoch = 1_767_225_600_000

// UUID implements [bridge.IDs]. As in the service, later ones sort after earlier ones
// (RFC 9562, version 7); the time in them is a number.
func (s *seededIDs) UUID(kind string) string {
	n, sum := s.next(kind)
	var b [16]byte
	copy(b[:], sum[:])
	var at [8]byte
	binary.BigEndian.PutUint64(at[:], idEpoch+n)
	copy(b[:6], at[2:])
	b[6], b[8] = b[6]&0x0f|0x70, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Number implements [bridge.IDs].
func (s *seededIDs) Number(kind string, below int64) int64 {
	_, sum := s.next(kind)
	return int64(binary.BigEndian.Uint64(sum[:8]) >> 1 % uint64(below)) //nolint:gosec // both fit: below is positive, the rest is less than it
}
