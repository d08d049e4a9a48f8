package bayeux

import (
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// client is one client, from its handshake until it has gone.
type client struct {
	server   *Server
	id       ClientID
	value    any
	network  string
	acks     bool     // events go with answers of connects only, and are kept until they are acknowledged
	patterns []string // subscribed to; guarded by the server's lock
	rate     *rate.Limiter

	calling sync.Mutex // held during a call of the application; taken before mu

	mu      sync.Mutex
	gone    bool
	reason  Reason // of a client that the timer will remove
	inCall  bool   // what is delivered now goes to late
	waiting int    // calls, the one in progress included
	busy    int    // while it is not 0 nothing is sent: an answer must go first

	queue  [][]byte // events that nobody was there to take
	late   [][]byte // events that came during a call: they go after its answer
	queued int      // bytes of both and of sent
	events int      // of both and of sent

	batch uint64 // the latest that was sent, of a client that acknowledges
	sent  []batch

	pending  *pending // the connect that waits for its answer
	sock     *socket  // that the client was last connected by; nil after a long poll
	replaced time.Time

	timer *time.Timer // the end of the connect that waits, or of the client if none does
	turn  uint64      // counts timers; one that was too late to be stopped has a lower number
}

// batch is what went out with one answer.
type batch struct {
	number uint64
	events [][]byte
}

// pending is a connect that waits for its answer. It has a sink or a sock.
type pending struct {
	id   []byte // of the message, as it came
	sink sink
	sock *socket
}

// sink is where the answer of a long poll goes.
type sink interface {
	// answer calls build for the messages when it can write them, and failed when
	// they did not go out. It returns at once.
	answer(build func() [][]byte, failed func())
}

// deliver puts an event in the queue and sends what can be sent.
func (c *client) deliver(text []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return ErrUnknownClient
	}
	limits := &c.server.limits
	if c.events >= limits.QueueEvents || c.queued+len(text) > limits.QueueBytes {
		c.doom(Overflowed)
		return ErrOverflow
	}
	c.server.counters.delivered.Add(1)
	c.events++
	c.queued += len(text)
	if c.inCall {
		c.late = append(c.late, text)
		return nil
	}
	c.queue = append(c.queue, text)
	c.flush()
	return nil
}

// flush sends what waits, if there is a way; mu is held.
func (c *client) flush() {
	if c.busy > 0 || c.gone || len(c.queue) == 0 {
		return
	}
	switch {
	case c.sock != nil && !c.acks:
		c.sock.put(c, c.take())
	case c.pending != nil:
		c.release(nil)
	}
}

// take empties the queue; mu is held. The events of a client that acknowledges
// become a batch and are kept.
func (c *client) take() [][]byte {
	events := c.queue
	c.queue = nil
	switch {
	case len(events) == 0:
	case c.acks:
		c.batch++
		c.sent = append(c.sent, batch{number: c.batch, events: events})
	default:
		c.discount(events)
	}
	return events
}

func (c *client) discount(events [][]byte) {
	c.events -= len(events)
	for _, e := range events {
		c.queued -= len(e)
	}
}

// restore puts back events that did not go out, before those that came since.
// For a client that acknowledges there is no need: it says what it has not got.
func (c *client) restore(events [][]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.putBack(events)
}

// putBack is restore with mu held.
func (c *client) putBack(events [][]byte) {
	if c.gone || c.acks || len(events) == 0 {
		return
	}
	c.server.counters.restored.Add(uint64(len(events)))
	c.queue = append(slices.Clip(events), c.queue...)
	c.events += len(events)
	for _, e := range events {
		c.queued += len(e)
	}
	c.flush()
}

// acknowledged forgets the batches that have come, and has the others sent again;
// mu is held.
func (c *client) acknowledged(latest uint64) {
	var again [][]byte
	for _, b := range c.sent {
		if b.number <= latest {
			c.discount(b.events)
		} else {
			again = append(again, b.events...)
		}
	}
	c.sent = nil
	if len(again) > 0 {
		c.server.counters.restored.Add(uint64(len(again)))
		c.queue = append(again, c.queue...)
	}
}

// connected returns the reply to a connect.
func (c *client) connected(id []byte, advice *wireAdvice) []byte {
	r := reply{ID: id, Channel: metaConnect, Successful: true, Advice: advice}
	if c.acks {
		r.Ext = &wireExt{Ack: c.batch}
	}
	return r.encode()
}

// release answers the connect that waits, with what is in the queue; mu is held.
func (c *client) release(advice *wireAdvice) {
	p := c.pending
	c.pending = nil
	c.await()
	if p.sock != nil {
		p.sock.put(c, c.ready())
		p.sock.put(nil, [][]byte{c.connected(p.id, advice)})
		return
	}
	var events [][]byte
	p.sink.answer(func() [][]byte {
		c.mu.Lock()
		defer c.mu.Unlock()
		events = c.ready()
		return append(slices.Clip(events), c.connected(p.id, advice))
	}, func() { c.restore(events) })
}

// ready takes what may be sent now; mu is held.
func (c *client) ready() [][]byte {
	if c.busy > 0 || c.gone {
		return nil
	}
	return c.take()
}

// conclude answers a connect that waited in another way than by what it waited
// for; mu is held and pending no longer has it.
func (c *client) conclude(p *pending, events [][]byte, r *reply) {
	r.ID, r.Channel = p.id, metaConnect
	if p.sock != nil {
		p.sock.put(nil, append(slices.Clip(events), r.encode()))
		return
	}
	p.sink.answer(func() [][]byte { return append(slices.Clip(events), r.encode()) }, func() {})
}

// sendAway answers the connect that waits with the advice to come back as a new
// client, for a shutdown.
func (c *client) sendAway(interval time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopTimer()
	p := c.pending
	c.pending = nil
	if p != nil {
		c.conclude(p, c.ready(), &reply{Error: errBusy("About to stop").Error(), Advice: c.server.adviceTo("handshake", interval)})
	}
}

// dropped is told that the connection on which a long poll waited has gone.
func (c *client) dropped(l *line) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending != nil && c.pending.sink == sink(l) {
		c.pending = nil
		c.await()
	}
}

// unbind is told that a WebSocket has ended or has another client now.
func (c *client) unbind(sock *socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending != nil && c.pending.sock == sock {
		c.pending = nil
		c.await()
	}
	if c.sock == sock {
		c.sock = nil
	}
	c.putBack(sock.takeOf(c))
}

func (c *client) isGone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone
}

// await starts to wait for the next connect; mu is held.
func (c *client) await() { c.arm(c.server.advice.MaxInterval + c.server.advice.Interval) }

// arm sets the timer; mu is held.
func (c *client) arm(d time.Duration) {
	c.stopTimer()
	if c.gone || c.reason != "" && d > 0 {
		return
	}
	turn := c.turn
	c.timer = time.AfterFunc(d, func() { c.fire(turn) })
}

// stopTimer stops the timer; mu is held.
func (c *client) stopTimer() {
	c.turn++
	if c.timer != nil {
		c.timer.Stop()
	}
}

// doom has the client removed by its timer, since whoever finds the reason must
// not be the one who tells the application; mu is held.
func (c *client) doom(reason Reason) {
	if c.gone || c.reason != "" {
		return
	}
	c.reason = reason
	c.arm(0)
}

// fire is the end of a connect that waited long enough, or of the client.
func (c *client) fire(turn uint64) {
	c.mu.Lock()
	if c.turn != turn || c.gone || c.server.isDraining() {
		c.mu.Unlock()
		return
	}
	if c.pending != nil && c.reason == "" {
		c.release(nil)
		c.mu.Unlock()
		return
	}
	reason := c.reason
	if reason == "" {
		reason = ConnectionLost
	}
	events, p, sock := c.end()
	if p != nil {
		c.conclude(p, events, &reply{Successful: true, Advice: c.server.adviceTo("none", 0)})
	} else if sock != nil {
		sock.put(nil, events)
	}
	c.mu.Unlock()
	if sock != nil && reason != ConnectionLost {
		sock.closeSoon()
	}
	c.server.leave(c, reason)
}

// end marks the client as gone and returns what is left of it; mu is held.
func (c *client) end() (events [][]byte, p *pending, sock *socket) {
	c.stopTimer()
	if c.reason != Overflowed {
		events = c.ready()
	}
	p, sock = c.pending, c.sock
	c.gone, c.pending, c.sock = true, nil, nil
	c.queue, c.late, c.sent = nil, nil, nil
	return events, p, sock
}
