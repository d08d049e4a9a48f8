package knowledge

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// DefaultIdleTimeout is how long a session lives without a call. No public
	// document tells the legacy server's.
	DefaultIdleTimeout = 30 * time.Minute

	// MaxSessionID is the longest session id, in bytes. Clients use UUIDs, and as a
	// placeholder a string that is a bit shorter than one.
	MaxSessionID = 128
	// MaxFact is the longest customer, agent, visit or tenant id, in bytes. The longest
	// that is known is a mail address, of at most 254.
	MaxFact = 256

	// touchesPerTimeout is how often within an idle time-out a call that changes
	// nothing else is written down.
	touchesPerTimeout = 4
	// maxUnwritten bounds the calls that are kept in memory only, at about 300 bytes
	// each; beyond it each call is written.
	maxUnwritten = 1 << 16

	// tieTimeout bounds how long a call waits for the conversation to be written.
	tieTimeout = 2 * time.Second
	// purgeBatch is how many sessions go in one call, so that others get their turn.
	purgeBatch = 500
)

func (k Key) check() error {
	if k.ID == "" || len(k.ID) > MaxSessionID || !printable(string(k.ID)) {
		return badRequest("the session id must have 1 to " + strconv.Itoa(MaxSessionID) + " bytes of UTF-8 without control characters")
	}
	return nil
}

// check bounds what a client says.
func (f Facts) check() error {
	for _, fact := range []struct{ name, value string }{
		{"customer id", f.CustomerID}, {"agent id", f.AgentID}, {"visitId", f.VisitID}, {"globalVisitId", f.GlobalVisitID},
	} {
		if err := checkFact(fact.name, fact.value); err != nil {
			return err
		}
	}
	return nil
}

func checkFact(name, value string) error {
	if len(value) > MaxFact || !printable(value) {
		return badRequest("the " + name + " must have at most " + strconv.Itoa(MaxFact) + " bytes of UTF-8 without control characters")
	}
	return nil
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
