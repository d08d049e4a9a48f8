package bayeux

import (
	"context"
	"net"
	"time"
	"unique"
)

// Poll handles a body as long-polling does. The answer, now or later, is written
// to conn, which goes to serve afterwards; waits tells that it comes later.
func (s *Server) Poll(ctx context.Context, body string, conn net.Conn, serve func(net.Conn) error) (answer []byte, waits bool) {
	messages, err := decodeEnvelope([]byte(body), &s.limits)
	if err != nil {
		return []byte(err.Error()), false
	}
	x := &exchange{server: s, request: Request{Transport: LongPolling}, park: func() *line {
		return &line{server: s, head: unique.Make(""), serve: serve}
	}}
	x.run(ctx, messages)
	if x.line != nil {
		x.line.arrive(conn)
		return nil, true
	}
	return join(x.out), false
}

// DecodeEnvelope decodes a body and encodes an answer to each of its messages.
func DecodeEnvelope(data []byte) ([]byte, error) {
	limits := DefaultLimits()
	messages, err := decodeEnvelope(data, &limits)
	if err != nil {
		return nil, err
	}
	answers := make([][]byte, len(messages))
	for i := range messages {
		m := &messages[i]
		m.subscriptions(10)
		m.acked()
		m.hold(time.Second)
		answers[i] = (&reply{Successful: true, Subscription: m.subscription}).to(m)
	}
	return join(answers), nil
}

// Forget has the server forget a client as a new process would, and returns
// whether there was one.
func (s *Server) Forget(id ClientID) bool {
	c := s.client(id)
	if c == nil {
		return false
	}
	c.mu.Lock()
	_, p, _ := c.end()
	if p != nil {
		c.conclude(p, nil, &reply{Error: errUnknownClient().Error(), Advice: s.adviceTo("handshake", 0)})
	}
	c.mu.Unlock()
	s.leave(c, Dismissed)
	return true
}

// ForgetAll is Forget for all clients, and returns how many there were.
func (s *Server) ForgetAll() (n int) {
	s.mu.Lock()
	var ids []ClientID
	for id := range s.clients {
		ids = append(ids, id)
	}
	s.mu.Unlock()
	for _, id := range ids {
		if s.Forget(id) {
			n++
		}
	}
	return n
}

// Cut breaks all connections.
func (s *Server) Cut() {
	s.mu.Lock()
	var cut []interface{ cut() }
	for k := range s.sockets {
		cut = append(cut, k)
	}
	for l := range s.lines {
		cut = append(cut, l)
	}
	s.mu.Unlock()
	for _, c := range cut {
		c.cut()
		if l, ok := c.(*line); ok {
			l.client.dropped(l)
		}
	}
}

// Look looks for clients that have gone, now.
func (s *Server) Look() { s.look() }

// Sizes returns the lengths of all lists, for tests that nothing is left.
func (s *Server) Sizes() (clients, networks, subscriptions, sockets, lines int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.clients), len(s.networks), len(s.subscriptions), len(s.sockets), len(s.lines)
}
