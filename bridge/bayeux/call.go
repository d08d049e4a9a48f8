package bayeux

import (
	"context"
	"runtime/debug"
	"sync"
)

// call is a message on a service channel while the application answers it.
type call struct {
	mu    sync.Mutex
	done  bool
	after []func() // what the application wants to happen after the answer
}

type callKey struct{}

// after keeps what to do for after the answer of the call that ctx belongs to. It
// returns false when there is none: then it is for the caller to do.
func after(ctx context.Context, do func()) bool {
	k, ok := ctx.Value(callKey{}).(*call)
	if !ok {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.done {
		k.after = append(k.after, do)
	}
	return !k.done
}

// finish does what was kept. What comes meanwhile is kept as well, so that the
// order remains.
func (k *call) finish() {
	for {
		k.mu.Lock()
		todo := k.after
		k.after = nil
		k.done = len(todo) == 0
		k.mu.Unlock()
		if len(todo) == 0 {
			return
		}
		for _, do := range todo {
			do()
		}
	}
}

// call has the application answer a message on a service channel. The client
// gets the acknowledgement first, then what waited for it, the answer, and what
// came during the call.
func (x *exchange) call(ctx context.Context, c *client, m *message) {
	s := x.server
	fn := s.services[m.channel]
	if fn == nil {
		x.fail(m, errNoChannel(m.channel))
		return
	}
	c.mu.Lock()
	if c.waiting >= s.limits.Calls {
		c.mu.Unlock()
		x.fail(m, errBusy("Too many calls at a time"))
		return
	}
	c.waiting++
	c.mu.Unlock()
	x.hush(c)
	defer func() {
		c.mu.Lock()
		c.waiting--
		c.mu.Unlock()
	}()

	c.calling.Lock()
	defer c.calling.Unlock()
	c.mu.Lock()
	gone := c.gone
	c.inCall = true
	c.mu.Unlock()
	if gone { // while it waited for its turn
		x.fail(m, errUnknownClient())
		return
	}
	s.counters.calls.Add(1)
	k := &call{}
	answer, failure := x.answer(context.WithValue(ctx, callKey{}, k), fn, c, m)
	ack := reply{Successful: failure == nil}
	if failure != nil {
		ack.Error = failure.Error()
	}
	x.answered(c, ack.to(m), answer)
	k.finish()
}

// answered sends what a call has come to.
func (x *exchange) answered(c *client, ack, answer []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	late := c.late
	c.inCall, c.late = false, nil
	x.emit(ack)
	if answer != nil {
		c.events++ // take counts it out again
		c.queued += len(answer)
		c.queue = append(c.queue, answer)
	}
	c.queue = append(c.queue, late...)
	switch {
	case c.gone: // the application was the one to dismiss it: it still gets its answer
		x.emit(c.queue...)
		c.queue = nil
	case c.acks:
		if x.sock != nil {
			c.flush()
		}
	default:
		x.events(c, c.take())
	}
}

// answer calls the application, and survives it.
func (x *exchange) answer(ctx context.Context, fn ServiceFunc, c *client, m *message) (answer []byte, failure *Error) {
	s := x.server
	defer func() {
		if recover() != nil { // the value is not logged: it may hold what the client sent
			s.counters.panics.Add(1)
			s.log.ErrorContext(ctx, "bayeux call panicked", "channel", m.channel, "stack", string(debug.Stack()))
			answer, failure = nil, errInternal()
		}
	}()
	result, err := fn(ctx, x.client(c), m.data)
	if err == nil && result != nil {
		answer, err = encodeEvent(m.id, m.channel, result)
	}
	if err != nil {
		return nil, s.failureOf(ctx, m.channel, err)
	}
	return answer, nil
}
