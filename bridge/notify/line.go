package notify

import (
	"context"
	"sync"
	"time"

	"github.com/cobridge/cobridge/oauth"
)

// End says why a line ended.
type End string

// The ends of a line.
const (
	EndReplaced End = "replaced" // a later connection took its place
	EndExpired  End = "expired"  // the channel's time is over, or it had to make room
	EndToken    End = "token"    // the token that the channel lives by has died
	EndSlow     End = "slow"     // too much waited for it
	EndClosed   End = "closed"   // by its reader
)

// Line is the end of a channel that one connection reads.
type Line struct {
	service *Service
	channel ChannelID

	// Guarded by service.mu.
	token   oauth.Principal
	topics  map[string]struct{}
	version uint64
	expires time.Time

	ready chan struct{} // has an element when frames wait
	done  chan struct{}

	mu     sync.Mutex // may be taken with service.mu held, never the other way round
	frames [][]byte
	size   int
	why    End
}

func newLine(s *Service, id ChannelID) *Line {
	return &Line{service: s, channel: id, ready: make(chan struct{}, 1), done: make(chan struct{})}
}

// Ready has an element when there may be something to take.
func (l *Line) Ready() <-chan struct{} { return l.ready }

// Done is closed when the line has ended. What waits then need not be taken.
func (l *Line) Done() <-chan struct{} { return l.done }

// Why returns why the line has ended; "" while it has not.
func (l *Line) Why() End {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.why
}

// Take returns the frames that wait, oldest first. They are shared: nobody changes them.
func (l *Line) Take() [][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	frames := l.frames
	l.frames, l.size = nil, 0
	return frames
}

// Put adds a frame for this line alone. A line that has no room for it ends.
func (l *Line) Put(frame []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.why != "":
	case len(l.frames) >= l.service.limits.Frames || l.size+len(frame) > l.service.limits.Bytes:
		l.end(EndSlow)
	default:
		l.frames, l.size = append(l.frames, frame), l.size+len(frame)
		select {
		case l.ready <- struct{}{}:
		default: // it knows
		}
	}
}

// end ends the line, once; mu is held.
func (l *Line) end(why End) {
	if l.why == "" {
		l.why, l.frames, l.size = why, nil, 0
		close(l.done)
	}
}

func (l *Line) finish(why End) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end(why)
}

// Check ends the line if its channel's time is over, and returns how long that is away.
func (l *Line) Check() time.Duration {
	s := l.service
	s.mu.RLock()
	left := l.expires.Sub(s.clock.Now())
	s.mu.RUnlock()
	if left <= 0 {
		l.finish(EndExpired)
	}
	return left
}

// Subscribe adds topics to the channel, with the rights of its own token. It fails as
// [Service.Subscribe] does.
func (l *Line) Subscribe(ctx context.Context, topics []string) error {
	s := l.service
	s.mu.RLock()
	token := l.token
	s.mu.RUnlock()
	_, err := s.Subscribe(ctx, token, l.channel, SubscribeRequest{Topics: topics})
	return err
}

// Close takes the line off its channel. The channel and its topics stay.
func (l *Line) Close() {
	l.finish(EndClosed)
	s := l.service
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(l)
}
