package notify

import (
	"context"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// WebhookID names a webhook: a lower-case UUID.
type WebhookID string

// Webhook is an address of an organisation that is told what happens to its sessions.
// It is a value: what a [WebhookStore] hands out is a copy. Times are UTC.
type Webhook struct {
	ID     WebhookID
	OrgID  conversations.OrgID
	Name   string   // free text, at most 200 characters
	URL    string   // https, as it was given
	Events []string // types that are told; empty = all

	Secrets []WebhookSecret // the newest first, which signs for ever; 1 or 2
	// Configured says that it stands in the configuration, which alone changes it.
	Configured bool
	CreatedBy  string // OAuth client; empty for one of the configuration
	CreatedAt  time.Time
	UpdatedAt  time.Time

	Disabled   DisableReason // empty = it is told
	DisabledAt time.Time
	// FailingSince is the first failed attempt after the latest good one; zero = it works.
	FailingSince time.Time
}

// DisableReason says why a webhook is told nothing.
type DisableReason string

// The reasons. The values stand on the wire.
const (
	DisabledByRequest DisableReason = "request"
	DisabledGone      DisableReason = "gone"    // its address answered 410
	DisabledFailing   DisableReason = "failing" // for days
)

// Clone returns a copy of w that shares no memory with it.
func (w Webhook) Clone() Webhook {
	w.Events = slices.Clone(w.Events)
	w.Secrets = slices.Clone(w.Secrets)
	for i := range w.Secrets {
		w.Secrets[i].Key = slices.Clone(w.Secrets[i].Key)
	}
	return w
}

// Wants reports whether w is to be told of an event of this type, if it is enabled.
func (w Webhook) Wants(eventType string) bool {
	return len(w.Events) == 0 || slices.Contains(w.Events, eventType)
}

// disable changes w; pending deliveries become dead at the next look at them.
func (w *Webhook) disable(why DisableReason, at time.Time) {
	if w.Disabled == "" {
		w.DisabledAt = at
	}
	w.Disabled = why
}

func (w *Webhook) enable() { w.Disabled, w.DisabledAt, w.FailingSince = "", time.Time{}, time.Time{} }

// typePrefix is what the types of events begin with, so that receivers of several
// services can tell them apart.
const typePrefix = "cobrowse."

// PingType is the type of the event that a test sends.
const PingType = typePrefix + "webhook.ping"

// TypeOf returns the type under which webhooks are told of an event.
func TypeOf(t cobrowse.EventType) string { return typePrefix + string(t) }

// WebhookTypes returns every type that a webhook can be told of, but the ping.
func WebhookTypes() []string {
	all := []cobrowse.EventType{
		cobrowse.EventCreated, cobrowse.EventUpdated, cobrowse.EventActivated, cobrowse.EventEnded, cobrowse.EventParticipantAdded,
		cobrowse.EventParticipantJoined, cobrowse.EventParticipantConnected, cobrowse.EventParticipantDisconnected, cobrowse.EventParticipantLeft,
		cobrowse.EventParticipantRemoved, cobrowse.EventPageVisited, cobrowse.EventGranted, cobrowse.EventRevoked,
	}
	names := make([]string, len(all))
	for i, t := range all {
		names[i] = TypeOf(t)
	}
	return names
}

// URLRule says which addresses webhooks may have.
type URLRule struct {
	AllowHTTP bool // besides https
	// Address is asked about a host that is an IP address; nil = all are good. What
	// names resolve to is looked at when they are connected to, not here.
	Address func(netip.Addr) error
}

const (
	maxWebhookURL  = 2048 // bytes
	maxWebhookName = 200  // characters
)

// Check returns "" for a good address, else the detail of what is wrong with it, such
// as "scheme", and a sentence.
func (r URLRule) Check(text string) (detail, sentence string) {
	if len(text) > maxWebhookURL {
		return "too.long", "want at most " + strconv.Itoa(maxWebhookURL) + " bytes"
	}
	u, err := url.Parse(text)
	if err != nil || !utf8.ValidString(text) || strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '\\' }) {
		return "format", "want an absolute URL such as https://example.org/hooks"
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http" || u.Opaque != "" || u.Hostname() == "":
		return "format", "want an absolute URL such as https://example.org/hooks"
	case u.Scheme == "http" && !r.AllowHTTP:
		return "scheme", "want https"
	case u.User != nil:
		return "credentials", "want it without a user and password"
	case u.Fragment != "" || strings.Contains(text, "#"):
		return "fragment", "want it without a fragment"
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return "port", "want a port from 1 to 65535"
		}
	}
	if addr, err := netip.ParseAddr(u.Hostname()); err == nil && r.Address != nil && r.Address(addr) != nil {
		return "address", "this address may not be connected to"
	}
	return "", ""
}

// check finds all that is wrong with what a caller has said about a webhook.
func (r URLRule) check(w Webhook) error {
	var details []cobridge.Detail
	bad := func(field, detail string) {
		details = append(details, cobridge.Detail{ErrorCode: detail, FieldName: field})
	}
	message := "The webhook breaks one or more rules"
	if detail, sentence := r.Check(w.URL); detail != "" {
		bad("url", detail)
		message += "; url: " + sentence
	}
	if utf8.RuneCountInString(w.Name) > maxWebhookName || !utf8.ValidString(w.Name) {
		bad("name", "size")
	}
	types := WebhookTypes()
	for i, t := range w.Events {
		field := "events[" + strconv.Itoa(i) + "]"
		switch {
		case !slices.Contains(types, t):
			bad(field, "unknown")
		case slices.Contains(w.Events[:i], t):
			bad(field, "repeated")
		}
	}
	if len(details) == 0 {
		return nil
	}
	return &cobridge.Error{Code: cobridge.CodeConstraintValidation, Message: message + ".", Details: details}
}

// WebhookStore keeps webhooks. Engines share no memory with the caller and are safe
// for concurrent use; what a call has acknowledged survives a crash.
type WebhookStore interface {
	// Webhook fails with CodeNotFound.
	Webhook(ctx context.Context, id WebhookID) (Webhook, error)
	// Webhooks returns those of an organisation, the oldest first; with an empty one
	// those of all.
	Webhooks(ctx context.Context, org conversations.OrgID) ([]Webhook, error)
	// CreateWebhook stores w. It fails with CodeConflict if its id is taken or its
	// organisation has as many as most; 0 = as many as there are.
	CreateWebhook(ctx context.Context, w Webhook, most int) error
	// ChangeWebhook stores what fn makes of the webhook, in one atomic step, and returns
	// it. It fails with CodeNotFound. An error of fn changes nothing and is returned as
	// it is. fn changes neither ID, OrgID nor CreatedAt; it is quick and may run more
	// than once, so it has no side effect.
	ChangeWebhook(ctx context.Context, id WebhookID, fn func(*Webhook) error) (Webhook, error)
	// DeleteWebhook deletes a webhook together with its deliveries. It fails with
	// CodeNotFound. If it fails in another way some of the deliveries may be gone.
	DeleteWebhook(ctx context.Context, id WebhookID) error
}
