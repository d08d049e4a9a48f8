package cobrowse

import (
	"context"
	"time"
)

// Action is what a viewer did in the sharer's page, or tried: who, when, of what
// kind and where, never what was typed. The same again at the same place is
// counted.
type Action struct {
	At, LastAt    time.Time
	ParticipantID ParticipantID
	Kind          string // of a ctl frame: docs/protocol.md
	Path          string // CSS path of the element; empty if the page did not say
	Result        string // "ok", or why the page refused
	Count         int
}

// Violation is where masked content was seen on the wire.
type Violation struct {
	At   time.Time
	Path string // element path, never the value
}

// Bounds of what one session remembers: each change of a session writes all of it.
const (
	maxActions     = 500
	maxActionsSize = 64 << 10
	maxActionPath  = 300 // characters
	maxActionWord  = 32  // characters, of a kind or a result
)

// sameAgain is how long the same action at the same place counts as one.
const sameAgain = time.Minute

// Acted notes what a viewer did. It is cheap to call for each action: the store
// hears of them together, about a second later. It counts as activity.
func (s *Service) Acted(ctx context.Context, id SessionID, a Action) error {
	now := s.clock.Now()
	a.At, a.LastAt, a.Count = now, now, 1
	a.Path, a.Kind, a.Result = cut(a.Path, maxActionPath), cut(a.Kind, maxActionWord), cut(a.Result, maxActionWord)
	s.mu.Lock()
	if waiting := s.actions[id]; len(waiting) < maxActions {
		s.actions[id] = appendAction(waiting, a)
	}
	s.mu.Unlock()
	return s.Activity(ctx, id)
}

// appendAction adds an action, or counts it if it is the last one again.
func appendAction(list []Action, a Action) []Action {
	if n := len(list); n > 0 {
		last := &list[n-1]
		if last.ParticipantID == a.ParticipantID && last.Kind == a.Kind && last.Path == a.Path && last.Result == a.Result && a.At.Sub(last.LastAt) < sameAgain {
			last.LastAt = a.LastAt
			last.Count += a.Count
			return list
		}
	}
	return append(list, a)
}

// takeActions returns what waits for a session, and forgets it.
func (s *Service) takeActions(id SessionID) []Action {
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting := s.actions[id]
	delete(s.actions, id)
	return waiting
}

func (s *Service) hasActions(id SessionID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.actions[id]) > 0
}

// giveBackActions lets actions wait again that could not be stored.
func (s *Service) giveBackActions(id SessionID, actions []Action) {
	if len(actions) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.actions[id] = append(actions, s.actions[id]...)
}

// addActions appends actions as far as there is room, and counts the others.
func (s *Session) addActions(actions []Action) {
	size := 0
	for _, a := range s.Actions {
		size += len(a.Path)
	}
	for _, a := range actions {
		before := len(s.Actions)
		size += len(a.Path)
		next := appendAction(s.Actions, a)
		if len(next) > before && (before >= maxActions || size > maxActionsSize) {
			s.ActionsLeftOut += a.Count
			continue
		}
		s.Actions = next
	}
}

// Violate ends a session in which masked content was seen on the wire, and keeps
// where. A session that has ended stays as it is.
func (s *Service) Violate(ctx context.Context, id SessionID, path string) error {
	_, err := s.change(ctx, id, func(d *decision) error {
		if !d.Session.Live() {
			return errUnchanged
		}
		d.Session.Violation = Violation{At: d.now, Path: cut(path, maxActionPath)}
		d.end(d.now, EndMaskingViolation)
		return nil
	})
	return err
}
