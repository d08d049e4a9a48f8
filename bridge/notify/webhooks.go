package notify

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// Sender carries one attempt to its address.
type Sender interface {
	// Send returns when there is an answer, or none is to be had before ctx ends.
	Send(ctx context.Context, r SendRequest) Answer
}

// SendRequest is one attempt.
type SendRequest struct {
	URL       string
	ID        DeliveryID // for the header webhook-id
	At        time.Time  // for webhook-timestamp
	Signature string     // for webhook-signature
	Body      []byte     // JSON; not to be changed
}

// Answer is what became of an attempt.
type Answer struct {
	Status     int // of the answer; 0 = there was none
	Result     AttemptResult
	RetryAfter time.Duration // that the answer asked for; else 0
}

// webhookStore stores webhooks and what they are to be told.
type webhookStore interface {
	WebhookStore
	Outbox
}

// WebhooksConfig is what Webhooks are built from; all is required unless it says otherwise.
type WebhooksConfig struct {
	Store  webhookStore
	Clock  cobridge.Clock
	Sender Sender
	Log    *slog.Logger
	Rule   URLRule
	Limits WebhookLimits // zero = defaults
	// Shared says that other processes send from the same store: then each attempt is
	// claimed before it is made, and what they leave behind is looked for.
	Shared bool
	// Render returns the body that tells of an event. It fails with CodeNotFound if there
	// is nothing to tell any more.
	Render func(ctx context.Context, e cobrowse.Event) ([]byte, error)
	// Ping returns the body of a test.
	Ping func(w Webhook, at time.Time) ([]byte, error)

	NewID   func() string  // of webhooks; nil = random UUIDs
	Random  func() float64 // from 0 to 1, spreads attempts; nil = random
	Observe WebhookObserver
}

// WebhookObserver is told what happens, for metrics. Each may be nil; they are quick.
type WebhookObserver struct {
	Attempt  func(AttemptResult, time.Duration)
	Dead     func(DeadReason)
	Disabled func(DisableReason)
}

// Webhooks is the rules of webhooks: who is told what, signed how, and when it is
// tried again. [Webhooks.Record] is given the events, [Webhooks.Run] sends.
type Webhooks struct {
	cfg    WebhooksConfig
	store  webhookStore
	clock  cobridge.Clock
	limits WebhookLimits

	wake chan struct{} // has an element when there may be something to send

	mu      sync.Mutex
	lanes   map[WebhookID]*lane         // of webhooks with something pending
	flying  int                         // attempts under way
	of      map[conversations.OrgID]int // of them, by organisation
	slow    int                         // of them, to webhooks that answer late or not at all
	turns   uint64                      // counts places in the queue
	passes  uint64                      // how often it was looked for something to send
	changed chan struct{}               // closed when one of them changes
}

// NewWebhooks returns Webhooks that send nothing yet.
func NewWebhooks(cfg WebhooksConfig) *Webhooks {
	if cfg.NewID == nil {
		cfg.NewID = uuid.NewString
	}
	if cfg.Random == nil {
		cfg.Random = rand.Float64
	}
	o := &cfg.Observe
	if o.Attempt == nil {
		o.Attempt = func(AttemptResult, time.Duration) {}
	}
	if o.Dead == nil {
		o.Dead = func(DeadReason) {}
	}
	if o.Disabled == nil {
		o.Disabled = func(DisableReason) {}
	}
	return &Webhooks{
		cfg: cfg, store: cfg.Store, clock: cfg.Clock, limits: cfg.Limits.withDefaults(),
		wake: make(chan struct{}, 1), lanes: map[WebhookID]*lane{}, of: map[conversations.OrgID]int{}, changed: make(chan struct{}),
	}
}

// WebhookSpec is what a caller says about a webhook.
type WebhookSpec struct {
	Name     string
	URL      string
	Events   []string // types; empty = all
	Disabled bool
}

func (s WebhookSpec) into(w *Webhook, at time.Time) {
	if w.URL != s.URL {
		w.FailingSince = time.Time{} // of another address
	}
	w.Name, w.URL, w.Events, w.UpdatedAt = s.Name, s.URL, slices.Clone(s.Events), at
	if s.Disabled {
		w.disable(DisabledByRequest, at)
	} else {
		w.enable()
	}
}

// Create stores a webhook with a new id and a new secret, which nobody is shown again.
// It is told of what happens from now on. It fails with CodeConstraintValidation, or
// CodeConflict if the organisation has too many.
func (s *Webhooks) Create(ctx context.Context, org conversations.OrgID, client string, spec WebhookSpec) (Webhook, error) {
	now := s.clock.Now()
	w := Webhook{ID: WebhookID(s.cfg.NewID()), OrgID: org, CreatedBy: client, CreatedAt: now, Secrets: []WebhookSecret{newSecret(now)}}
	spec.into(&w, now)
	if err := s.cfg.Rule.check(w); err != nil {
		return Webhook{}, err
	}
	if err := s.store.CreateWebhook(ctx, w, s.limits.PerOrg); err != nil {
		return Webhook{}, fmt.Errorf("create webhook: %w", err)
	}
	return w, nil
}

// Webhook fails with CodeNotFound, also for one of another organisation.
func (s *Webhooks) Webhook(ctx context.Context, org conversations.OrgID, id WebhookID) (Webhook, error) {
	w, err := s.store.Webhook(ctx, id)
	if cobridge.CodeOf(err) == cobridge.CodeNotFound || err == nil && w.OrgID != org {
		return Webhook{}, webhookNotFound(id)
	} else if err != nil {
		return Webhook{}, fmt.Errorf("look up webhook: %w", err)
	}
	return w, nil
}

// Webhooks returns those of an organisation, the oldest first.
func (s *Webhooks) Webhooks(ctx context.Context, org conversations.OrgID) ([]Webhook, error) {
	all, err := s.store.Webhooks(ctx, org)
	if err != nil {
		return nil, fmt.Errorf("list webhooks: %w", err)
	}
	return all, nil
}

// Update replaces what a caller can say about a webhook. One that was disabled, for
// whatever reason, is enabled unless the caller says otherwise. It fails with
// CodeNotFound, CodeConstraintValidation, or CodeConflict for a webhook of the
// configuration.
func (s *Webhooks) Update(ctx context.Context, org conversations.OrgID, id WebhookID, spec WebhookSpec) (Webhook, error) {
	return s.change(ctx, org, id, func(w *Webhook) error {
		if w.Configured {
			return configured(id)
		}
		spec.into(w, s.clock.Now())
		return s.cfg.Rule.check(*w)
	})
}

// Delete deletes a webhook together with what it has not been told yet. It fails with
// CodeNotFound, or CodeConflict for a webhook of the configuration.
func (s *Webhooks) Delete(ctx context.Context, org conversations.OrgID, id WebhookID) error {
	w, err := s.Webhook(ctx, org, id)
	if err != nil {
		return err
	}
	if w.Configured {
		return configured(id)
	}
	if err := s.store.DeleteWebhook(ctx, id); err != nil {
		return fmt.Errorf("delete webhook: %w", err)
	}
	return nil
}

// Rotate gives a webhook another secret, the first of Secrets of what is returned. The
// one before goes on signing beside it for [WebhookLimits].Overlap; one from before
// that does not. It fails with CodeNotFound, or CodeConflict for a webhook of the
// configuration.
func (s *Webhooks) Rotate(ctx context.Context, org conversations.OrgID, id WebhookID) (Webhook, error) {
	secret := newSecret(s.clock.Now())
	return s.change(ctx, org, id, func(w *Webhook) error {
		if w.Configured {
			return configured(id)
		}
		w.rotate(secret, secret.CreatedAt.Add(s.limits.Overlap))
		w.UpdatedAt = secret.CreatedAt
		return nil
	})
}

// Enable lets a webhook be told again that was disabled. It fails with CodeNotFound,
// or CodeConflict for one that the configuration disables.
func (s *Webhooks) Enable(ctx context.Context, org conversations.OrgID, id WebhookID) (Webhook, error) {
	return s.change(ctx, org, id, func(w *Webhook) error {
		if w.Configured && w.Disabled == DisabledByRequest {
			return configured(id)
		}
		w.enable()
		return nil
	})
}

func (s *Webhooks) change(ctx context.Context, org conversations.OrgID, id WebhookID, fn func(*Webhook) error) (Webhook, error) {
	if _, err := s.Webhook(ctx, org, id); err != nil {
		return Webhook{}, err
	}
	w, err := s.store.ChangeWebhook(ctx, id, fn)
	if cobridge.CodeOf(err) == cobridge.CodeNotFound {
		return Webhook{}, webhookNotFound(id)
	} else if err != nil {
		return Webhook{}, fmt.Errorf("change webhook: %w", err)
	}
	s.poke(id)
	return w, nil
}

// ConfiguredWebhook is a webhook of the configuration.
type ConfiguredWebhook struct {
	ID    WebhookID
	OrgID conversations.OrgID
	WebhookSpec
	Key []byte // of its secret
}

// Seed makes the webhooks of the configuration be those that are given, of all
// organisations; others stay as they are. Where the secret is another one than before,
// the one before signs besides for [WebhookLimits].Overlap. It fails with
// CodeConstraintValidation, or CodeConflict if an id belongs to something else.
func (s *Webhooks) Seed(ctx context.Context, given []ConfiguredWebhook) error {
	stored, err := s.store.Webhooks(ctx, "")
	if err != nil {
		return fmt.Errorf("list webhooks: %w", err)
	}
	for _, w := range stored {
		if w.Configured && !slices.ContainsFunc(given, func(c ConfiguredWebhook) bool { return c.ID == w.ID }) {
			if err := s.store.DeleteWebhook(ctx, w.ID); err != nil {
				return fmt.Errorf("delete webhook %s: %w", w.ID, err)
			}
		}
	}
	for _, c := range given {
		if err := s.seed(ctx, c); err != nil {
			return fmt.Errorf("webhook %s: %w", c.ID, err)
		}
	}
	return nil
}

func (s *Webhooks) seed(ctx context.Context, c ConfiguredWebhook) error {
	now := s.clock.Now()
	_, err := s.store.ChangeWebhook(ctx, c.ID, func(w *Webhook) error {
		if !w.Configured || w.OrgID != c.OrgID {
			return &cobridge.Error{Code: cobridge.CodeConflict, Message: "The id of the webhook is taken.", EntityID: string(c.ID), EntityName: entityWebhook}
		}
		if why := w.Disabled; why != "" && why != DisabledByRequest && !c.Disabled && w.URL == c.URL {
			at, since := w.DisabledAt, w.FailingSince
			c.into(w, now) // a start is no reason to try again
			w.Disabled, w.DisabledAt, w.FailingSince = why, at, since
		} else {
			since := w.FailingSince
			same := w.URL == c.URL
			c.into(w, now)
			if same && w.Disabled == "" {
				w.FailingSince = since
			}
		}
		if !w.hasKey(c.Key) {
			w.rotate(WebhookSecret{Key: c.Key, CreatedAt: now}, now.Add(s.limits.Overlap))
		}
		return s.cfg.Rule.check(*w)
	})
	if cobridge.CodeOf(err) != cobridge.CodeNotFound {
		return err
	}
	w := Webhook{ID: c.ID, OrgID: c.OrgID, Configured: true, CreatedAt: now, Secrets: []WebhookSecret{{Key: c.Key, CreatedAt: now}}}
	c.into(&w, now)
	if err := s.cfg.Rule.check(w); err != nil {
		return err
	}
	return s.store.CreateWebhook(ctx, w, 0)
}

const entityWebhook = "webhook"

func webhookNotFound(id WebhookID) error {
	return &cobridge.Error{
		Code: cobridge.CodeNotFound, Message: "There is no webhook with this id.",
		Params: map[string]string{"webhookId": string(id)}, EntityID: string(id), EntityName: entityWebhook,
	}
}

func configured(id WebhookID) error {
	return &cobridge.Error{
		Code: cobridge.CodeConflict, Message: "This webhook stands in the configuration of the service, which alone changes it.",
		EntityID: string(id), EntityName: entityWebhook,
	}
}

func disabled(id WebhookID) error {
	return &cobridge.Error{
		Code: cobridge.CodeConflict, Message: "This webhook is disabled.", EntityID: string(id), EntityName: entityWebhook,
	}
}
