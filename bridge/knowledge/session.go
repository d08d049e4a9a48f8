package knowledge

import (
	"crypto/rand"
	"fmt"
	"time"
)

// OrgID names the organisation that a session belongs to.
type OrgID string

// SessionID names a session: an opaque string of 1 to [MaxSessionID] bytes, because a
// client may come with one that it made up. Those that are made here are random
// lower-case UUIDs. Whoever knows it may use the session, so it is never logged.
type SessionID string

// Key finds a session.
type Key struct {
	OrgID    OrgID
	TenantID string // empty in profiles without tenants
	ID       SessionID
}

// Facts are what is known of whom a session belongs to: claims of the client, each
// at most [MaxFact] bytes, empty if it did not say.
type Facts struct {
	CustomerID    string // any key of the customer, often a mail address
	AgentID       string // the agent's user name or id
	VisitID       string // of one visit of a web site
	GlobalVisitID string // of the long-lived visitor of a web site
}

// Session is one Knowledge Center session. It is a value: what a [Store] hands out is
// a copy. Times are UTC.
type Session struct {
	Key
	Facts
	ConversationID string // that it is tied to; empty without
	CreatedAt      time.Time
	LastAccess     time.Time // as it is stored: later calls may not be written yet
	ExpiresAt      time.Time // LastAccess and the idle time-out; unknown from here on
}

// Anonymous reports whether nobody has been named yet: neither agent nor customer nor
// visit.
func (s Session) Anonymous() bool {
	return s.CustomerID == "" && s.AgentID == "" && s.VisitID == ""
}

// IdentityKind says whom an identity names.
type IdentityKind string

// The kinds of identities.
const (
	IdentityCustomer IdentityKind = "customer"
	IdentityAgent    IdentityKind = "agent"
)

// Identity is what a created session must not share with a live one. All its fields
// count; an empty visit equals an empty visit.
type Identity struct {
	OrgID         OrgID
	TenantID      string
	Kind          IdentityKind
	Who           string // the customer's or the agent's id, never empty
	VisitID       string
	GlobalVisitID string
}

// Identities returns the identities of a session, none if it names neither customer
// nor agent. It is our reading of "400 if the dataset already exists" in the reference
// of version 8.5.0: docs/divergences.md.
func (s Session) Identities() []Identity {
	var all []Identity
	for _, named := range []Identity{{Kind: IdentityCustomer, Who: s.CustomerID}, {Kind: IdentityAgent, Who: s.AgentID}} {
		if named.Who == "" {
			continue
		}
		named.OrgID, named.TenantID, named.VisitID, named.GlobalVisitID = s.OrgID, s.TenantID, s.VisitID, s.GlobalVisitID
		all = append(all, named)
	}
	return all
}

// tie returns f with what to says in addition. What to leaves empty stays. Another
// customer or agent than the one that is known is CodeConflict; another visit replaces
// the one before.
func (f Facts) tie(to Facts) (Facts, error) {
	switch {
	case other(f.CustomerID, to.CustomerID):
		return f, tiedToAnother(IdentityCustomer)
	case other(f.AgentID, to.AgentID):
		return f, tiedToAnother(IdentityAgent)
	}
	for _, fact := range []struct {
		known *string
		said  string
	}{{&f.CustomerID, to.CustomerID}, {&f.AgentID, to.AgentID}, {&f.VisitID, to.VisitID}, {&f.GlobalVisitID, to.GlobalVisitID}} {
		if fact.said != "" {
			*fact.known = fact.said
		}
	}
	return f, nil
}

func other(known, said string) bool { return known != "" && said != "" && known != said }

// newSessionID returns a random UUID (RFC 9562, version 4): 122 random bits.
func newSessionID() SessionID {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the program instead
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return SessionID(fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]))
}
