package cobrowse

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/cobridge/cobridge"
)

// Inspect verifies a join token without redeeming it, for the page that a join
// URL opens. It fails with CodeJoinTokenInvalid, CodeJoinTokenExpired,
// CodeSessionEnded or CodeJoinTokenUsed.
func (s *Service) Inspect(ctx context.Context, raw string) (Session, Participant, error) {
	claims, err := s.tokens.verify(raw)
	if err != nil {
		return Session{}, Participant{}, err
	}
	session, i, err := s.holderOf(ctx, claims)
	if err != nil {
		return Session{}, Participant{}, err
	}
	used, err := s.store.Redeemed(ctx, claims.ID, s.clock.Now())
	if err != nil {
		return Session{}, Participant{}, fmt.Errorf("look up join token: %w", err)
	}
	if used {
		return Session{}, Participant{}, tokenUsed()
	}
	return session, session.Participants[i], nil
}

// holderOf finds the live session and the participant that a token names.
func (s *Service) holderOf(ctx context.Context, claims joinClaims) (Session, int, error) {
	session, err := s.read(ctx, claims.SessionID)
	if cobridge.CodeOf(err) == cobridge.CodeNotFound {
		return Session{}, 0, joinTokenInvalid() // of another installation, or purged
	} else if err != nil {
		return Session{}, 0, err
	}
	i, err := claims.participantOf(session)
	return session, i, err
}

func (c joinClaims) participantOf(session Session) (int, error) {
	i := session.index(ParticipantID(c.Subject))
	switch {
	case session.OrgID != c.OrgID || session.ID != c.SessionID:
		return 0, joinTokenInvalid()
	case !session.Live():
		return 0, sessionEnded(session.ID)
	case i < 0 || session.Participants[i].Role != c.Role || session.Participants[i].Invitation != c.Invitation:
		return 0, joinTokenInvalid()
	case c.First && session.Participants[i].Connection.Number > 0:
		return 0, tokenUsed()
	}
	return i, nil
}

// Joined tells a participant who is in.
type Joined struct {
	Session     Session
	Participant Participant  // Connection.Number is the number of the new link
	Secret      ResumeSecret // for the next connect
}

// Redeem uses up a join token: the participant gets a resume secret for
// [Service.Connect], and a link it had before is replaced. From now on the
// sharer and the agent are waited for. Tab names the browser tab, if there is
// one. It fails like Inspect, and with CodeConflict (cobrowse.agent.busy), which
// does not use up the token.
func (s *Service) Redeem(ctx context.Context, raw, tab string) (Joined, error) {
	return s.redeem(ctx, "", raw, tab, false)
}

// ConnectRequest opens the live link of a participant, either with a join token
// or with the resume secret of the link before.
type ConnectRequest struct {
	SessionID     SessionID
	Token         string        // join token; or:
	ParticipantID ParticipantID // together with Secret
	Secret        ResumeSecret
	Tab           string // at most 64 characters
	// Take lets a sharer's tab replace another one that is connected; without it
	// the second tab is refused with CodeConflict (cobrowse.tab.other).
	Take bool
}

// Connect opens a participant's live link; one that was open is replaced. It
// fails like Redeem, with CodeResumeInvalid, with CodeSessionEnded, or with
// CodeConflict (cobrowse.tab.other), which does not use up the secret.
func (s *Service) Connect(ctx context.Context, r ConnectRequest) (Joined, error) {
	if r.Token != "" {
		return s.redeem(ctx, r.SessionID, r.Token, r.Tab, true)
	}
	invalid := &cobridge.Error{Code: cobridge.CodeResumeInvalid, Message: "This connection cannot be resumed; open a new join link."}
	if len(r.Tab) > maxTab {
		return Joined{}, invalid
	}
	var secret ResumeSecret
	session, err := s.change(ctx, r.SessionID, func(d *decision) error {
		if !d.Session.Live() {
			return sessionEnded(d.Session.ID)
		}
		i := d.Session.index(r.ParticipantID)
		if i < 0 || !d.Session.Participants[i].Resume.accepts(r.Secret, r.Tab, d.now) {
			return invalid
		}
		p := &d.Session.Participants[i]
		if !r.Take && p.Connection.Open && r.Tab != p.Resume.Tab && d.Session.Sharer() == p.ID {
			return sessionConflict(d.Session.ID, DetailOtherTab, "Another tab is being shared.")
		}
		p.Resume, secret = p.Resume.rotate(r.Secret, r.Tab, d.now)
		d.Session.link(i, d.now, true, s.nodeName())
		d.event(EventParticipantConnected, i)
		return nil
	})
	if cobridge.CodeOf(err) == cobridge.CodeNotFound {
		return Joined{}, invalid
	} else if err != nil {
		return Joined{}, err
	}
	p, _ := session.Participant(r.ParticipantID)
	return Joined{Session: session, Participant: p, Secret: secret}, nil
}

// maxTab bounds what a browser may call its tab: a UUID fits.
const maxTab = 64

func (s *Service) redeem(ctx context.Context, expected SessionID, raw, tab string, open bool) (Joined, error) {
	claims, err := s.tokens.verify(raw)
	if err != nil {
		return Joined{}, err
	}
	if expected != "" && claims.SessionID != expected || len(tab) > maxTab {
		return Joined{}, joinTokenInvalid()
	}
	if _, _, err := s.holderOf(ctx, claims); err != nil {
		return Joined{}, err
	}
	var secret ResumeSecret
	for range maxAttempts {
		session, err := s.change(ctx, claims.SessionID, func(d *decision) error {
			i, err := claims.participantOf(d.Session)
			if err != nil {
				return err
			}
			p := &d.Session.Participants[i]
			d.Redeem = &RedeemedToken{ID: claims.ID, ExpiresAt: claims.ExpiresAt.Time}
			p.Resume, secret = firstResume(tab)
			d.Session.link(i, d.now, open, s.nodeName())
			d.Session.LastActivityAt = d.now
			if p.Role == RoleAgent && s.rules.OneSessionPerAgent {
				d.Take = append(d.Take, agentClaims(d.Session.OrgID, *p)...)
			}
			d.event(EventParticipantJoined, i)
			if open {
				d.event(EventParticipantConnected, i)
			}
			return nil
		})
		if claimed, ok := errors.AsType[*ClaimedError](err); ok {
			if err := s.stillHeld(ctx, claimed, agentBusy(claimed.Holder)); err != nil {
				return Joined{}, err
			}
			continue
		}
		if errors.Is(err, ErrTokenUsed) {
			return Joined{}, tokenUsed()
		}
		if err != nil {
			return Joined{}, err
		}
		p, _ := session.Participant(ParticipantID(claims.Subject))
		return Joined{Session: session, Participant: p, Secret: secret}, nil
	}
	return Joined{}, fmt.Errorf("redeem join token: %w", ErrStale)
}

func joinTokenInvalid() error {
	return &cobridge.Error{Code: cobridge.CodeJoinTokenInvalid, Message: "This is not a valid join token."}
}

// current runs decide for a participant whose link has this number; for a link
// that was replaced, or a session that has ended, there is nothing to do.
func (s *Service) current(ctx context.Context, id SessionID, participant ParticipantID, number uint64, decide func(d *decision, i int) error) error {
	_, err := s.change(ctx, id, func(d *decision) error {
		i := d.Session.index(participant)
		if !d.Session.Live() || i < 0 || d.Session.Participants[i].Connection.Number != number {
			return errUnchanged
		}
		return decide(d, i)
	})
	return err
}

// Disconnected notes that the link with this number has closed. Links that were
// replaced meanwhile are ignored.
func (s *Service) Disconnected(ctx context.Context, id SessionID, participant ParticipantID, number uint64) error {
	return s.current(ctx, id, participant, number, func(d *decision, i int) error {
		if !d.Session.Participants[i].Connection.Open {
			return errUnchanged
		}
		d.Session.unlink(i, d.now)
		if d.Session.Sharer() == participant {
			d.Session.leavePage(d.now)
		}
		d.event(EventParticipantDisconnected, i)
		return nil
	})
}

// Leave is the exit button: the customer's or the agent's ends the session, a
// supervisor's closes only the own link, and a new join token brings back in.
func (s *Service) Leave(ctx context.Context, id SessionID, participant ParticipantID, number uint64) error {
	return s.current(ctx, id, participant, number, func(d *decision, i int) error { return d.leave(i) })
}

// leave lets participant i go. Nothing is left without the customer or the agent.
func (d *decision) leave(i int) error {
	p := &d.Session.Participants[i]
	if p.Role == RoleCustomer || p.Role == RoleAgent {
		d.end(d.now, EndParticipantLeft)
		return nil
	}
	d.Session.unlink(i, d.now)
	p.Resume = Resume{}
	d.Session.revoke(d, p.ID, func(g Grant) bool { return g.To == p.ID })
	d.event(EventParticipantLeft, i)
	return nil
}

// VisitPage notes which page the sharer shows; an empty address means that it
// left the page. User info, query and fragment are cut off. It fails with
// CodeNotAuthorized for a viewer, or for an address that is not of the site that
// is shared, and CodeConstraintValidation for one that is not of the web.
func (s *Service) VisitPage(ctx context.Context, id SessionID, participant ParticipantID, number uint64, pageURL, title string) error {
	address, err := sanitisePage(pageURL)
	if err != nil {
		return err
	}
	title = cut(title, maxName)
	if err := s.checkSite(ctx, id, address); err != nil {
		return err
	}
	return s.current(ctx, id, participant, number, func(d *decision, i int) error {
		session := &d.Session
		if session.Sharer() != participant {
			return &cobridge.Error{Code: cobridge.CodeNotAuthorized, Message: "Only the sharer shows pages."}
		}
		if n := len(session.Pages); n > 0 && session.Pages[n-1].LeftAt.IsZero() && session.Pages[n-1].URL == address {
			if session.Pages[n-1].Title == title {
				return errUnchanged
			}
			session.Pages[n-1].Title = title
			return nil
		}
		session.leavePage(d.now)
		if address != "" {
			session.enterPage(PageVisit{URL: address, Title: title, EnteredAt: d.now})
		}
		d.event(EventPageVisited, i)
		return nil
	})
}

// checkSite refuses a page of another site than that of the session's deployment:
// viewers believe the name that stands above the picture.
func (s *Service) checkSite(ctx context.Context, id SessionID, address string) error {
	if address == "" {
		return nil
	}
	session, err := s.read(ctx, id)
	if err != nil || session.DeploymentID == "" {
		return err
	}
	d, err := s.Sharing(ctx, session)
	if err != nil {
		return err
	}
	if u, err := url.Parse(address); err != nil || !d.Allows(u.Scheme+"://"+strings.ToLower(u.Host)) {
		return &cobridge.Error{Code: cobridge.CodeNotAuthorized, Message: "This page does not belong to the site that is shared."}
	}
	return nil
}

// maxPageURL bounds one address in a history record, in bytes.
const maxPageURL = 2048

// sanitisePage keeps what says where somebody was and drops what may be private.
func sanitisePage(raw string) (string, error) {
	if raw == "" {
		return "", nil
	}
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || len(raw) > 8*maxPageURL {
		var bad problems
		bad.add("url", "format")
		return "", bad.err("The page")
	}
	return cut((&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String(), maxPageURL), nil
}

// cut shortens text to at most n characters.
func cut(text string, n int) string {
	if runes := []rune(text); len(runes) > n {
		return string(runes[:n])
	}
	return text
}

// activityInterval is how long user input may stay unstored at most: it bounds
// the writes of a busy session, and what another node may miss. It is a quarter
// of the shortest time-out.
const activityInterval = MinTimeout / 4

// Activity notes user input or control: the time-out of inactivity starts anew.
// It is cheap to call for each input; the store hears of it at most every 15
// seconds. Pings and changes of the page are no activity.
func (s *Service) Activity(ctx context.Context, id SessionID) error {
	now := s.clock.Now()
	s.mu.Lock()
	at, waits := s.activity[id]
	if waits && at.Before(now) {
		s.activity[id] = now
	}
	s.mu.Unlock()
	if waits {
		return nil // Sweep stores it
	}
	_, err := s.change(ctx, id, func(d *decision) error {
		if !d.Session.Live() || d.Session.LastActivityAt.IsZero() {
			return errUnchanged
		}
		if now.Sub(d.Session.LastActivityAt) < activityInterval {
			s.mu.Lock()
			s.activity[id] = now
			s.mu.Unlock()
			return errUnchanged
		}
		d.Session.LastActivityAt = now
		return nil
	})
	return err
}

// pending returns the latest user input that is not stored, or zero.
func (s *Service) pending(id SessionID) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.activity[id]
}
