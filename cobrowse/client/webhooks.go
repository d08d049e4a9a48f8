package client

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const webhooksPath = "/api/v2/cobrowse/webhooks"

// NewWebhook describes an address that is told what happens to sessions.
type NewWebhook struct {
	Name     string   `json:"name,omitempty"`
	URL      string   `json:"url"`             // https
	Events   []string `json:"events,omitzero"` // such as cobrowse.session.created; empty = all
	Disabled bool     `json:"disabled"`        // nothing is told
}

// Webhook is an address that is told what happens to sessions.
type Webhook struct {
	ID string `json:"id"`
	NewWebhook
	DisabledReason string    `json:"disabledReason,omitempty"` // request, gone or failing
	DateDisabled   time.Time `json:"dateDisabled,omitzero"`
	FailingSince   time.Time `json:"failingSince,omitzero"` // zero = it works
	Configured     bool      `json:"configured"`            // it stands in the configuration of the service, which alone changes it
	Deliveries     Tally     `json:"deliveries"`
	// PreviousSecretExpires is until when the secret before signs besides.
	PreviousSecretExpires time.Time `json:"previousSecretExpires,omitzero"`
	DateCreated           time.Time `json:"dateCreated"`
	DateModified          time.Time `json:"dateModified"`
	Secret                string    `json:"secret,omitempty"` // in the answers of CreateWebhook and RotateWebhook alone
	SelfURI               string    `json:"selfUri"`
}

// Tally counts deliveries.
type Tally struct {
	Pending   int `json:"pending"`
	Delivered int `json:"delivered"` // in the last 24 hours
	Dead      int `json:"dead"`
}

// Delivery is one event for one webhook.
type Delivery struct {
	ID          string          `json:"id"` // the header webhook-id, the same over attempts and replays
	WebhookID   string          `json:"webhookId"`
	Type        string          `json:"type"`
	Sequence    uint64          `json:"sequence,omitempty"`
	SessionID   string          `json:"sessionId,omitempty"`
	DateEvent   time.Time       `json:"dateEvent"`
	State       string          `json:"state"`                // pending, delivered or dead
	DeadReason  string          `json:"deadReason,omitempty"` // attempts, gone, disabled or full
	DateCreated time.Time       `json:"dateCreated"`
	NextAttempt time.Time       `json:"nextAttempt,omitzero"` // while it is pending
	DateEnded   time.Time       `json:"dateEnded,omitzero"`   // when it is not
	Attempts    []Attempt       `json:"attempts"`             // the latest 25
	Payload     json.RawMessage `json:"payload,omitempty"`    // in the answer of Delivery alone
	SelfURI     string          `json:"selfUri"`
}

// Attempt is one request to a webhook.
type Attempt struct {
	Date           time.Time `json:"date"`
	DurationMillis int64     `json:"durationMillis"`
	Status         int       `json:"status,omitempty"` // 0 = there was no answer
	Result         string    `json:"result"`           // delivered, status, redirect, gone, timeout, dns, forbidden, refused, tls or broken
}

func webhookPath(id string) string { return webhooksPath + "/" + segment(id) }

// Webhooks returns one page, the oldest first. Scope cobrowse:session:read.
func (c *Client) Webhooks(ctx context.Context, at Paging) (Page[Webhook], error) {
	return list[Webhook](ctx, c, webhooksPath, at.into(values()))
}

// AllWebhooks goes through all pages from the given one on. A failure is the last
// thing that it yields.
func (c *Client) AllWebhooks(ctx context.Context, at Paging) iter.Seq2[Webhook, error] {
	return all(at, func(at Paging) (Page[Webhook], error) { return c.Webhooks(ctx, at) })
}

func (c *Client) webhook(ctx context.Context, method, path string, body any) (Webhook, error) {
	var w Webhook
	_, err := c.do(ctx, call{method: method, path: path, body: body, into: &w})
	return w, err
}

// Webhook returns one webhook; 404 if there is none. Scope cobrowse:session:read.
func (c *Client) Webhook(ctx context.Context, id string) (Webhook, error) {
	return c.webhook(ctx, http.MethodGet, webhookPath(id), nil)
}

// CreateWebhook creates a webhook. Nobody is shown its secret again. Scopes
// cobrowse:session:write and cobrowse:session:read.
func (c *Client) CreateWebhook(ctx context.Context, in NewWebhook) (Webhook, error) {
	return c.webhook(ctx, http.MethodPost, webhooksPath, in)
}

// ReplaceWebhook gives a webhook other contents, all of them but its secret. Scopes
// cobrowse:session:write and cobrowse:session:read.
func (c *Client) ReplaceWebhook(ctx context.Context, id string, in NewWebhook) (Webhook, error) {
	return c.webhook(ctx, http.MethodPut, webhookPath(id), in)
}

// RotateWebhook gives a webhook another secret; the one before signs besides for 24
// hours. Scope cobrowse:session:write.
func (c *Client) RotateWebhook(ctx context.Context, id string) (Webhook, error) {
	return c.webhook(ctx, http.MethodPost, webhookPath(id)+"/rotate", nil)
}

// EnableWebhook lets a webhook be told again that was disabled. Scope cobrowse:session:write.
func (c *Client) EnableWebhook(ctx context.Context, id string) (Webhook, error) {
	return c.webhook(ctx, http.MethodPost, webhookPath(id)+"/enable", nil)
}

// DeleteWebhook deletes a webhook with its deliveries. Scope cobrowse:session:write.
func (c *Client) DeleteWebhook(ctx context.Context, id string) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: webhookPath(id)})
	return err
}

func (c *Client) delivery(ctx context.Context, method, path string) (Delivery, error) {
	var d Delivery
	_, err := c.do(ctx, call{method: method, path: path, into: &d})
	return d, err
}

// TestWebhook sends a webhook a ping, once; what became of it shows in [Client.Delivery].
// 409 if it is disabled. Scope cobrowse:session:write.
func (c *Client) TestWebhook(ctx context.Context, id string) (Delivery, error) {
	return c.delivery(ctx, http.MethodPost, webhookPath(id)+"/test")
}

func deliveryPath(webhook, id string) string {
	return webhookPath(webhook) + "/deliveries/" + segment(id)
}

// Delivery returns one delivery with what is told; 404 if there is none. Scope
// cobrowse:session:read.
func (c *Client) Delivery(ctx context.Context, webhook, id string) (Delivery, error) {
	return c.delivery(ctx, http.MethodGet, deliveryPath(webhook, id))
}

// ReplayDelivery sends a delivery again, under the id that it has. 409 if the webhook
// is disabled. Scope cobrowse:session:write.
func (c *Client) ReplayDelivery(ctx context.Context, webhook, id string) (Delivery, error) {
	return c.delivery(ctx, http.MethodPost, deliveryPath(webhook, id)+"/replay")
}

// ReplayDead sends all dead deliveries of events since the given moment again, all of
// them for the zero time, and returns how many there are. 409 if the webhook is
// disabled. Scope cobrowse:session:write.
func (c *Client) ReplayDead(ctx context.Context, webhook string, since time.Time) (int, error) {
	var in struct {
		Since time.Time `json:"since,omitzero"`
	}
	var out struct {
		Replayed int `json:"replayed"`
	}
	in.Since = since
	_, err := c.do(ctx, call{method: http.MethodPost, path: webhookPath(webhook) + "/deliveries/replay", body: in, into: &out})
	return out.Replayed, err
}

// Deliveries goes through those of a webhook in one state: pending, delivered or dead.
// Pending ones come by their next attempt, others by their end, oldest first. A failure
// is the last thing that it yields. Scope cobrowse:session:read.
func (c *Client) Deliveries(ctx context.Context, webhook, state string) iter.Seq2[Delivery, error] {
	return func(yield func(Delivery, error) bool) {
		const size = 100
		query := values("state", state, "pageSize", strconv.Itoa(size))
		read := map[string]bool{}
		for {
			var page struct {
				Entities []Delivery `json:"entities"`
				NextURI  string     `json:"nextUri"`
			}
			if _, err := c.do(ctx, call{method: http.MethodGet, path: webhookPath(webhook) + "/deliveries", query: query, into: &page}); err != nil {
				yield(Delivery{}, err)
				return
			}
			for _, d := range page.Entities {
				if !yield(d, nil) {
					return
				}
			}
			if page.NextURI == "" {
				return
			}
			after := ""
			if next, err := url.Parse(page.NextURI); err == nil {
				after = next.Query().Get("after")
			}
			if after == "" || read[after] {
				yield(Delivery{}, fmt.Errorf("list deliveries: the next page %.200q does not go on", page.NextURI))
				return
			}
			read[after] = true
			query.Set("after", after)
		}
	}
}
