package redis

import (
	"context"
	"time"

	"github.com/redis/rueidis"
)

// OpenBetween opens a store that speaks to the server through what wrap makes of the client.
func OpenBetween(ctx context.Context, cfg Config, wrap func(rueidis.Client) rueidis.Client) (*Store, error) {
	return open(ctx, cfg, wrap)
}

// FinishLeftovers finishes changes that were begun at least the given time ago.
func (s *Store) FinishLeftovers(ctx context.Context, age time.Duration) (int, error) {
	return s.leftovers(ctx, age)
}

// LeftoverScript is the name of the script by which leftovers are found.
func LeftoverScript() string { return newScripts().leftover.sha }

// Key is the name of a key, and SessionKeys those of a session.
func (s *Store) Key(name string) string { return s.key(name) }

// SessionKeys are the keys of a session.
func (s *Store) SessionKeys(id string) []string { return s.sessionKeys(id) }

// Raw is how the store speaks to the server.
func (s *Store) Raw() rueidis.Client { return s.client }

// LeaseLength is how long a killed follower's name rests.
const LeaseLength = leaseLength

// DecimalTime and BinaryTime are forms of a moment, which ParseDecimalTime and TimeOf read.
func DecimalTime(t time.Time) string { return decimalTime(t) }

// ParseDecimalTime reads a moment.
func ParseDecimalTime(s string) (time.Time, error) { return parseDecimalTime(s) }

// BinaryTime is a moment in a member of an index.
func BinaryTime(t time.Time) string { return binaryTime(t) }

// TimeOf reads it.
func TimeOf(s string) time.Time { return timeOf(s) }

// Part is a string in a key.
func Part(s string) string { return part(s) }
