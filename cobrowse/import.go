package cobrowse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/conversations"
)

const (
	// importSkew is how far the clock of another server may be ahead of ours.
	importSkew = 5 * time.Minute
	// importDrift is how far the times of pages, which may come from a customer's
	// clock, may lie outside of their session.
	importDrift = 24 * time.Hour
)

// Import stores the history record of a session that another server held, as it
// is: nothing is told to anybody, no conversation is looked for, and the nine
// digits are nobody's. What counts of record are ID (a lower-case UUID), Token
// (nine digits), CreatedAt, ActivatedAt (zero = never), EndedAt, EndReason (empty
// = ended), Pages and Legacy; who took part is not known of such sessions, so
// Participants, Grants, Actions, ConversationID and DeploymentID have to be empty.
// Of more pages than a record has room for the first ones are kept, and the last.
//
// It returns false if the organisation has a record with this id, which stays as
// it is. It fails with CodeConstraintValidation, where a Detail for dateEnded
// says "required" for a session that has not ended and "retention" for one that
// nobody may see any more; with CodeConflict if the session lives here; and with
// CodeNotFound if the id is one of another organisation.
func (s *Service) Import(ctx context.Context, org conversations.OrgID, record Session) (bool, error) {
	clean, err := s.importable(org, record)
	if err != nil {
		return false, err
	}
	created, err := s.keep(ctx, clean)
	if err != nil {
		return false, err
	}
	return created, nil
}

// keep stores a record unless it is there.
func (s *Service) keep(ctx context.Context, record Session) (bool, error) {
	for range maxAttempts {
		stored, err := s.read(ctx, record.ID)
		switch {
		case cobridge.CodeOf(err) == cobridge.CodeNotFound:
		case err != nil:
			return false, err
		case stored.OrgID != record.OrgID:
			return false, sessionNotFound(record.ID)
		case stored.Live():
			return false, sessionConflict(record.ID, DetailSessionActive, "A session with this id is live here.")
		case stored.EndedAt.Before(s.keptSince()):
			return false, pastRetention()
		default:
			return false, nil
		}
		err = s.store.Apply(ctx, Change{At: s.clock.Now(), Session: record})
		if errors.Is(err, ErrStale) {
			continue // somebody else was faster
		}
		if err != nil {
			return false, fmt.Errorf("store imported record: %w", err)
		}
		s.log.DebugContext(ctx, "history record imported", "sessionId", string(record.ID))
		return true, nil
	}
	return false, fmt.Errorf("store imported record: %w", ErrStale)
}

// importable returns the record to store for a session of another server.
func (s *Service) importable(org conversations.OrgID, in Session) (Session, error) {
	var bad problems
	now := s.clock.Now()
	if !isUUID(string(in.ID)) {
		bad.add("id", "format")
	}
	if parsed, err := ParseSessionToken(string(in.Token)); err != nil || parsed != in.Token {
		bad.add("sessionToken", "format")
	}
	if in.EndReason == "" {
		in.EndReason = remoteEndReason
	} else if !slices.Contains(EndReasons(), in.EndReason) {
		bad.add("endReason", "unknown")
	}
	checkTimes(&bad, in, now)
	for _, unknown := range []struct {
		field string
		given bool
	}{
		{"participants", len(in.Participants) > 0},
		{"grants", len(in.Grants) > 0},
		{"actions", len(in.Actions) > 0 || in.ActionsLeftOut != 0},
		{"violation", in.Violation != Violation{}},
		{"conversationId", in.ConversationID != ""},
		{"deploymentId", in.DeploymentID != ""},
		{"orgId", in.OrgID != "" && in.OrgID != org},
	} {
		if unknown.given {
			bad.add(unknown.field, "not.allowed")
		}
	}
	pages := importPages(&bad, in)
	if err := bad.err("The record"); err != nil {
		return Session{}, err
	}
	if in.EndedAt.Before(s.keptSince()) {
		return Session{}, pastRetention()
	}
	return Session{
		ID: in.ID, OrgID: org, Token: in.Token, Legacy: in.Legacy, Settings: Settings{Timeout: s.rules.DefaultTimeout}, Pages: pages,
		CreatedAt: utcMilli(in.CreatedAt), ActivatedAt: utcMilli(in.ActivatedAt), EndedAt: utcMilli(in.EndedAt), EndReason: in.EndReason,
		Deadline: utcMilli(in.EndedAt), DeadlineReason: in.EndReason, Version: 1,
	}, nil
}

func pastRetention() error {
	return &cobridge.Error{
		Code: cobridge.CodeConstraintValidation, Message: "The session ended so long ago that its record would not be kept.",
		Details: []cobridge.Detail{{FieldName: "dateEnded", ErrorCode: "retention"}},
	}
}

// checkTimes wants created, activated and ended in this order, and not to come.
func checkTimes(bad *problems, in Session, now time.Time) {
	if in.CreatedAt.IsZero() {
		bad.add("dateCreated", "required")
	} else if in.CreatedAt.Before(time.Unix(0, 0)) {
		bad.add("dateCreated", "range")
	}
	switch {
	case in.EndedAt.IsZero():
		bad.add("dateEnded", "required")
	case in.EndedAt.Before(in.CreatedAt), in.EndedAt.After(now.Add(importSkew)):
		bad.add("dateEnded", "range")
	case !in.ActivatedAt.IsZero() && (in.ActivatedAt.Before(in.CreatedAt) || in.ActivatedAt.After(in.EndedAt)):
		bad.add("dateActivated", "range")
	}
}

// importPages returns the pages of a record: clean, and as many as there is room for.
func importPages(bad *problems, in Session) []PageVisit {
	var kept Session
	dated := !in.CreatedAt.IsZero() && !in.EndedAt.IsZero() // else that is what is wrong
	for i, p := range in.Pages {
		address, err := sanitisePage(p.URL)
		if err != nil || address == "" {
			bad.addf("format", "pages[%d].url", i)
		}
		if dated && (p.EnteredAt.Before(in.CreatedAt.Add(-importDrift)) || p.EnteredAt.After(in.EndedAt.Add(importDrift))) {
			bad.addf("range", "pages[%d].dateEntered", i)
		}
		if p.LeftAt.IsZero() {
			p.LeftAt = in.EndedAt
		}
		if dated && p.LeftAt.Sub(p.EnteredAt) > in.EndedAt.Sub(in.CreatedAt)+importDrift {
			bad.addf("range", "pages[%d].durationSeconds", i)
		}
		if len(*bad) >= maxImportProblems {
			return nil
		}
		entered := utcMilli(p.EnteredAt)
		left := utcMilli(p.LeftAt)
		if left.Before(entered) {
			left = entered
		}
		kept.enterPage(PageVisit{URL: address, Title: cut(p.Title, maxName), EnteredAt: entered, LeftAt: left})
	}
	return kept.Pages
}

// maxImportProblems bounds what is said about one record.
const maxImportProblems = 50

// utcMilli is what stores and the wire keep of a time; zero stays zero.
func utcMilli(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

// PageLeft returns when a page was left of which only the whole seconds are known
// that it was shown for, from begin on: at end, when the next one came or the
// session ended, if that is so many seconds later, else after these seconds.
func PageLeft(begin, end time.Time, seconds int64) time.Time {
	if shown := end.Sub(begin); !end.IsZero() && shown >= 0 && int64(shown/time.Second) == seconds {
		return end
	}
	return begin.Add(time.Duration(seconds) * time.Second)
}

// CleanPageURL returns the address of a page as records have it: without user
// info, query and fragment, which may be private. It fails with
// CodeConstraintValidation for what is not of the web.
func CleanPageURL(raw string) (string, error) {
	address, err := sanitisePage(raw)
	if err == nil && address == "" {
		var bad problems
		bad.add("url", "required")
		err = bad.err("The page")
	}
	return address, err
}

// KeepPages returns those of pages that a record has room for: the first ones, and
// the last.
func KeepPages(pages []PageVisit) []PageVisit {
	var kept Session
	for _, p := range pages {
		kept.enterPage(p)
	}
	return kept.Pages
}
