package cluster

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
)

// IDSize is the length of every name of a process, in letters and digits.
const IDSize = 26

// Config is what a Node is built from. Store, Clock and Log are required.
type Config struct {
	Store   Store
	Clock   cobridge.Clock // of this world: how long ago the store was heard of
	Log     *slog.Logger
	Address string // at which other processes reach this one, as in [Peer]

	Beat time.Duration // between two signs of life; 0 = DefaultBeat
	Life time.Duration // silence after which a process is buried; 0 = DefaultLife

	// Gone is called when somebody was buried, or has left, until it succeeds: links
	// that the store still has as open there are to be closed. Nil = nobody is told.
	Gone func(ctx context.Context, id string) error
}

// Defaults of [Config], and bounds.
const (
	DefaultBeat = 2 * time.Second
	DefaultLife = 10 * time.Second

	keepLease   = 24 * time.Hour   // of rooms that nobody renews; after it their fencing numbers begin anew
	keepEvery   = 5                // beats between two renewals of all rooms
	goneAgain   = 15 * time.Second // after a burial, others do what it is for
	listenAgain = 500 * time.Millisecond
	lastWords   = 2 * time.Second // for leaving
	maxSkew     = 2 * time.Second
)

// Node is this process among those that serve the store.
type Node struct {
	store   Store
	clock   cobridge.Clock
	log     *slog.Logger
	address string
	beat    time.Duration
	life    time.Duration
	gone    func(ctx context.Context, id string) error

	mu     sync.Mutex
	id     string
	peers  []Seen
	heard  time.Time // when the latest beat that succeeded was begun
	steady time.Time // since when no beat is missing
	skew   time.Duration
	rooms  map[cobrowse.SessionID]*room
	lost   func(cobrowse.SessionID) // set by OnLost
	parted func(id string)          // set by OnParted
	told   map[string]bool          // burials that are being worked on
	stats  Stats
}

// Stats are numbers for metrics.
type Stats struct {
	Peers   int    // that live, with this one
	Rooms   int    // that are here
	Lost    uint64 // rooms that somebody else has taken, since the start
	Burials uint64 // of others, by this process
	Renamed uint64 // times that the others had given this process up
}

// New registers a process. [Node.Run] must follow before its life is over, if rooms
// shall be here.
func New(ctx context.Context, cfg Config) (*Node, error) {
	n := &Node{
		store: cfg.Store, clock: cfg.Clock, log: cfg.Log, address: cfg.Address, gone: cfg.Gone,
		beat: cmp.Or(cfg.Beat, DefaultBeat), life: cmp.Or(cfg.Life, DefaultLife),
		rooms: map[cobrowse.SessionID]*room{}, told: map[string]bool{},
	}
	if err := n.register(ctx); err != nil {
		return nil, fmt.Errorf("register with the other processes: %w", err)
	}
	n.steady = n.clock.Now()
	return n, nil
}

// register takes a new name.
func (n *Node) register(ctx context.Context) error {
	id := strings.ToLower(rand.Text())
	if err := n.store.Register(ctx, Peer{ID: id, Address: n.address}, n.life); err != nil {
		return err
	}
	begun := n.clock.Now()
	present, err := n.store.Beat(ctx, id, n.life)
	if err != nil {
		return err
	}
	n.mu.Lock()
	n.id = id
	n.mu.Unlock()
	n.hear(begun, present)
	return nil
}

// ID is the present name of this process.
func (n *Node) ID() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.id
}

// OnLost has fn called for each room that is not here any more although links are in
// it: they must be closed, and may come again. It is called once, before Run.
func (n *Node) OnLost(fn func(cobrowse.SessionID)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lost = fn
}

// OnParted has fn called for each process that is not there any more, whoever has found
// out. It is called once, before Run.
func (n *Node) OnParted(fn func(id string)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.parted = fn
}

// Stats returns the present numbers.
func (n *Node) Stats() Stats {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.stats
	for _, p := range n.peers {
		if !p.Overdue {
			s.Peers++
		}
	}
	for _, r := range n.rooms {
		if r.here.Load() {
			s.Rooms++
		}
	}
	return s
}

// Check fails while the store was not heard of for as long as a life, and while its
// clock is not ours: such a process should not be given work.
func (n *Node) Check(context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.clock.Now().Sub(n.heard) > n.life:
		return errors.New("the other processes have not heard of this one")
	case n.skew > maxSkew || n.skew < -maxSkew:
		return errors.New("the clock differs from the store's")
	}
	return nil
}

// Run says that this process is there until ctx ends, and then that it goes: links and
// rooms are gone by then. It watches the others, and returns nil.
func (n *Node) Run(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	defer n.leave(context.WithoutCancel(ctx))
	ticker := time.NewTicker(n.beat)
	defer ticker.Stop()
	var keeping sync.Mutex
	for beats := 1; ; beats++ {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		present, ok := n.live(ctx, &work)
		if !ok {
			continue
		}
		n.mourn(ctx, append(n.bury(ctx, present), left(present)...), &work)
		if beats%keepEvery == 0 && keeping.TryLock() {
			work.Go(func() { // a slow store must not hold up the next beat
				defer keeping.Unlock()
				n.keep(ctx)
			})
		}
	}
}

// live says once that this process is there, and reports whether it is.
func (n *Node) live(ctx context.Context, work *sync.WaitGroup) (Present, bool) {
	begun := n.clock.Now()
	limited, cancel := context.WithTimeout(ctx, n.life/3)
	defer cancel()
	present, err := n.store.Beat(limited, n.ID(), n.life)
	switch {
	case errors.Is(err, ErrBuried):
		n.log.WarnContext(ctx, "the other nodes have given this one up: its rooms are theirs now, its clients come again")
		n.renamed(ctx, work)
		return Present{}, false
	case err != nil:
		if ctx.Err() == nil {
			n.log.WarnContext(ctx, "the other nodes cannot be told that this one is there", "err", err)
		}
		return Present{}, false
	}
	n.hear(begun, present)
	return present, true
}

// hear notes what a beat has told.
func (n *Node) hear(begun time.Time, p Present) {
	n.mu.Lock()
	if begun.Sub(n.heard) > n.life/2 {
		n.steady = begun // a gap: for others it may be the same, and their lives have only seemed to end
	}
	before, tell := n.peers, n.parted
	n.heard, n.peers, n.skew = begun, p.Peers, begun.Sub(p.Now)
	n.mu.Unlock()
	if tell == nil {
		return
	}
	for _, other := range before {
		if !slices.ContainsFunc(p.Peers, func(s Seen) bool { return s.ID == other.ID }) {
			tell(other.ID)
		}
	}
}

// bury buries those whose life is over. Who has missed beats of its own does so only
// when everybody else has had a life's time to be heard of again: the store was away.
func (n *Node) bury(ctx context.Context, p Present) (done []string) {
	n.mu.Lock()
	judges := n.clock.Now().Sub(n.steady) >= n.life
	n.mu.Unlock()
	limited, cancel := context.WithTimeout(ctx, n.life/3)
	defer cancel()
	for _, other := range p.Peers {
		if !other.Overdue || !judges {
			continue
		}
		buried, err := n.store.Bury(limited, other.ID, false)
		if err != nil && ctx.Err() == nil {
			n.log.WarnContext(ctx, "a node that is gone cannot be given up", "node", other.ID, "err", err)
		}
		if buried {
			done = append(done, other.ID)
			n.log.WarnContext(ctx, "a node is gone", "node", other.ID, "address", other.Address)
			n.mu.Lock()
			n.stats.Burials++
			n.peers = slices.DeleteFunc(slices.Clone(n.peers), func(s Seen) bool { return s.ID == other.ID })
			tell := n.parted
			n.mu.Unlock()
			if tell != nil {
				tell(other.ID)
			}
		}
	}
	return done
}

// left returns burials that whoever did them has not seen through: it may be gone itself,
// or have buried itself.
func left(p Present) (ids []string) {
	for _, b := range p.Buried {
		if b.Age >= goneAgain {
			ids = append(ids, b.ID)
		}
	}
	return ids
}

// mourn has the links of those who were buried closed, and then removes the burials.
func (n *Node) mourn(ctx context.Context, buried []string, work *sync.WaitGroup) {
	if n.gone == nil {
		return
	}
	for _, id := range buried {
		n.mu.Lock()
		busy := n.told[id]
		n.told[id] = true
		n.mu.Unlock()
		if busy {
			continue
		}
		work.Go(func() {
			defer func() {
				n.mu.Lock()
				delete(n.told, id)
				n.mu.Unlock()
			}()
			err := n.gone(ctx, id)
			if err == nil {
				err = n.store.Forget(ctx, id)
			}
			if err != nil && ctx.Err() == nil {
				n.log.WarnContext(ctx, "the links of a node that is gone could not be closed, it is tried again", "node", id, "err", err)
			}
		})
	}
}

// renamed begins anew under another name, without rooms.
func (n *Node) renamed(ctx context.Context, work *sync.WaitGroup) {
	if err := n.register(ctx); err != nil {
		if ctx.Err() == nil {
			n.log.WarnContext(ctx, "register with the other nodes failed", "err", err)
		}
		return // the next beat is refused again
	}
	n.mu.Lock()
	n.stats.Renamed++
	n.steady = n.clock.Now()
	ids := n.heldIDs()
	n.mu.Unlock()
	work.Go(func() {
		for _, id := range ids {
			n.lose(ctx, id, Lease{})
		}
	})
}

// leave tells the others that this process goes.
func (n *Node) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lastWords)
	defer cancel()
	if _, err := n.store.Bury(ctx, n.ID(), true); err != nil {
		n.log.WarnContext(ctx, "the other nodes cannot be told that this one goes", "err", err)
	}
}

// Tell has the other processes hear a text, as far as they listen.
func (n *Node) Tell(ctx context.Context, text string) error { return n.store.Tell(ctx, text) }

// Listen calls fn for each text that is told, by this process too, until ctx ends, and
// returns nil. Whenever some may have been missed, and at the start, it calls missed. fn
// and missed are called one at a time.
func (n *Node) Listen(ctx context.Context, missed func(), fn func(text string)) error {
	var turn sync.Mutex
	for {
		ready := func() {
			turn.Lock()
			defer turn.Unlock()
			missed()
		}
		err := n.store.Listen(ctx, ready, func(text string) {
			turn.Lock()
			defer turn.Unlock()
			fn(text)
		})
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was to end
		}
		n.log.WarnContext(ctx, "the other nodes are not heard at the moment", "err", err)
		timer := time.NewTimer(listenAgain)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

// Find finds somebody who lives. Those who have come since the latest beat are asked for.
func (n *Node) Find(ctx context.Context, id string) (Peer, bool, error) {
	n.mu.Lock()
	known := n.peers
	n.mu.Unlock()
	at := func(s Seen) bool { return s.ID == id }
	if i := slices.IndexFunc(known, at); i >= 0 {
		return known[i].Peer, true, nil
	}
	present, err := n.store.Peers(ctx)
	if err != nil {
		return Peer{}, false, err
	}
	if i := slices.IndexFunc(present.Peers, at); i >= 0 {
		return present.Peers[i].Peer, true, nil
	}
	return Peer{}, false, nil
}

// Alive reports whether a process is there, or was not buried yet.
func (n *Node) Alive(ctx context.Context, id string) (bool, error) {
	_, alive, err := n.Find(ctx, id)
	return alive, err
}
