package bayeux

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"golang.org/x/time/rate"

	"github.com/cobridge/cobridge"
)

// ClientID names a client. It is the only credential that a client has: 26
// letters and digits, unguessable, not to be logged; and [Config].Prefix before them.
type ClientID string

// Transport is a way in which clients connect, spelled as in the protocol.
type Transport string

// The transports.
const (
	WebSocket       Transport = "websocket"
	LongPolling     Transport = "long-polling"
	CallbackPolling Transport = "callback-polling" // JSONP: no preflight, no credentials in headers; off by default
)

// Reason says why a client is no more.
type Reason string

// The reasons.
const (
	Disconnected   Reason = "disconnected"   // the client said so
	ConnectionLost Reason = "connectionLost" // no connect came for Advice.MaxInterval
	Overflowed     Reason = "overflowed"     // more waited for it than may
	Dismissed      Reason = "dismissed"      // by Server.Dismiss
)

// Advice is what clients are told about connecting. A zero in a field means its
// default, which are those of the legacy product's sister.
type Advice struct {
	Timeout     time.Duration // how long a connect waits for something to be told; 30 s
	Interval    time.Duration // between the answer of a connect and the next one; 0
	MaxInterval time.Duration // without a connect, after which a client is lost; 15 s
}

// Client is a client as the application sees it. It is a value.
type Client struct {
	ID      ClientID
	Value   any     // what Config.OnHandshake returned for it
	Request Request // the request with the message at hand; empty in OnGone
}

// ServiceFunc answers a message on a service channel. Data is the JSON that came
// with the message, nil without any; it may be kept. Calls of one client come one
// after another.
//
// The client gets an acknowledgement, and after it, unless the reply is nil, an
// event on the same channel with the reply as JSON. An [*Error] makes it a
// negative acknowledgement and no event; any other error is logged and told as
// 500. Events that are delivered with ctx, to whomever, go out after the answer,
// and so do those to this client that anybody delivers meanwhile.
type ServiceFunc func(ctx context.Context, client Client, data json.RawMessage) (reply any, err error)

// Config is what a Server is built from. Clock and Log are required.
type Config struct {
	// Clock is that of the world: deadlines of sockets are set by it. Timers are the
	// runtime's.
	Clock  cobridge.Clock
	Log    *slog.Logger
	Limits Limits
	Advice Advice

	// Transports are those that are offered; nil = WebSocket and LongPolling.
	Transports []Transport
	// AllowOrigin says whether pages of an origin ("https://shop.example", or
	// "null") may speak to us, with credentials. Nil = only those from the host that
	// the request is for. Requests that name no origin are no browser's and let in,
	// but not to callback-polling.
	AllowOrigin func(origin string) bool
	// AllowHeaders are names of headers that pages of other origins may send,
	// besides Content-Type and Authorization.
	AllowHeaders []string

	// Prefix begins the ids of clients of this process, where there are others: letters
	// and digits, at most 64. Nil = nothing.
	Prefix func() string
	// Forward takes a request over HTTP that comes from a client which is not here to the
	// process whose prefix its id has, and reports whether it did; then it is answered.
	// Nil = there is no other process.
	Forward func(c *fiber.Ctx, id ClientID) (bool, error)

	// OnHandshake is asked about each new client; ext is what the handshake had
	// under that name, nil without any. What it returns becomes Client.Value. An
	// [*Error] refuses the client for good, any other error with 500. May be nil.
	OnHandshake func(ctx context.Context, request Request, ext json.RawMessage) (any, error)
	// OnGone is told once about each client that has left, but not at Shutdown. May
	// be nil.
	OnGone func(client Client, reason Reason)
	// OnPublish is asked whether a client may publish on a broadcast channel: nil
	// lets it, an [*Error] is what the client is told. With OnPublish nil nobody may.
	OnPublish func(ctx context.Context, client Client, channel string, data json.RawMessage) error
	// OnSubscribe is asked the same about subscriptions to broadcast channels, which
	// may be patterns such as "/news/*". With OnSubscribe nil everybody may.
	OnSubscribe func(ctx context.Context, client Client, channel string) error
}

// Server holds the clients of this process. Clients come through [Server.Mount].
type Server struct {
	clock      cobridge.Clock
	log        *slog.Logger
	limits     Limits
	advice     Advice
	transports []Transport
	cfg        Config // what the application gave: functions and headers
	services   map[string]ServiceFunc
	buffers    sync.Pool // of WebSockets, to write with
	counters   counters

	// Locks nest in this order: client.calling, client.mu, the mu of a socket or
	// line, this one.
	mu            sync.Mutex
	draining      bool
	clients       map[ClientID]*client
	networks      map[string]*network
	subscriptions map[string]map[*client]struct{} // by pattern
	sockets       map[*socket]struct{}
	lines         map[*line]struct{} // connections taken out of the HTTP server
	looking       *time.Timer        // while there are lines
	empty         chan struct{}      // closed when lines and sockets have gone; made by Shutdown
}

// network counts what belongs to one address.
type network struct{ clients, sockets int }

// New returns a Server.
func New(cfg Config) *Server {
	s := &Server{
		clock: cfg.Clock, log: cfg.Log, limits: cfg.Limits.withDefaults(), transports: slices.Clone(cfg.Transports), cfg: cfg,
		advice: Advice{
			Timeout:     cmp.Or(cfg.Advice.Timeout, 30*time.Second),
			Interval:    cfg.Advice.Interval,
			MaxInterval: cmp.Or(cfg.Advice.MaxInterval, 15*time.Second),
		},
		services: map[string]ServiceFunc{},
		clients:  map[ClientID]*client{}, networks: map[string]*network{}, subscriptions: map[string]map[*client]struct{}{},
		sockets: map[*socket]struct{}{}, lines: map[*line]struct{}{},
	}
	if s.transports == nil {
		s.transports = []Transport{WebSocket, LongPolling}
	}
	return s
}

// HandleService has fn answer messages on a channel below /service. It is called
// before the first client comes, and panics for any other channel or one that
// has an answer already: both are faults of the program.
func (s *Server) HandleService(channel string, fn ServiceFunc) {
	if !strings.HasPrefix(channel, servicePrefix) || !isChannel(channel) || s.services[channel] != nil {
		panic(fmt.Sprintf("bayeux: %q is not the name of a new service channel", channel))
	}
	s.services[channel] = fn
}

// Deliver sends an event to one client: at once when the client can take it, else
// with its next connect. It does not wait for the client. With the context of a
// [ServiceFunc] that has not returned, the event goes out after its answer.
//
// It fails with [ErrUnknownClient], with [ErrOverflow], and when data cannot be
// encoded as JSON.
func (s *Server) Deliver(ctx context.Context, id ClientID, channel string, data any) error {
	c := s.client(id)
	if c == nil {
		return fmt.Errorf("deliver on %s: %w", channel, ErrUnknownClient)
	}
	text, err := encodeEvent(nil, channel, data)
	if err != nil {
		return fmt.Errorf("deliver on %s: %w", channel, err)
	}
	if after(ctx, func() { _ = c.deliver(text) }) { // too late to tell anybody about a failure
		return nil
	}
	if err := c.deliver(text); err != nil {
		return fmt.Errorf("deliver on %s: %w", channel, err)
	}
	return nil
}

// Publish sends an event to all clients that have subscribed to the channel, in
// the manner of [Server.Deliver]. It fails when data cannot be encoded as JSON, or
// the channel is not one to be subscribed to.
func (s *Server) Publish(ctx context.Context, channel string, data any) error {
	if !isBroadcast(channel) {
		return fmt.Errorf("publish on %s: %w", channel, errForbidden(channel))
	}
	text, err := encodeEvent(nil, channel, data)
	if err != nil {
		return fmt.Errorf("publish on %s: %w", channel, err)
	}
	if !after(ctx, func() { s.publish(channel, text) }) {
		s.publish(channel, text)
	}
	return nil
}

func isBroadcast(channel string) bool {
	return isChannel(channel) && !strings.HasPrefix(channel, metaPrefix) && !strings.HasPrefix(channel, servicePrefix)
}

func (s *Server) publish(channel string, text []byte) {
	subscribers := map[*client]struct{}{}
	s.mu.Lock()
	for _, pattern := range patternsOf(channel) {
		maps.Copy(subscribers, s.subscriptions[pattern])
	}
	s.mu.Unlock()
	for c := range subscribers {
		_ = c.deliver(text) // who has gone or cannot follow is not the publisher's business
	}
}

// Dismiss forgets a client. It still gets what waits for it if it is connected,
// and is told not to come back. OnGone is called, later. An unknown client is none.
func (s *Server) Dismiss(id ClientID) {
	if c := s.client(id); c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.doom(Dismissed)
	}
}

// client returns the client of that id, or nil.
func (s *Server) client(id ClientID) *client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clients[id]
}

// enter makes a new client, if there is a place for it.
func (s *Server) enter(request *Request, value any, acks bool) (*client, *Error) {
	id := ClientID(rand.Text())
	if s.cfg.Prefix != nil {
		id = ClientID(s.cfg.Prefix()) + id
	}
	c := &client{server: s, id: id, value: value, network: request.Network, acks: acks, rate: rate.NewLimiter(rate.Limit(s.limits.PerSecond), s.limits.Messages)}
	s.mu.Lock()
	n := s.networks[c.network]
	if n == nil {
		n = &network{}
	}
	switch {
	case s.draining:
		s.mu.Unlock()
		return nil, errBusy("About to stop")
	case len(s.clients) >= s.limits.Clients || n.clients >= s.limits.ClientsPerNetwork:
		s.mu.Unlock()
		return nil, errBusy("Too many clients")
	}
	n.clients++
	s.networks[c.network] = n
	s.clients[c.id] = c
	s.mu.Unlock()
	c.mu.Lock()
	c.await()
	c.mu.Unlock()
	return c, nil
}

// leave takes a client that is marked as gone out of all lists, and tells the application.
func (s *Server) leave(c *client, reason Reason) {
	s.mu.Lock()
	delete(s.clients, c.id)
	for _, pattern := range c.patterns {
		s.drop(c, pattern)
	}
	c.patterns = nil
	n := s.networks[c.network]
	n.clients--
	if *n == (network{}) {
		delete(s.networks, c.network)
	}
	s.mu.Unlock()
	s.counters.gone(reason)
	if s.cfg.OnGone != nil {
		defer s.survive("gone") // it may be a timer that calls us
		s.cfg.OnGone(Client{ID: c.id, Value: c.value}, reason)
	}
}

// survive is deferred where a panic would end the process.
func (s *Server) survive(what string) {
	if recover() != nil { // the value is not logged: it may hold what a client sent
		s.panicked(what)
	}
}

func (s *Server) panicked(what string) {
	s.counters.panics.Add(1)
	s.log.Error("bayeux panicked", "what", what, "stack", string(debug.Stack()))
}

// subscribe notes a subscription. Patterns of a client are guarded by the
// server's lock, like the list they stand in.
func (s *Server) subscribe(c *client, pattern string) *Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.clients[c.id] != c:
		return errUnknownClient()
	case slices.Contains(c.patterns, pattern):
		return nil
	case len(c.patterns) >= s.limits.Subscriptions:
		return &Error{Code: 403, Args: []string{pattern}, Text: "Too many subscriptions"}
	}
	c.patterns = append(c.patterns, pattern)
	if s.subscriptions[pattern] == nil {
		s.subscriptions[pattern] = map[*client]struct{}{}
	}
	s.subscriptions[pattern][c] = struct{}{}
	return nil
}

func (s *Server) unsubscribe(c *client, pattern string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(c.patterns, pattern); i >= 0 {
		c.patterns = slices.Delete(c.patterns, i, i+1)
		s.drop(c, pattern)
	}
}

// drop takes a client out of the list of a pattern; mu is held.
func (s *Server) drop(c *client, pattern string) {
	list := s.subscriptions[pattern]
	delete(list, c)
	if len(list) == 0 {
		delete(s.subscriptions, pattern)
	}
}

// adviceTo returns what clients are advised.
func (s *Server) adviceTo(reconnect string, interval time.Duration) *wireAdvice {
	return &wireAdvice{
		Reconnect: reconnect, Interval: interval.Milliseconds(),
		Timeout: s.advice.Timeout.Milliseconds(), MaxInterval: s.advice.MaxInterval.Milliseconds(),
	}
}

// offers tells whether a transport is on.
func (s *Server) offers(t Transport) bool { return slices.Contains(s.transports, t) }

// isDraining tells whether Shutdown has been called.
func (s *Server) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// Shutdown answers every waiting connect with the advice to make a new handshake
// a bit later, closes the WebSockets, and waits until all of that has gone out.
// When ctx ends first, the connections are cut and its error is returned. What
// comes meanwhile or later is refused. OnGone is not called: to the clients this
// is an interruption, not an end.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.draining = true
	if s.empty == nil {
		s.empty = make(chan struct{})
		s.checkEmpty()
	}
	empty := s.empty
	clients := slices.Collect(maps.Values(s.clients))
	sockets := slices.Collect(maps.Keys(s.sockets))
	lines := slices.Collect(maps.Keys(s.lines))
	s.mu.Unlock()
	for i, c := range clients {
		// Not all at the same moment.
		c.sendAway(s.limits.Return + time.Duration(i%97)*s.limits.Return/97)
	}
	for _, socket := range sockets {
		socket.shut(closeGoingAway)
	}
	for _, l := range lines {
		l.hurry()
	}
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		s.mu.Lock()
		sockets, lines = slices.Collect(maps.Keys(s.sockets)), slices.Collect(maps.Keys(s.lines))
		s.mu.Unlock()
		for _, socket := range sockets {
			socket.cut()
		}
		for _, l := range lines {
			l.cut()
		}
		return fmt.Errorf("close bayeux connections: %w", ctx.Err())
	}
}

// checkEmpty tells Shutdown that the last connection has gone; mu is held.
func (s *Server) checkEmpty() {
	if s.draining && s.empty != nil && len(s.sockets) == 0 && len(s.lines) == 0 {
		select {
		case <-s.empty:
		default:
			close(s.empty)
		}
	}
}
