package stream

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/cobrowse/relay"
)

// Service is the part of [cobrowse.Service] that the stream calls.
type Service interface {
	Look(ctx context.Context, id cobrowse.SessionID) (cobrowse.Session, error)
	Inspect(ctx context.Context, raw string) (cobrowse.Session, cobrowse.Participant, error)
	Connect(ctx context.Context, r cobrowse.ConnectRequest) (cobrowse.Joined, error)
	Disconnected(ctx context.Context, id cobrowse.SessionID, participant cobrowse.ParticipantID, number uint64) error
	Leave(ctx context.Context, id cobrowse.SessionID, participant cobrowse.ParticipantID, number uint64) error
	Activity(ctx context.Context, id cobrowse.SessionID) error
	VisitPage(ctx context.Context, id cobrowse.SessionID, participant cobrowse.ParticipantID, number uint64, pageURL, title string) error
	Sharing(ctx context.Context, session cobrowse.Session) (cobrowse.Deployment, error)
	MayAsk(ctx context.Context, session cobrowse.Session, viewer cobrowse.ParticipantID) ([]cobrowse.GrantKind, error)
	Grant(ctx context.Context, id cobrowse.SessionID, by cobrowse.ParticipantID, number uint64, r cobrowse.GrantRequest) error
	Revoke(ctx context.Context, id cobrowse.SessionID, by cobrowse.ParticipantID, number uint64, kind cobrowse.GrantKind, of cobrowse.ParticipantID) error
	Acted(ctx context.Context, id cobrowse.SessionID, a cobrowse.Action) error
	Violate(ctx context.Context, id cobrowse.SessionID, path string) error
}

// Deployments finds the web site on which a session was started.
type Deployments interface {
	Deployment(ctx context.Context, id cobrowse.DeploymentID) (cobrowse.Deployment, error)
}

// Metrics is told what happens on the stream. Any member may be nil. They are
// called concurrently; their arguments come from closed sets.
type Metrics struct {
	Opened   func()                   // a connection has begun, of a client that may have to say who it is
	Closed   func(name string)        // and has ended: CloseCode.Name, "lost" for a client that went, or "client" for one that closed
	Refused  func(reason string)      // before the upgrade: a code of package cobridge
	FrameIn  func(kind string)        // Inbound() or "unknown"
	FrameOut func(kind string, n int) // Outbound(); n of them are about to be written
	Dropped  func()                   // a pointer, a part of a drawing or an answer that nobody asked for went no further
	Control  func(result string)      // of a ctl frame: "sent", or Refusals()
	Paused   func()                   // a sharer stopped showing its page for a while
	Violated func()                   // a private field had a value: the session ends
	Panicked func()                   // in a pump
}

// Config is what a Hub is built from. Service, Events, Clock and Log are required.
type Config struct {
	Service     Service
	Events      cobrowse.Events
	Deployments Deployments // may be nil: then no foreign page may open a stream
	Clock       cobridge.Clock
	// Wall is the clock of socket deadlines, rates and answers to actions; nil = Clock. It
	// differs only where Clock does not run at the speed of the world. How long people are
	// not to be asked again goes by Clock.
	Wall cobridge.Clock
	Log  *slog.Logger
	// OwnOrigins are the origins of our own join page, such as
	// "https://cobrowse.example": scheme://host[:port], lower case. With none, the
	// origin must be that of the request's own Host.
	OwnOrigins []string
	Cookie     web.ResumeCookie // of viewers
	// Grace is how long the session waits for somebody who lost the connection:
	// clients are told, so that they try no longer. 0 = that of cobrowse.DefaultRules.
	Grace   time.Duration
	Limits  Limits // zero = defaults
	Metrics Metrics
	Rooms   Rooms // nil = every room is in this process
}

// Rooms knows in which of several processes the room of a session is.
type Rooms interface {
	// Relay takes a request whose room is in another process there, and reports whether
	// it did.
	Relay(c *fiber.Ctx, id cobrowse.SessionID) (bool, error)
	// Hold takes the room for one more link, whose client has shown that it may come in.
	// It fails with CodeUnavailable while another process has it.
	Hold(ctx context.Context, id cobrowse.SessionID) error
	// Drop gives the room back for one link that Hold took it for.
	Drop(id cobrowse.SessionID)
}

// Hub holds the open connections of this process.
type Hub struct {
	service     Service
	events      cobrowse.Events
	deployments Deployments
	clock       cobridge.Clock
	wall        cobridge.Clock
	log         *slog.Logger
	ownOrigins  []string
	cookie      web.ResumeCookie
	grace       time.Duration
	limits      Limits
	metrics     Metrics
	owned       Rooms // may be nil
	upgrader    websocket.FastHTTPUpgrader

	handlers sync.WaitGroup // one for each admission, until its connection has ended

	pictures *relay.Rooms
	wire     *wire
	buffers  sync.Pool               // of *[]byte, to read frames into
	due      chan cobrowse.SessionID // in which a grant has ended by itself

	mu       sync.Mutex
	draining bool
	links    map[*link]struct{}
	rooms    map[cobrowse.SessionID]*room
	sockets  counts
	networks map[string]*counts
}

// counts are sockets, and those of them that have not said who they are.
type counts struct{ open, strangers int }

// New returns a Hub. Connections come through [Hub.Mount]; [Hub.Run] tells them
// what happens.
func New(cfg Config) *Hub {
	h := &Hub{
		service: cfg.Service, events: cfg.Events, deployments: cfg.Deployments, clock: cfg.Clock, wall: cfg.Wall, log: cfg.Log,
		ownOrigins: slices.Clone(cfg.OwnOrigins), cookie: cfg.Cookie, grace: cmp.Or(cfg.Grace, cobrowse.DefaultRules().Grace), limits: cfg.Limits.withDefaults(), metrics: cfg.Metrics, owned: cfg.Rooms,
		links: map[*link]struct{}{}, rooms: map[cobrowse.SessionID]*room{}, networks: map[string]*counts{},
	}
	if h.wall == nil {
		h.wall = h.clock
	}
	h.pictures, h.wire, h.due = relay.NewRooms(h.limits.Picture), newWire(), make(chan cobrowse.SessionID, 256)
	h.upgrader = websocket.FastHTTPUpgrader{
		HandshakeTimeout: h.limits.Handshake, ReadBufferSize: readBuffer, WriteBufferSize: writeBuffer, WriteBufferPool: &sync.Pool{},
		Subprotocols: []string{subprotocol}, EnableCompression: true,
	}
	h.upgrader.CheckOrigin = checkedBefore
	return h
}

// checkedBefore is the upgrader's check of the origin. Nil would compare it with
// the host; ours has run by then, in admit.go.
func checkedBefore[T any](T) bool { return true }

// Mount adds the routes of the stream to the root of an application.
func (h *Hub) Mount(router fiber.Router) {
	// Add and not Get, which would bring HEAD along.
	router.Add(fiber.MethodGet, "/api/v2/cobrowse/sessions/:sessionId/stream", h.open)
	router.Add(fiber.MethodGet, "/api/v2/cobrowse/sessions/:sessionId/stream/check", h.check)
}

// Run follows the events until ctx ends, and returns its error. Ready, which may
// be nil, is called once no later event will be missed.
func (h *Hub) Run(ctx context.Context, ready func()) error {
	var refresher sync.WaitGroup
	defer refresher.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	refresher.Go(func() {
		tick := time.NewTicker(h.limits.Refresh)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case id := <-h.due:
				h.refresh(ctx, id)
			case <-tick.C:
				for _, id := range h.sessions() {
					h.refresh(ctx, id)
				}
			}
		}
	})
	return h.events.Follow(ctx, "", ready, func(ctx context.Context, e cobrowse.Event) error {
		h.hear(ctx, e)
		return nil
	})
}

// Shutdown tells every client to come back later and waits until their handlers
// have ended. When ctx ends first, the connections are cut and its error is
// returned. New connections are refused from the start.
func (h *Hub) Shutdown(ctx context.Context) error {
	h.mu.Lock()
	h.draining = true
	links := h.all()
	h.mu.Unlock()
	for i, l := range links {
		// Not all at the same moment: half a second and up to two more.
		l.shut(closeGoingAway, fmt.Sprintf(`{"retryMs":%d}`, 500+(i*97)%2000))
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.handlers.Wait()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		for _, l := range links {
			l.cut()
		}
		return fmt.Errorf("close streams: %w", ctx.Err())
	}
}

// GiveUp closes the links of a session whose room is in another process now. Their
// clients come again, and are led there.
func (h *Hub) GiveUp(id cobrowse.SessionID) {
	r := h.room(id)
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, l := range r.links {
		l.shut(closeGoingAway, comeAgain(i))
	}
}

// comeAgain is the reason that goes with closeGoingAway where the way is free.
func comeAgain(i int) string { return fmt.Sprintf(`{"retryMs":%d}`, 100+(i*97)%400) }

// Pictures returns what the pictures of all sessions have come to since the start,
// and how large they are now.
func (h *Hub) Pictures() relay.Stats { return h.pictures.Stats() }

// all returns the links; mu is held.
func (h *Hub) all() []*link {
	links := make([]*link, 0, len(h.links))
	for l := range h.links {
		links = append(links, l)
	}
	return links
}

// sessions returns the sessions that somebody here is in.
func (h *Hub) sessions() []cobrowse.SessionID {
	h.mu.Lock()
	defer h.mu.Unlock()
	ids := make([]cobrowse.SessionID, 0, len(h.rooms))
	for id := range h.rooms {
		ids = append(ids, id)
	}
	return ids
}

// reserve takes a place for a socket from this network, or says that there is
// none. The places of strangers are for clients that have shown nothing so far:
// what others show is checked before this connection waits for anything.
func (h *Hub) reserve(network string, stranger bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining {
		return &cobridge.Error{Code: cobridge.CodeUnavailable, Message: "The service is about to stop."}
	}
	n := h.networks[network]
	if n == nil {
		n = &counts{}
	}
	switch {
	case n.open >= h.limits.SocketsPerNetwork || stranger && n.strangers >= h.limits.StrangersPerNetwork:
		return &cobridge.Error{Code: cobridge.CodeTooManyRequests, Message: "Too many streams are open from this address.", RetryAfter: h.limits.Hello}
	case h.sockets.open >= h.limits.Sockets || stranger && h.sockets.strangers >= h.limits.Strangers:
		return &cobridge.Error{Code: cobridge.CodeUnavailable, Message: "Too many streams are open.", RetryAfter: h.limits.Hello}
	}
	h.networks[network] = n
	for _, c := range []*counts{n, &h.sockets} {
		c.open++
		c.strangers++
	}
	h.handlers.Add(1)
	return nil
}

// known notes that a stranger has said who it is.
func (h *Hub) known(network string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sockets.strangers--
	h.networks[network].strangers--
}

// giveBack returns the place of a socket.
func (h *Hub) giveBack(network string, stranger bool) {
	h.mu.Lock()
	n := h.networks[network]
	for _, c := range []*counts{n, &h.sockets} {
		c.open--
		if stranger {
			c.strangers--
		}
	}
	if n.open == 0 {
		delete(h.networks, network)
	}
	h.mu.Unlock()
	h.handlers.Done()
}

// detached returns a context for a call of the service that outlives the request.
func (h *Hub) detached() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), h.limits.Call)
}

// disconnected reports a closed link. A busy store gets a second and a third
// try: until it knows, the participant counts as connected.
func (h *Hub) disconnected(m member) {
	var err error
	for range closeAttempts {
		ctx, cancel := h.detached()
		err = h.service.Disconnected(ctx, m.session, m.participant, m.number)
		cancel()
		if err == nil || cobridge.CodeOf(err) == cobridge.CodeNotFound {
			break
		}
	}
	if h.owned != nil {
		h.owned.Drop(m.session) // not before: whoever takes the room then finds the link closed
	}
	if err == nil || cobridge.CodeOf(err) == cobridge.CodeNotFound {
		return
	}
	h.log.Error("stream close not stored", "sessionId", string(m.session), "participantId", string(m.participant), "err", err)
}

func call(f func()) {
	if f != nil {
		f()
	}
}

func callWith(f func(string), label string) {
	if f != nil {
		f(label)
	}
}
