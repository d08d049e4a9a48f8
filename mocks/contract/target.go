package contract

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// T is what the suite reports to: the part of *testing.T that it needs. Fatalf
// and Skipf must not return (runtime.Goexit); they and Run are called from the
// goroutine of the running case only, the others from any goroutine.
type T interface {
	Helper()
	Context() context.Context
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
	Run(name string, f func(T)) bool
}

// Check looks at one exchange and returns what is wrong with it, or nil. The
// bodies are whole and may be kept; those of req and resp must not be read. It
// may be called concurrently.
type Check func(req *http.Request, reqBody []byte, resp *http.Response, respBody []byte) error

// Credentials are those of an OAuth client.
type Credentials struct {
	ClientID     string
	ClientSecret string
}

// Target is an installation that the suite runs against. BaseURL, Client, the
// credentials, AgentUserID and SupervisorUserID are required; a case that needs
// one of the others is skipped without it, and says so.
type Target struct {
	BaseURL string       // scheme://host[:port][/prefix] of the token endpoint, the API and the join page
	Client  *http.Client // its transport is all that the suite knows of the target; redirects and cookies are left aside

	// PublicURL is what links in answers start with; "" = BaseURL.
	PublicURL string

	// Credentials of a client that has at least [Scopes].
	Credentials

	// Other is a client with [Scopes] in another organisation.
	Other Credentials

	// Limited is a client of the first organisation whose scopes are exactly
	// cobrowse:session:read and user:read.
	Limited Credentials

	AgentUserID      string // may cobrowse, voice and digital
	SupervisorUserID string // may cobrowse, voice and digital; another user
	IncapableUserID  string // may not cobrowse at all
	OtherUserID      string // a user of the other organisation who may cobrowse

	// Knowledge is the base path of Knowledge Center sessions, such as /gks-server/v1.
	// They belong to the first organisation, behave as in version 8.5.0, and want an
	// access token. Empty: the target does not offer them.
	Knowledge string

	// Legacy is where the surfaces of Co-browse are. Empty: the target does not offer them.
	Legacy Legacy

	// ConversationID is an active conversation that sessions may be started on, with
	// the agent in it. Cases use it one after the other and end their sessions on it;
	// those that need another, or would change it, are skipped. Empty: cases create
	// conversations.
	ConversationID string

	// Advance moves the target's clock. Nil: the target has the real one, and
	// cases about expiry are skipped.
	Advance func(time.Duration)

	// Check is asked about every exchange; nil = nobody.
	Check Check

	// Pace is called before each call, which waits for it; nil = nobody.
	Pace func(context.Context) error

	// Retries is how often a call that is answered 429 is made again, after what
	// Retry-After says; 0 = never.
	Retries int

	Limits Limits
}

// Limits are settings of the target that cases depend on. Zero means the default.
type Limits struct {
	MaxBody     int           // bytes of a JSON body that a route refuses and the server still reads; default 128 KiB
	Racers      int           // concurrent creates on one conversation; default 64
	Rounds      int           // how often they race; default 3
	NeverJoined time.Duration // life of a session that nobody joins; default 20 minutes
	Retention   time.Duration // of history records; default 14 days
	Knowledge   time.Duration // idle time-out of Knowledge Center sessions; default 30 minutes
}

// Scopes are those that the suite's client has: the tutorial's five.
func Scopes() []string {
	return []string{scopeSessionWrite, scopeSessionRead, scopeConversationsRead, scopeConversationsWrite, scopeUserRead}
}

// The tutorial's names of the scopes.
const (
	scopeSessionWrite       = "cobrowse:session:write"
	scopeSessionRead        = "cobrowse:session:read"
	scopeConversationsRead  = "conversations:read"
	scopeConversationsWrite = "conversations:write"
	scopeUserRead           = "user:read"
)

// Case is one promise and how it is kept.
type Case struct {
	// Name says what is promised. It starts with the row of the checklist that it
	// belongs to ("T21 409 names the live session") or with its area.
	Name string
	run  func(T, *scene)
}

// Rows returns the rows of the checklist that the case belongs to, such as
// "T21"; none for a case of an area.
func (c Case) Rows() []string {
	var rows []string
	for word := range strings.FieldsSeq(c.Name) {
		digits, ok := strings.CutPrefix(word, "T")
		if !ok || digits == "" || strings.Trim(digits, "0123456789") != "" {
			break
		}
		rows = append(rows, word)
	}
	return rows
}

// Cases returns everything that [Run] checks, in its order.
func Cases() []Case {
	var all []Case
	for _, area := range [][]Case{
		tokenCases(), scopeCases(), tokenInfoCases(), conversationCases(), userCases(), createCases(), createRefusalCases(), conflictCases(),
		joinTokenCases(), joinCases(), settingsCases(), participantCases(), endCases(), idempotencyCases(), deploymentCases(),
		attachCases(), webhookCases(), officialCases(), notificationCases(), historyCases(), knowledgeCases(), legacyCases(), orderCases(), isolationCases(), badInputCases(), conventionCases(), lastCases(),
	} {
		all = append(all, area...)
	}
	return all
}

// Run runs every case against target, each as a sub-test of t.
func Run(t T, target Target) {
	t.Helper()
	RunCases(t, target, Cases())
}

// RunCases runs some of [Cases]. A target that lacks a required member fails t.
func RunCases(t T, target Target, cases []Case) {
	t.Helper()
	if target.BaseURL == "" || target.Client == nil || target.ClientID == "" || target.ClientSecret == "" || target.AgentUserID == "" || target.SupervisorUserID == "" {
		t.Fatalf("contract: the target needs BaseURL, Client, ClientID, ClientSecret, AgentUserID and SupervisorUserID")
	}
	s := newSuite(target)
	for _, c := range cases {
		t.Run(c.Name, func(t T) {
			sc := &scene{suite: s}
			defer sc.close(lasting{t})
			c.run(t, sc)
		})
	}
}

func (l Limits) withDefaults() Limits {
	if l.MaxBody == 0 {
		l.MaxBody = 128 << 10
	}
	if l.Racers == 0 {
		l.Racers = 64
	}
	if l.Rounds == 0 {
		l.Rounds = 3
	}
	if l.NeverJoined == 0 {
		l.NeverJoined = 20 * time.Minute
	}
	if l.Knowledge == 0 {
		l.Knowledge = 30 * time.Minute
	}
	if l.Retention == 0 {
		l.Retention = 14 * 24 * time.Hour
	}
	return l
}

// needOther skips the case unless the target has a second organisation.
func (sc *scene) needOther(t T) {
	t.Helper()
	if sc.target.Other.ClientID == "" {
		t.Skipf("the target names no client of another organisation")
	}
}

// needAdvance skips the case unless the target's clock can be moved.
func (sc *scene) needAdvance(t T) {
	t.Helper()
	if sc.target.Advance == nil {
		t.Skipf("the target's clock cannot be moved")
	}
}

func (sc *scene) needIncapable(t T) {
	t.Helper()
	if sc.target.IncapableUserID == "" {
		t.Skipf("the target names no user without the cobrowse capability")
	}
}

func (sc *scene) needLimited(t T) {
	t.Helper()
	if sc.target.Limited.ClientID == "" {
		t.Skipf("the target names no client with fewer scopes")
	}
}

// unknownID returns an id that nothing has.
func unknownID(n int) string { return fmt.Sprintf("00000000-dead-4bad-8000-%012x", n) }
