package mocks

import (
	"fmt"
	"sync"
	"time"
)

// The years that a clock may begin in. Tokens count seconds from 1970, and what is kept
// for long must end before the year 10000, which JSON cannot write.
const (
	firstYear = 1970
	lastYear  = 2999
)

func checkTime(t time.Time) error {
	if year := t.UTC().Year(); year < firstYear || year > lastYear {
		return fmt.Errorf("the clock cannot begin in the year %d: want %d to %d", year, firstYear, lastYear)
	}
	return nil
}

// clock is a time that stands still until it is turned, or one that runs and can be
// turned as well.
type clock struct {
	mu     sync.Mutex
	now    time.Time // when it was turned last
	turned time.Time // in truth; zero = the clock stands still
	alarms map[*alarm]struct{}
}

// alarm goes off when its time has come.
type alarm struct {
	due   time.Time
	timer *time.Timer
	rings chan struct{} // closed when it goes off

	set  time.Time // in truth
	wait time.Duration
}

// over reports whether the time has come. It may be so a moment before the alarm is
// heard: a caller who has waited exactly as long as he was told is not too early.
func (a *alarm) over() bool {
	select {
	case <-a.rings:
		return true
	default:
		return time.Since(a.set) >= a.wait //nolint:forbidigo // the caller's timer runs in truth
	}
}

func newClock(now time.Time) *clock {
	return &clock{now: now.UTC().Truncate(time.Millisecond), alarms: map[*alarm]struct{}{}}
}

// Now is a cobridge.Clock.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.time()
}

// time is called with mu held.
func (c *clock) time() time.Time {
	if c.turned.IsZero() {
		return c.now
	}
	return c.now.Add(time.Since(c.turned)).Truncate(time.Millisecond) //nolint:forbidigo // it runs as fast as time does in truth
}

// run makes the clock go on by itself from now on.
func (c *clock) run() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turned = time.Now() //nolint:forbidigo // see time
}

// turn moves the clock on and sets off what is due.
func (c *clock) turn(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	now := c.time()
	for a := range c.alarms {
		if !a.due.After(now) {
			c.ring(a)
		}
	}
}

// after returns an alarm that goes off when the clock has been turned by d or when
// as much real time has passed, whichever comes first: a test that turns the clock
// need not wait, and one that does not is not stuck.
func (c *clock) after(d time.Duration) *alarm {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := &alarm{due: c.time().Add(d), rings: make(chan struct{}), wait: d}
	a.set = time.Now() //nolint:forbidigo // see over
	c.alarms[a] = struct{}{}
	a.timer = time.AfterFunc(d, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ring(a)
	})
	return a
}

// ring is called with mu held; setting off an alarm twice changes nothing.
func (c *clock) ring(a *alarm) {
	if _, set := c.alarms[a]; !set {
		return
	}
	delete(c.alarms, a)
	a.timer.Stop()
	close(a.rings)
}

// stop sets off all alarms.
func (c *clock) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for a := range c.alarms {
		c.ring(a)
	}
}
