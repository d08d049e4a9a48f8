package cobridge

import "time"

// Clock tells the time. Everything that judges expiry is given one, so that
// tests decide what time it is. Implementations may be called concurrently.
type Clock func() time.Time

// Now returns the clock's time in UTC, cut to milliseconds: that is what the
// wire and the stores keep, so a value survives a round trip unchanged.
func (c Clock) Now() time.Time {
	return c().UTC().Truncate(time.Millisecond)
}
