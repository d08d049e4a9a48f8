package cobrowse

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cobridge/cobridge"
)

// GrantKind names what a sharer can agree to. The values stand on the wire.
type GrantKind string

// The kinds of grants.
const (
	GrantSharing  GrantKind = "sharing"  // everybody in the session may look
	GrantControl  GrantKind = "control"  // click and type; one viewer at a time
	GrantDraw     GrantKind = "draw"     // draw on the page
	GrantNavigate GrantKind = "navigate" // back, forward, reload, another page of the site
)

// GrantKinds returns every kind, in the order of the documentation.
func GrantKinds() []GrantKind {
	return []GrantKind{GrantSharing, GrantControl, GrantDraw, GrantNavigate}
}

// Grant is the record of a consent: what the sharer agreed to, under which words,
// from when until when.
type Grant struct {
	Kind        GrantKind
	To          ParticipantID // who may; empty for GrantSharing: everybody
	By          ParticipantID // who agreed
	TextVersion string        // of the words that were agreed to, as the page said; may be empty
	GivenAt     time.Time
	ExpiresAt   time.Time     // zero = with the session
	RevokedAt   time.Time     // zero while nobody took it back
	RevokedBy   ParticipantID // empty when the session's end, or a change of its settings, took it back
}

// InForce reports whether g holds at the given time.
func (g Grant) InForce(at time.Time) bool {
	return g.RevokedAt.IsZero() && (g.ExpiresAt.IsZero() || at.Before(g.ExpiresAt))
}

// Granted reports whether a participant has a grant of this kind at the given
// time. That of GrantSharing belongs to everybody.
func (s Session) Granted(kind GrantKind, to ParticipantID, at time.Time) bool {
	return slices.ContainsFunc(s.Grants, func(g Grant) bool {
		return g.Kind == kind && (g.To == to || kind == GrantSharing) && g.InForce(at)
	})
}

// Bounds of what one session remembers of its grants.
const (
	maxGrants      = 200
	maxTextVersion = 64 // characters
	maxGrantTTL    = 8 * time.Hour
)

// GrantRequest is what the sharer agrees to.
type GrantRequest struct {
	Kind        GrantKind
	To          ParticipantID // empty for GrantSharing
	TextVersion string
	TTL         time.Duration // 0 = as long as the session; at most 8 hours
}

// Grant records that the sharer agreed. Control that another viewer has is taken
// back with it: one at a time. It fails with CodeNotAuthorized if the caller is
// not the sharer or the viewer may not even ask, with CodeConstraintValidation,
// or CodeConflict if the sharer has changed its mind too often to remember.
func (s *Service) Grant(ctx context.Context, id SessionID, by ParticipantID, number uint64, r GrantRequest) error {
	var bad problems
	switch {
	case !slices.Contains(GrantKinds(), r.Kind):
		bad.add("kind", "unknown")
	case r.Kind == GrantSharing && r.To != "":
		bad.add("to", "not.allowed")
	case r.Kind != GrantSharing && r.To == "":
		bad.add("to", "required")
	}
	if len([]rune(r.TextVersion)) > maxTextVersion {
		bad.add("text", "too.long")
	}
	if r.TTL < 0 || r.TTL > maxGrantTTL {
		bad.add("ttl", "range")
	}
	if err := bad.err("The consent"); err != nil {
		return err
	}
	session, err := s.read(ctx, id)
	if err != nil {
		return err
	}
	rules, err := s.Sharing(ctx, session)
	if err != nil {
		return err
	}
	return s.current(ctx, id, by, number, func(d *decision, _ int) error {
		session := &d.Session
		if session.Sharer() != by {
			return &cobridge.Error{Code: cobridge.CodeNotAuthorized, Message: "Only the sharer can agree to something."}
		}
		to := by
		if r.Kind != GrantSharing {
			to = r.To
			if !slices.Contains(session.mayAsk(rules.Rules, r.To), r.Kind) {
				return &cobridge.Error{Code: cobridge.CodeNotAuthorized, Message: "This participant may not be given this."}
			}
		}
		if session.granted(r, d.now) {
			return errUnchanged
		}
		if len(session.Grants) >= maxGrants {
			return sessionConflict(id, DetailGrantsLimit, "The session has as many consents as are remembered.")
		}
		session.revoke(d, by, func(g Grant) bool { return g.Kind == r.Kind && (g.To == r.To || r.Kind == GrantControl) })
		g := Grant{Kind: r.Kind, To: r.To, By: by, TextVersion: r.TextVersion, GivenAt: d.now}
		if r.TTL > 0 {
			g.ExpiresAt = d.now.Add(r.TTL)
		}
		session.Grants = append(session.Grants, g)
		if r.Kind != GrantSharing {
			session.LastActivityAt = d.now
		}
		d.event(EventGranted, session.index(to))
		return nil
	})
}

// granted reports whether the request changes nothing: the same words were agreed
// to without an end. One with an end is prolonged.
func (s *Session) granted(r GrantRequest, at time.Time) bool {
	return r.TTL == 0 && slices.ContainsFunc(s.Grants, func(g Grant) bool {
		return g.Kind == r.Kind && g.To == r.To && g.TextVersion == r.TextVersion && g.ExpiresAt.IsZero() && g.InForce(at)
	})
}

// revoke takes back the grants in force that match, and says so.
func (s *Session) revoke(d *decision, by ParticipantID, match func(Grant) bool) bool {
	found := false
	for i := range s.Grants {
		if g := &s.Grants[i]; g.InForce(d.now) && match(*g) {
			g.RevokedAt, g.RevokedBy = d.now, by
			d.event(EventRevoked, s.index(g.To))
			found = true
		}
	}
	return found
}

// Revoke takes grants back: the sharer those of anybody, a viewer its own. An
// empty kind means all but GrantSharing, an empty participant all of them. What
// is not in force is left as it is. It fails with CodeNotAuthorized when a viewer
// names somebody else.
func (s *Service) Revoke(ctx context.Context, id SessionID, by ParticipantID, number uint64, kind GrantKind, of ParticipantID) error {
	return s.current(ctx, id, by, number, func(d *decision, _ int) error {
		session := &d.Session
		if session.Sharer() != by {
			if of != "" && of != by || kind == GrantSharing {
				return &cobridge.Error{Code: cobridge.CodeNotAuthorized, Message: "A viewer gives back only what is its own."}
			}
			of = by
		}
		if !session.revoke(d, by, func(g Grant) bool {
			return (g.Kind == kind || kind == "" && g.Kind != GrantSharing) && (of == "" || g.To == of || g.Kind == GrantSharing)
		}) {
			return errUnchanged
		}
		return nil
	})
}

// Sharing returns the deployment whose rules hold in a session. Without one, or
// when it was deleted meanwhile, the strictest rules hold: no text is shown and
// nothing may be asked for.
func (s *Service) Sharing(ctx context.Context, session Session) (Deployment, error) {
	strict := Deployment{OrgID: session.OrgID, Rules: SharingRules{TextMode: TextPrivate, ControlMode: ControlFieldsOnly}}
	if session.DeploymentID == "" {
		return strict, nil
	}
	d, err := s.deployments.Deployment(ctx, session.DeploymentID)
	if cobridge.CodeOf(err) == cobridge.CodeNotFound || err == nil && d.OrgID != session.OrgID {
		return strict, nil
	} else if err != nil {
		return Deployment{}, fmt.Errorf("look up deployment: %w", err)
	}
	return d.withDefaults(), nil
}

// MayAsk returns what a viewer may ask the sharer for: agents, and supervisors
// who were invited with AllowControl, as far as the session's settings and the
// deployment allow it.
func (s *Service) MayAsk(ctx context.Context, session Session, viewer ParticipantID) ([]GrantKind, error) {
	d, err := s.Sharing(ctx, session)
	if err != nil {
		return nil, err
	}
	return session.mayAsk(d.Rules, viewer), nil
}

func (s *Session) mayAsk(rules SharingRules, viewer ParticipantID) []GrantKind {
	i := s.index(viewer)
	if i < 0 || viewer == s.Sharer() || s.Participants[i].Role != RoleAgent && !s.Participants[i].AllowControl {
		return nil
	}
	var kinds []GrantKind
	if rules.AllowAgentControl && s.Settings.AllowRemoteControl {
		kinds = append(kinds, GrantControl)
	}
	if rules.AllowDraw {
		kinds = append(kinds, GrantDraw)
	}
	if rules.AllowAgentNavigation && s.Settings.AllowRemoteControl {
		kinds = append(kinds, GrantNavigate)
	}
	return kinds
}
