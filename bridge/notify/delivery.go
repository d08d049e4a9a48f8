package notify

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"time"

	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// DeliveryID names a delivery: msg_ and 32 hexadecimal digits. It is the header
// webhook-id, and stays the same over attempts and replays.
type DeliveryID string

// deliveryID is the same whenever the same event is told to the same webhook: what
// comes twice is stored once. The sequence alone would not do: a store that is put
// back from a backup gives its numbers out again.
func deliveryID(w WebhookID, e cobrowse.Event) DeliveryID {
	h := sha256.New()
	var number [8]byte
	for _, text := range []string{string(w), string(e.SessionID), string(e.Type), e.At.UTC().Format(time.RFC3339Nano)} {
		binary.BigEndian.PutUint64(number[:], uint64(len(text)))
		h.Write(number[:])
		h.Write([]byte(text))
	}
	binary.BigEndian.PutUint64(number[:], e.Sequence)
	h.Write(number[:])
	return DeliveryID("msg_" + hex.EncodeToString(h.Sum(nil)[:16]))
}

// DeliveryState says what became of a delivery.
type DeliveryState string

// The states. The values stand on the wire.
const (
	Pending   DeliveryState = "pending"
	Delivered DeliveryState = "delivered"
	Dead      DeliveryState = "dead" // it is not tried any more, until it is replayed
)

// DeliveryStates returns every state.
func DeliveryStates() []DeliveryState { return []DeliveryState{Pending, Delivered, Dead} }

// DeadReason says why a delivery is dead.
type DeadReason string

// The reasons. The values stand on the wire.
const (
	DeadAttempts DeadReason = "attempts" // the last one has failed
	DeadGone     DeadReason = "gone"     // the address answered 410
	DeadDisabled DeadReason = "disabled" // the webhook is disabled
	DeadFull     DeadReason = "full"     // too many others were pending
)

// AttemptResult says how an attempt ended.
type AttemptResult string

// The results. The values stand on the wire and are labels of metrics.
const (
	ResultDelivered AttemptResult = "delivered"
	ResultStatus    AttemptResult = "status"    // an answer that is not 2xx
	ResultRedirect  AttemptResult = "redirect"  // 3xx: redirects are not followed
	ResultGone      AttemptResult = "gone"      // 410
	ResultTimeout   AttemptResult = "timeout"   // no answer in time
	ResultDNS       AttemptResult = "dns"       // the name was not resolved
	ResultForbidden AttemptResult = "forbidden" // it resolved to an address that may not be connected to
	ResultRefused   AttemptResult = "refused"   // nobody listens there
	ResultTLS       AttemptResult = "tls"       // the certificate, or the handshake
	ResultBroken    AttemptResult = "broken"    // the connection, or what came over it
)

// AttemptResults returns every result.
func AttemptResults() []AttemptResult {
	return []AttemptResult{
		ResultDelivered, ResultStatus, ResultRedirect, ResultGone, ResultTimeout, ResultDNS, ResultForbidden, ResultRefused, ResultTLS, ResultBroken,
	}
}

// Attempt is one request to a webhook. What was answered is not kept, but for its status.
type Attempt struct {
	At     time.Time
	Took   time.Duration
	Status int // of the answer; 0 = there was none
	Result AttemptResult
}

// maxAttempts bounds how many attempts a delivery keeps, the latest ones.
const maxAttempts = 25

// Delivery is one event for one webhook. It is a value.
type Delivery struct {
	ID        DeliveryID
	WebhookID WebhookID
	OrgID     conversations.OrgID

	Type      string
	Sequence  uint64 // of the event; grows over an installation, 0 for a ping
	EventAt   time.Time
	SessionID cobrowse.SessionID // empty for a ping
	Body      []byte             // what is sent, JSON

	State     DeliveryState
	CreatedAt time.Time
	// At is when the next attempt of a pending delivery is due, and when another one
	// came to its end. Deliveries of one state are listed by it.
	At        time.Time
	ExpiresAt time.Time // from when on it is forgotten; zero while it is pending
	Why       DeadReason
	Tries     int // since it was stored or replayed
	Attempts  []Attempt
}

// Clone returns a copy of d that shares no memory with it.
func (d Delivery) Clone() Delivery {
	d.Body, d.Attempts = slices.Clone(d.Body), slices.Clone(d.Attempts)
	return d
}

func (d *Delivery) end(state DeliveryState, why DeadReason, at time.Time, kept time.Duration) {
	d.State, d.Why, d.At, d.ExpiresAt = state, why, at, at.Add(kept)
}

func (d *Delivery) due(at time.Time) {
	d.State, d.Why, d.At, d.ExpiresAt = Pending, "", at, time.Time{}
}

// replay makes d be tried from the beginning.
func (d *Delivery) replay(at time.Time) {
	d.due(at)
	d.Tries = 0
}

// Place is where a listing of deliveries goes on: behind the one that it names.
type Place struct {
	At       time.Time
	Sequence uint64
	ID       DeliveryID
}

// PlaceOf returns the place of d.
func PlaceOf(d Delivery) Place { return Place{At: d.At, Sequence: d.Sequence, ID: d.ID} }

// DeliveryQuery selects deliveries of one webhook in one state.
type DeliveryQuery struct {
	WebhookID WebhookID
	State     DeliveryState
	After     Place // zero = from the first
	Limit     int   // at least 1
}

// Tally counts the deliveries of a webhook by state.
type Tally struct {
	Pending, Delivered, Dead int
}

// Outbox keeps deliveries. What is said of [WebhookStore] holds for it as well; expiry
// is judged by the times given and never by a clock of its own.
type Outbox interface {
	// AddDelivery stores d, unless there is one of its id for its webhook or the webhook
	// is not there. If the webhook has as many pending ones as most, d is stored as
	// full makes it. Dead ones above most are forgotten, those first that died first.
	// It reports what was stored, nil = nothing. full is quick and has no side effect.
	AddDelivery(ctx context.Context, d Delivery, most int, full func(*Delivery)) (*Delivery, error)
	// Delivery fails with CodeNotFound.
	Delivery(ctx context.Context, w WebhookID, id DeliveryID) (Delivery, error)
	// Deliveries lists by Delivery.At, then by sequence and id.
	Deliveries(ctx context.Context, q DeliveryQuery) ([]Delivery, error)
	// ChangeDeliveries stores, in one atomic step, what fn makes of those of the
	// deliveries that are there and for which it returns true, and returns them. fn
	// changes neither ID nor WebhookID; it is quick and may run more than once, also
	// after the call has returned, so it has no side effect.
	ChangeDeliveries(ctx context.Context, w WebhookID, ids []DeliveryID, fn func(*Delivery) bool) ([]Delivery, error)
	// Tally fails with CodeNotFound if there is no such webhook.
	Tally(ctx context.Context, w WebhookID) (Tally, error)
	// Backlog returns how many deliveries of all webhooks are in which state, and when
	// the oldest pending one was created; zero = there is none.
	Backlog(ctx context.Context) (Tally, time.Time, error)
	// PurgeDeliveries deletes at most limit of all deliveries whose ExpiresAt is set and
	// not after the given time, and returns how many.
	PurgeDeliveries(ctx context.Context, expired time.Time, limit int) (int, error)
}
