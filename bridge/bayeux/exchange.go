package bayeux

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// exchange is the handling of one body or frame.
type exchange struct {
	server  *Server
	request Request
	sock    *socket // nil over HTTP

	// Over HTTP the replies are collected; over a WebSocket they go out as they come.
	out   [][]byte
	alone bool         // the body has one message, so its answer may wait
	park  func() *line // makes a place for an answer that waits
	line  *line        // made by park: the answer will come from there
	busy  []*client    // nothing else is sent to these until the answer is on its way
}

// run handles the messages.
func (x *exchange) run(ctx context.Context, messages []message) {
	defer x.end() // also when a function of the application panics
	x.alone = len(messages) == 1
	for i := range messages {
		x.handle(ctx, &messages[i])
	}
}

func (x *exchange) handle(ctx context.Context, m *message) {
	switch m.channel {
	case metaHandshake:
		x.handshake(ctx, m)
	case "":
		x.fail(m, errBad("A message needs a channel"))
	default:
		c := x.server.client(m.clientID)
		if c == nil {
			x.fail(m, errUnknownClient())
			return
		}
		x.route(ctx, c, m)
	}
}

// route handles a message of a client that is known.
func (x *exchange) route(ctx context.Context, c *client, m *message) {
	switch m.channel {
	case metaDisconnect:
		x.disconnect(c, m)
		return
	case metaConnect: // as often as its own rules have it
		x.connect(c, m)
		return
	}
	if !c.rate.AllowN(x.server.clock.Now(), 1) {
		x.server.counters.limited.Add(1)
		x.fail(m, errTooMany())
		return
	}
	switch m.channel {
	case metaSubscribe, metaUnsubscribe:
		x.subscribe(ctx, c, m)
	default:
		switch {
		case strings.HasPrefix(m.channel, metaPrefix):
			x.fail(m, errNoChannel(m.channel))
		case !isChannel(m.channel):
			x.fail(m, errForbidden(m.channel))
		case strings.HasPrefix(m.channel, servicePrefix):
			x.call(ctx, c, m)
		default:
			x.publish(ctx, c, m)
		}
	}
}

// emit answers.
func (x *exchange) emit(messages ...[]byte) {
	if x.sock != nil {
		x.sock.put(nil, messages)
		return
	}
	x.out = append(x.out, messages...)
}

// events sends events of a client along with the answers.
func (x *exchange) events(c *client, events [][]byte) {
	if x.sock != nil {
		x.sock.put(c, events)
		return
	}
	x.out = append(x.out, events...)
}

// reply answers a message.
func (x *exchange) reply(m *message, r reply) {
	x.emit(r.to(m))
}

// to encodes the reply to a message.
func (r *reply) to(m *message) []byte {
	r.ID, r.Channel = m.id, m.channel
	return r.encode()
}

// fail answers a message with an error. Whoever is unknown is advised to make a
// new handshake.
func (x *exchange) fail(m *message, failure *Error) {
	r := reply{Error: failure.Error()}
	if failure.Code == 402 {
		x.server.counters.unknown.Add(1)
		r.Advice = x.server.adviceTo("handshake", 0)
	}
	x.reply(m, r)
}

// client is how the application sees a client that sent the message at hand.
func (x *exchange) client(c *client) Client {
	return Client{ID: c.id, Value: c.value, Request: x.request}
}

// failureOf is what the client is told about an error of the application.
func (s *Server) failureOf(ctx context.Context, what string, err error) *Error {
	if failure, ok := errors.AsType[*Error](err); ok {
		return failure
	}
	s.log.ErrorContext(ctx, "bayeux call failed", "channel", what, "err", err)
	return errInternal()
}

func (x *exchange) handshake(ctx context.Context, m *message) {
	s := x.server
	r := reply{Version: version, MinimumVersion: version, Connections: s.transports}
	refuse := func(failure *Error, advice *wireAdvice) {
		s.counters.refused.Add(1)
		r.Error, r.Advice = failure.Error(), advice
		x.reply(m, r)
	}
	if !slices.ContainsFunc(s.transports, func(t Transport) bool { return slices.Contains(m.connections, string(t)) }) {
		refuse(errBad("None of the connection types is supported"), s.adviceTo("none", 0))
		return
	}
	if minimum, err := strconv.ParseFloat(m.minimumVersion, 64); err == nil && minimum > 1 {
		refuse(errBad("The version is not supported"), s.adviceTo("none", 0))
		return
	}
	var value any
	if s.cfg.OnHandshake != nil {
		var err error
		if value, err = s.cfg.OnHandshake(ctx, x.request, m.ext); err != nil {
			refuse(s.failureOf(ctx, metaHandshake, err), s.adviceTo("none", 0))
			return
		}
	}
	c, failure := s.enter(&x.request, value, m.ackEnabled())
	if failure != nil {
		refuse(failure, s.adviceTo("handshake", s.limits.Return))
		return
	}
	s.counters.handshakes.Add(1)
	if x.sock != nil {
		x.sock.bind(c)
	}
	r.Successful, r.ClientID, r.Advice = true, c.id, s.adviceTo("retry", s.advice.Interval)
	if c.acks {
		r.Ext = &wireExt{Ack: map[string]bool{"enabled": true}}
	}
	x.reply(m, r)
}

// version is that of the protocol.
const version = "1.0"

func (x *exchange) connect(c *client, m *message) {
	s := x.server
	if x.sock != nil {
		x.sock.bind(c)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		x.fail(m, errUnknownClient())
		return
	}
	x.replace(c)
	c.sock = x.sock
	if latest, ok := m.acked(); ok && c.acks {
		c.acknowledged(latest)
	}
	if x.sock != nil && !c.acks {
		c.flush()
	}
	hold := m.hold(s.advice.Timeout)
	ready := len(c.queue) > 0 && c.busy == 0
	if hold == 0 || ready || x.sock == nil && !x.alone || s.isDraining() {
		c.await()
		x.events(c, c.ready())
		x.emit(c.connected(m.id, nil))
		return
	}
	p := &pending{id: slices.Clone(m.id), sock: x.sock}
	if x.sock == nil {
		x.line = x.park()
		x.line.client = c
		p.sink = x.line
	}
	c.pending = p
	c.arm(hold)
}

// replace answers the connect that another one replaces: a page was loaded anew,
// or the client has given up the older one. Events are for the newer one. The
// client's lock is held.
func (x *exchange) replace(c *client) {
	p := c.pending
	if p == nil {
		return
	}
	c.pending = nil
	now := x.server.clock.Now()
	r := &reply{Successful: true}
	if now.Sub(c.replaced) < calm && (x.sock == nil || p.sock != x.sock) {
		r.Advice = x.server.adviceTo("retry", 2*calm)
	}
	c.replaced = now
	c.conclude(p, nil, r)
}

func (x *exchange) disconnect(c *client, m *message) {
	c.mu.Lock()
	if c.gone {
		c.mu.Unlock()
		x.fail(m, errUnknownClient())
		return
	}
	c.reason = Disconnected
	events, p, sock := c.end()
	switch {
	case p != nil:
		// Before the reply to this message: a client closes its WebSocket only in this order.
		c.conclude(p, events, &reply{Successful: true, Advice: x.server.adviceTo("none", 0)})
	case x.sock == nil || sock == x.sock:
		x.events(c, events)
	}
	c.mu.Unlock()
	x.reply(m, reply{Successful: true})
	if sock != nil {
		sock.closeSoon()
	}
	x.server.leave(c, Disconnected)
}

func (x *exchange) subscribe(ctx context.Context, c *client, m *message) {
	s := x.server
	channels, ok := m.subscriptions(s.limits.Subscriptions)
	if !ok {
		x.fail(m, errBad("A subscription is a channel or an array of them"))
		return
	}
	for _, channel := range channels {
		if failure := x.subscribeTo(ctx, c, m.channel, channel); failure != nil {
			r := reply{Error: failure.Error(), Subscription: m.subscription}
			if failure.Code == 402 {
				r.Advice = s.adviceTo("handshake", 0)
			}
			x.reply(m, r)
			return
		}
	}
	x.reply(m, reply{Successful: true, Subscription: m.subscription})
}

// subscribeTo begins or ends one subscription. Those to service channels have no
// effect: whoever is meant by an event there gets it without one.
func (x *exchange) subscribeTo(ctx context.Context, c *client, what, channel string) *Error {
	switch {
	case !isPattern(channel) || strings.HasPrefix(channel, metaPrefix):
		return errForbidden(channel)
	case strings.HasPrefix(channel, servicePrefix):
		return nil
	case what == metaUnsubscribe:
		x.server.unsubscribe(c, channel)
		return nil
	}
	if ask := x.server.cfg.OnSubscribe; ask != nil {
		if err := ask(ctx, x.client(c), channel); err != nil {
			return x.server.failureOf(ctx, metaSubscribe, err)
		}
	}
	return x.server.subscribe(c, channel)
}

func (x *exchange) publish(ctx context.Context, c *client, m *message) {
	s := x.server
	if s.cfg.OnPublish == nil {
		x.fail(m, errForbidden(m.channel))
		return
	}
	if m.data == nil {
		x.fail(m, errBad("A message to a channel needs data"))
		return
	}
	if err := s.cfg.OnPublish(ctx, x.client(c), m.channel, m.data); err != nil {
		x.fail(m, s.failureOf(ctx, "broadcast", err))
		return
	}
	text, err := encodeEvent(nil, m.channel, m.data)
	if err != nil {
		x.fail(m, errInternal())
		return
	}
	x.hush(c)
	x.reply(m, reply{Successful: true})
	s.counters.published.Add(1)
	s.publish(m.channel, text)
}

// hush keeps events from a client until the answer of this exchange is on its
// way, if that goes by another connection.
func (x *exchange) hush(c *client) {
	if x.sock != nil || slices.Contains(x.busy, c) {
		return
	}
	x.busy = append(x.busy, c)
	c.mu.Lock()
	c.busy++
	c.mu.Unlock()
}

// end lets events flow again. What waits goes with the answer; what comes within
// the next moment rests, so that it does not overtake that.
func (x *exchange) end() {
	for _, c := range x.busy {
		c.mu.Lock()
		rest := x.server.limits.Settle
		if c.acks {
			rest = 0
		} else if !c.gone {
			x.out = append(x.out, c.take()...)
		}
		c.mu.Unlock()
		settle := func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.busy--
			c.flush()
		}
		if rest == 0 {
			settle()
		} else {
			time.AfterFunc(rest, settle)
		}
	}
}
