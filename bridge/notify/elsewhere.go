package notify

import (
	"context"
	"maps"

	"github.com/cobridge/cobridge"
)

// ChangedElsewhere is for several processes that serve one store: what
// [Config].Changed was told in another one. A channel that somebody has connected to
// there is lost here; else its topics are read anew.
func (s *Service) ChangedElsewhere(ctx context.Context, id ChannelID, opened bool) error {
	s.mu.RLock()
	l := s.lines[id]
	s.mu.RUnlock()
	if l == nil {
		return nil
	}
	if opened {
		l.finish(EndReplaced)
		return nil
	}
	return s.refresh(ctx, id, l)
}

// Refresh reads every channel that is connected here anew: something may have happened
// elsewhere that this process was not told. It goes on after a failure, and returns the
// first.
func (s *Service) Refresh(ctx context.Context) error {
	s.mu.RLock()
	lines := maps.Clone(s.lines)
	s.mu.RUnlock()
	var first error
	for id, l := range lines {
		if err := s.refresh(ctx, id, l); err != nil && first == nil {
			first = err
		}
	}
	return first
}

func (s *Service) refresh(ctx context.Context, id ChannelID, l *Line) error {
	c, err := s.store.NotificationChannel(ctx, id)
	if err == nil {
		s.apply(c)
		if err = s.alive(ctx, c); cobridge.CodeOf(err) == cobridge.CodeEntityNotFound {
			l.finish(EndToken)
			return nil
		}
	} else if cobridge.CodeOf(err) == cobridge.CodeEntityNotFound {
		l.finish(EndExpired)
		return nil
	}
	return err
}

// changed tells that a channel is not what it was.
func (s *Service) changed(id ChannelID, opened bool) {
	if s.tell != nil {
		s.tell(id, opened)
	}
}
