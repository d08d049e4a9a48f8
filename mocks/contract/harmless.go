package contract

import "strings"

// Harmless tells whether the case may run against a deployment that others work
// with. It makes sessions, conversations, deployments and access tokens of its own
// and ends them; it changes nothing of anybody else; it makes few calls, one after
// the other; and all harmless cases together make a few wrong guesses only, so that
// nobody at the same address is locked out ([HarmlessSecretGuesses] and its neighbours). What has ended stays
// in the history for its time.
func (c Case) Harmless() bool { return c.Harm() == "" }

// Harm says why a case is not harmless; "" for one that is.
func (c Case) Harm() string {
	for _, h := range harms() {
		for _, name := range h.cases {
			if c.Name == name || strings.HasSuffix(name, "*") && strings.HasPrefix(c.Name, strings.TrimSuffix(name, "*")) {
				return h.why
			}
		}
	}
	return ""
}

// These bound what all harmless cases together guess wrong in one run:
// at secrets of clients, at join tokens, at the digits of sessions.
const (
	HarmlessSecretGuesses = 3
	HarmlessTokenGuesses  = 5
	HarmlessDigitGuesses  = 0
)

// harms are the cases that are not harmless, by what is wrong with them; a name that
// ends in a star stands for all that begin so.
func harms() []struct {
	why   string
	cases []string
} {
	return []struct {
		why   string
		cases []string
	}{
		{"it moves the clock", []string{
			"T4 a token is good until 30 s before its end and not after it",
			"T22 after the time-out a new session has a new id",
			"T27 T30 an expired token opens nothing",
			"T28 asking for a token keeps a session that waits alive",
			"end by inactivity after somebody came",
			"end by lost connection when the one who came is gone",
			"idempotency a key lives 24 hours",
			"official: an offer that nobody takes lapses",
			"notifications end after a day unless the channel is subscribed again",
			"history is listed by the time of the end",
			"history is kept for its time and then gone",
			"knowledge sessions end when nobody asks for them",
		}},
		{"many calls race in it", []string{
			"T22 one of many concurrent creates wins, the others name it",
			"idempotency parallel repeats make one session",
			"knowledge sessions that are unknown are created by a GET, one by many at once",
		}},
		{"it makes many calls, or large ones", []string{
			"T6 every call wants its scope",
			"bad input: *",
			"deployments that break rules are refused",
			"history of another server is refused if it breaks rules",
			"official: refusals have the official codes",
			"order of checks on create: *",
			"webhooks that break rules are refused",
			"webhooks of one organisation are bounded",
		}},
		{"its wrong guesses count against everybody at the same address", []string{
			"T5 an unknown client is refused like a wrong secret",
			"oauth introspection knows live tokens of the own organisation only",
			"attach refuses unknown sessions, conversations and users",
			"official: join codes are for the pages of their deployment",
			"isolation every call with an id of another organisation is 404",
		}},
		{"it puts an access token into an address, which logs may keep", []string{
			"T30 a bad, a used and an ended token each get a page and a status",
		}},
		{"the agent could not enter another session meanwhile", []string{
			"T30 the viewer's secret is a cookie, the sharer's is not",
			"T30 redeeming is refused with a code for each reason",
			"T30 redeeming again replaces the first connection",
			"T30 an agent is in one session at a time",
			"official: a viewer's way in is for those who may change conversations",
		}},
		{"sessions of others would start under its rules meanwhile", []string{
			"deployments that are named, or the default, are a session's",
		}},
		{"it reads through everybody's lists, which change meanwhile", []string{
			"T9 limit and pageSize mean the same, and pages do not overlap",
			"T12 an active conversation says so, a disconnected one too",
			"official: the list has what is live and has a conversation",
			"isolation lists hold nothing of another organisation",
		}},
		{"a client has a few channels, and the oldest would have to go", []string{
			"notifications *",
		}},
		{"it leaves a record in the history that looks like a customer's", []string{
			"history of another server is imported, once",
		}},
		{"it has events sent to addresses elsewhere", []string{
			"webhooks *",
		}},
	}
}
