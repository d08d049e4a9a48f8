package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// webhookBody is a webhook in answers. Its secret stands in those of create and rotate
// alone, and who created it in that of create.
type webhookBody struct {
	ID             notify.WebhookID     `json:"id"`
	Name           string               `json:"name,omitempty"`
	URL            string               `json:"url"`
	Events         []string             `json:"events"`
	Disabled       bool                 `json:"disabled"`
	DisabledReason notify.DisableReason `json:"disabledReason,omitempty"`
	DateDisabled   web.Time             `json:"dateDisabled,omitzero"`
	FailingSince   web.Time             `json:"failingSince,omitzero"`
	Configured     bool                 `json:"configured"`
	Deliveries     tallyBody            `json:"deliveries"`
	PreviousUntil  web.Time             `json:"previousSecretExpires,omitzero"` // until when the one before signs besides
	DateCreated    web.Time             `json:"dateCreated"`
	DateModified   web.Time             `json:"dateModified"`
	CreatedBy      *clientBody          `json:"createdBy,omitempty"`
	Secret         string               `json:"secret,omitempty"`
	SelfURI        string               `json:"selfUri"`
}

type tallyBody struct {
	Pending   int `json:"pending"`
	Delivered int `json:"delivered"`
	Dead      int `json:"dead"`
}

func newWebhookBody(w notify.Webhook, counted notify.Tally) webhookBody {
	body := webhookBody{
		ID: w.ID, Name: w.Name, URL: w.URL, Events: list(w.Events), Disabled: w.Disabled != "", DisabledReason: w.Disabled, DateDisabled: web.Time(w.DisabledAt),
		FailingSince: web.Time(w.FailingSince), Configured: w.Configured, Deliveries: tallyBody(counted),
		DateCreated: web.Time(w.CreatedAt), DateModified: web.Time(w.UpdatedAt), SelfURI: webhookURI(w.ID),
	}
	if len(w.Secrets) > 1 {
		body.PreviousUntil = web.Time(w.Secrets[1].ExpiresAt)
	}
	return body
}

func webhookURI(id notify.WebhookID) string { return webhooksPath + "/" + string(id) }

// deliveryBody is a delivery in answers; what was told stands in that of one alone.
type deliveryBody struct {
	ID          notify.DeliveryID    `json:"id"`
	WebhookID   notify.WebhookID     `json:"webhookId"`
	Type        string               `json:"type"`
	Sequence    uint64               `json:"sequence,omitempty"`
	SessionID   cobrowse.SessionID   `json:"sessionId,omitempty"`
	DateEvent   web.Time             `json:"dateEvent"`
	State       notify.DeliveryState `json:"state"`
	DeadReason  notify.DeadReason    `json:"deadReason,omitempty"`
	DateCreated web.Time             `json:"dateCreated"`
	NextAttempt web.Time             `json:"nextAttempt,omitzero"` // while it is pending
	DateEnded   web.Time             `json:"dateEnded,omitzero"`   // when it is not
	Attempts    []attemptBody        `json:"attempts"`
	Payload     json.RawMessage      `json:"payload,omitempty"`
	SelfURI     string               `json:"selfUri"`
}

type attemptBody struct {
	Date     web.Time             `json:"date"`
	Duration int64                `json:"durationMillis"`
	Status   int                  `json:"status,omitempty"`
	Result   notify.AttemptResult `json:"result"`
}

func newDeliveryBody(d notify.Delivery) deliveryBody {
	body := deliveryBody{
		ID: d.ID, WebhookID: d.WebhookID, Type: d.Type, Sequence: d.Sequence, SessionID: d.SessionID, DateEvent: web.Time(d.EventAt), State: d.State, DeadReason: d.Why,
		DateCreated: web.Time(d.CreatedAt), Attempts: make([]attemptBody, len(d.Attempts)), SelfURI: webhookURI(d.WebhookID) + "/deliveries/" + string(d.ID),
	}
	if d.State == notify.Pending {
		body.NextAttempt = web.Time(d.At)
	} else {
		body.DateEnded = web.Time(d.At)
	}
	for i, at := range d.Attempts {
		body.Attempts[i] = attemptBody{Date: web.Time(at.At), Duration: at.Took.Milliseconds(), Status: at.Status, Result: at.Result}
	}
	return body
}

// deliveriesBody is one page of deliveries.
type deliveriesBody struct {
	Entities []deliveryBody `json:"entities"`
	PageSize int            `json:"pageSize"`
	SelfURI  string         `json:"selfUri"`
	NextURI  string         `json:"nextUri,omitempty"`
}

// formatPlace writes a place as callers pass it back: opaque, URL-safe.
func formatPlace(p notify.Place) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d.%d.%s", p.At.UnixNano(), p.Sequence, p.ID))
}

// parsePlace reads what formatPlace wrote; the zero place for "".
func parsePlace(text string) (notify.Place, error) {
	if text == "" {
		return notify.Place{}, nil
	}
	invalid := badQuery("after", "must be taken from nextUri")
	if len(text) > maxCursor {
		return notify.Place{}, invalid
	}
	plain, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return notify.Place{}, invalid
	}
	nano, rest, _ := strings.Cut(string(plain), ".")
	number, id, _ := strings.Cut(rest, ".")
	at, err := strconv.ParseInt(nano, 10, 64)
	if err != nil || id == "" || at < 0 {
		return notify.Place{}, invalid
	}
	sequence, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return notify.Place{}, invalid
	}
	return notify.Place{At: time.Unix(0, at).UTC(), Sequence: sequence, ID: notify.DeliveryID(id)}, nil
}

// eventBody is what webhooks are told, in the form that
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
// recommends. None of it lets anybody in: no join URLs, no tokens, no nine digits; and
// nothing of pages.
type eventBody struct {
	Type      string   `json:"type"`
	Timestamp web.Time `json:"timestamp"`
	Data      any      `json:"data"`
}

type eventData struct {
	OrganizationID conversations.OrgID    `json:"organizationId"`
	Sequence       uint64                 `json:"sequence"`
	SessionID      cobrowse.SessionID     `json:"sessionId"`
	ConversationID conversations.ID       `json:"conversationId,omitempty"`
	ParticipantID  cobrowse.ParticipantID `json:"participantId,omitempty"`
	EndReason      cobrowse.EndReason     `json:"endReason,omitempty"`
	Session        toldSession            `json:"session"`
}

// toldSession is a session without its nine digits: on the old surfaces they are half
// of a way in.
type toldSession struct {
	sessionBody
	SessionToken struct{} `json:"sessionToken,omitzero"` // hides the one of sessionBody
}

// WebhookPayload returns what webhooks are told of an event, with the session as it is
// now. It fails with CodeNotFound if the session and its record are gone.
func WebhookPayload(ctx context.Context, s sessions, e cobrowse.Event) ([]byte, error) {
	session, err := s.Get(ctx, e.OrgID, e.SessionID)
	if err != nil {
		return nil, err
	}
	return json.Marshal(eventBody{
		Type: notify.TypeOf(e.Type), Timestamp: web.Time(e.At), Data: eventData{
			OrganizationID: e.OrgID, Sequence: e.Sequence, SessionID: e.SessionID, ConversationID: e.ConversationID, ParticipantID: e.ParticipantID,
			EndReason: e.EndReason, Session: toldSession{sessionBody: newSessionBody(session)},
		},
	})
}

// WebhookPing returns what a webhook is told by a test.
func WebhookPing(w notify.Webhook, at time.Time) ([]byte, error) {
	return json.Marshal(eventBody{Type: notify.PingType, Timestamp: web.Time(at), Data: struct {
		OrganizationID conversations.OrgID `json:"organizationId"`
		WebhookID      notify.WebhookID    `json:"webhookId"`
	}{w.OrgID, w.ID}})
}
