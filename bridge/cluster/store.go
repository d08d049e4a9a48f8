package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/cobridge/cobridge/cobrowse"
)

// Peer is a process that serves the store.
type Peer struct {
	ID      string // drawn anew at each start, and after a burial
	Address string // host:port or https://host:port at which others reach it; empty = they do not
}

// Seen is a peer as the store knows it.
type Seen struct {
	Peer

	Overdue bool // its life is over, by the store's clock: it may be buried
}

// Present is what a process hears when it says that it is there.
type Present struct {
	Peers  []Seen    // everybody who is not buried, with the process itself
	Buried []Burial  // whose links may still be open in the store
	Now    time.Time // by the store's clock
}

// Burial is a name that will never come back.
type Burial struct {
	ID  string
	Age time.Duration
}

// Lease is the right to have the room of a session.
type Lease struct {
	Node  string // who has it; empty = nobody
	Fence uint64 // larger than that of every lease of this session before
}

// ErrBuried is the answer to somebody who was buried, or never registered.
var ErrBuried = errors.New("this process was given up by the others")

// Store keeps who is there and who has which room. It judges by a clock of its own,
// the same for all. Each method is one atomic step; failures are those of a store.
type Store interface {
	// Register adds a process whose first silence may last as long as life.
	Register(ctx context.Context, p Peer, life time.Duration) error
	// Beat renews the life of a process. It fails with ErrBuried.
	Beat(ctx context.Context, id string, life time.Duration) (Present, error)
	// Peers returns what Beat does, for somebody who need not be there.
	Peers(ctx context.Context) (Present, error)
	// Bury removes a process whose life is over, or with force one that goes by itself,
	// and reports whether this call did it.
	Bury(ctx context.Context, id string, force bool) (bool, error)
	// Forget removes a burial: no link of that process is open in the store any more.
	Forget(ctx context.Context, id string) error

	// Take gives the room to node if nobody has it, node has it, or from has it, which
	// the caller knows to be buried; and returns who has it now.
	Take(ctx context.Context, session cobrowse.SessionID, node, from string, keep time.Duration) (Lease, error)
	// Owner returns who has a room; the zero Lease if nobody does.
	Owner(ctx context.Context, session cobrowse.SessionID) (Lease, error)
	// Keep renews leases, each for as long as keep, and returns the sessions whose lease
	// somebody else has. What the store has lost, it has again afterwards.
	Keep(ctx context.Context, held map[cobrowse.SessionID]Lease, keep time.Duration) (lost []cobrowse.SessionID, err error)
	// Release gives a room back if the lease is still that one. The number of the next
	// one is larger, for as long as keep.
	Release(ctx context.Context, session cobrowse.SessionID, l Lease, keep time.Duration) error

	// Tell has every process that listens hear a text, this one too. Who does not listen
	// at the moment misses it.
	Tell(ctx context.Context, text string) error
	// Listen calls fn for each text until the connection is lost or ctx ends, and returns
	// why. It calls ready once no later text will be missed.
	Listen(ctx context.Context, ready func(), fn func(text string)) error
}
