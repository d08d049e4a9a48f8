package cluster

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
)

// releaseLimit bounds how long the release of a room may take; what fails is taken over
// from us by nobody until this process is gone, but is ours again at the next Hold.
const releaseLimit = 3 * time.Second

// room is what this process knows of the room of a session.
type room struct {
	users int // links, and those that come or go; guarded by Node.mu: with the last the room is forgotten

	turn  chan struct{} // of capacity 1: held for a change of what follows
	links int
	lease Lease
	here  atomic.Bool // lease is ours as far as we know
}

// ElsewhereError says that the room is in another process.
type ElsewhereError struct{ Owner string }

// Error names nobody: it may be shown.
func (e *ElsewhereError) Error() string { return "the session is in another process" }

// elsewhere is the answer to somebody who comes to the wrong process.
func elsewhere(owner string) error {
	return &cobridge.Error{
		Code: cobridge.CodeUnavailable, Message: "The session is with another node; connect again.", RetryAfter: time.Second, Err: &ElsewhereError{owner},
	}
}

// Hold takes the room of a session for one more link, whose client has shown that it
// may come in. [Node.Drop] must follow a Hold that succeeded. It fails with
// CodeUnavailable and an [*ElsewhereError] while somebody else has the room, and with
// CodeUnavailable when the store cannot be asked.
func (n *Node) Hold(ctx context.Context, id cobrowse.SessionID) error {
	r, err := n.enter(ctx, id)
	if err != nil {
		return err
	}
	if err := n.hold(ctx, id, r); err != nil {
		n.exit(id, r)
		return err
	}
	r.links++
	<-r.turn
	return nil
}

// enter finds or makes a room and takes its turn.
func (n *Node) enter(ctx context.Context, id cobrowse.SessionID) (*room, error) {
	n.mu.Lock()
	r := n.rooms[id]
	if r == nil {
		r = &room{turn: make(chan struct{}, 1)}
		n.rooms[id] = r
	}
	r.users++
	n.mu.Unlock()
	select {
	case r.turn <- struct{}{}:
		return r, nil
	case <-ctx.Done():
		n.forget(id, r)
		return nil, ctx.Err()
	}
}

// exit gives the turn back, and the place in the room.
func (n *Node) exit(id cobrowse.SessionID, r *room) {
	<-r.turn
	n.forget(id, r)
}

func (n *Node) forget(id cobrowse.SessionID, r *room) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if r.users--; r.users == 0 {
		delete(n.rooms, id)
	}
}

// hold makes sure that the lease is ours; the turn is.
func (n *Node) hold(ctx context.Context, id cobrowse.SessionID, r *room) error {
	n.mu.Lock()
	me, sure := n.id, n.clock.Now().Sub(n.heard) < n.life
	n.mu.Unlock()
	if r.here.Load() && r.lease.Node == me && sure {
		return nil
	}
	from := ""
	for {
		lease, err := n.store.Take(ctx, id, me, from, keepLease)
		switch {
		case err != nil:
			return err
		case lease.Node == me:
			r.lease = lease
			r.here.Store(true)
			return nil
		case lease.Node == from:
			return elsewhere(lease.Node) // cannot be: it was ours to take
		}
		_, alive, err := n.Find(ctx, lease.Node)
		if err != nil {
			return err
		}
		if alive {
			return elsewhere(lease.Node)
		}
		from = lease.Node // was buried, so it will never come back
	}
}

// Drop gives back what Hold took for one link. With the last link the room is anybody's.
func (n *Node) Drop(id cobrowse.SessionID) {
	n.mu.Lock()
	r := n.rooms[id]
	n.mu.Unlock()
	r.turn <- struct{}{} // whoever has it goes within the limits of its calls
	if r.links--; r.links == 0 && r.here.Load() {
		r.here.Store(false)
		ctx, cancel := context.WithTimeout(context.Background(), releaseLimit)
		if err := n.store.Release(ctx, id, r.lease, keepLease); err != nil {
			n.log.WarnContext(ctx, "the room of a session could not be given back", "sessionId", string(id), "err", err)
		}
		cancel()
	}
	n.exit(id, r)
}

// lose notes that somebody else has a room, if its lease is still the given one; the
// zero Lease means whichever was taken under another name than the present one.
func (n *Node) lose(ctx context.Context, id cobrowse.SessionID, l Lease) {
	n.mu.Lock()
	r, tell, me := n.rooms[id], n.lost, n.id
	n.mu.Unlock()
	if r == nil {
		return
	}
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return
	}
	was := r.here.Load() && (l == Lease{} && r.lease.Node != me || r.lease == l)
	if was {
		r.here.Store(false)
	}
	<-r.turn
	if !was {
		return
	}
	n.log.WarnContext(ctx, "the room of a session is with another node now", "sessionId", string(id))
	n.mu.Lock()
	n.stats.Lost++
	n.mu.Unlock()
	if tell != nil {
		tell(id)
	}
}

// keep renews the leases of all rooms.
func (n *Node) keep(ctx context.Context) {
	n.mu.Lock()
	ids := n.heldIDs()
	n.mu.Unlock()
	for ids := range slices.Chunk(ids, 500) {
		held := map[cobrowse.SessionID]Lease{}
		for _, id := range ids {
			n.mu.Lock()
			r := n.rooms[id]
			n.mu.Unlock()
			if r == nil {
				continue
			}
			r.turn <- struct{}{}
			if r.here.Load() {
				held[id] = r.lease
			}
			<-r.turn
		}
		lost, err := n.store.Keep(ctx, held, keepLease)
		if err != nil && ctx.Err() == nil {
			n.log.WarnContext(ctx, "the rooms of this node could not be renewed", "err", err)
		}
		for _, id := range lost {
			n.lose(ctx, id, held[id])
		}
	}
}

// heldIDs are the sessions whose rooms are here; mu is held.
func (n *Node) heldIDs() []cobrowse.SessionID {
	var ids []cobrowse.SessionID
	for id, r := range n.rooms {
		if r.here.Load() {
			ids = append(ids, id)
		}
	}
	return ids
}

// Route tells who else has the room of a session. It reports false when it is here, or
// nobody who lives has it: then it may be taken. It fails as the store does.
func (n *Node) Route(ctx context.Context, id cobrowse.SessionID) (Peer, bool, error) {
	n.mu.Lock()
	r, me := n.rooms[id], n.id
	n.mu.Unlock()
	if r != nil && r.here.Load() {
		return Peer{}, false, nil
	}
	lease, err := n.store.Owner(ctx, id)
	if err != nil || lease.Node == "" || lease.Node == me {
		return Peer{}, false, err
	}
	return n.Find(ctx, lease.Node)
}
