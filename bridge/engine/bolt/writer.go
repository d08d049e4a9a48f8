package bolt

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/cobridge/cobridge"
)

// maxBatch bounds the writes of one commit, and with it how long the first waits.
const maxBatch = 512

// An operation is one atomic write. It checks first and writes last: an error before
// its first write is a refusal, which leaves the other writes of the commit alone; one
// after it undoes the whole transaction. It may run more than once, and after its
// caller has gone, so it uses no memory of the caller's and keeps side effects for txn.after.
type operation func(*txn) error

type request struct {
	op        operation
	abandoned atomic.Bool // the caller has gone; no need to start
	answer    chan error  // has room for the one answer
	err       error       // of the latest run; the writer's own
}

// brokenError is why the store takes no more writes.
type brokenError struct{ cause error }

func (e *brokenError) Error() string { return "the store takes no more writes: " + e.cause.Error() }
func (e *brokenError) Unwrap() error { return e.cause }

// update hands op to the writer and waits until it is durable or refused. When ctx
// ends first, the write may still happen.
func (s *Store) update(ctx context.Context, op operation) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.standing != nil {
		return s.change(op)
	}
	r := &request{op: op, answer: make(chan error, 1)}
	select {
	case s.requests <- r:
	case <-s.closing:
		return unavailable(berrors.ErrDatabaseNotOpen)
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-r.answer:
		return err
	case <-ctx.Done():
		r.abandoned.Store(true)
		return ctx.Err()
	}
}

// write is the writer: it alone opens write transactions.
func (s *Store) write() {
	batch := make([]*request, 0, maxBatch)
	for {
		select {
		case r := <-s.requests:
			batch = s.gather(append(batch[:0], r))
			// Whoever is about to ask is let go first, as long as that brings somebody: on
			// a busy machine a fuller commit gains more than the moment costs.
			for n := 0; n < len(batch); {
				n = len(batch)
				runtime.Gosched()
				batch = s.gather(batch)
			}
			s.commit(batch)
			clear(batch) // keeps no answered request alive
		case <-s.closing:
			return
		}
	}
}

// gather adds the writes that wait at this moment.
func (s *Store) gather(batch []*request) []*request {
	for len(batch) < maxBatch {
		select {
		case r := <-s.requests:
			if !r.abandoned.Load() {
				batch = append(batch, r)
			}
		default:
			return batch
		}
	}
	return batch
}

// errUndone is the outcome of a transaction that one of its members spoiled.
var errUndone = errors.New("a write failed and the transaction was undone")

// commit runs the batch in one transaction and answers its members. If a member
// fails after it has begun to write, each gets a transaction of its own.
func (s *Store) commit(batch []*request) {
	err := s.attempt(batch)
	if errors.Is(err, errUndone) && len(batch) > 1 {
		for _, r := range batch {
			s.commit([]*request{r})
		}
		return
	}
	for _, r := range batch {
		switch {
		case errors.Is(err, errUndone):
			r.answer <- fmt.Errorf("write to the store: %w", r.err)
		case err != nil:
			r.answer <- err
		default:
			r.answer <- r.err
		}
	}
}

// attempt runs the batch in one transaction. After a nil result each member's err
// says whether it was refused, and what it wrote is durable and in the caches.
func (s *Store) attempt(batch []*request) (err error) {
	if broken := s.broken.Load(); broken != nil {
		return unavailable(broken)
	}
	var tx *bbolt.Tx
	// bbolt panics on a damaged page: that is to end the store and not the process.
	defer func() {
		if r := recover(); r != nil {
			s.stuck = !undo(tx)
			err = s.fail(fmt.Errorf("panic: %v", r))
		}
	}()
	start := s.now()
	tx, err = s.db.Begin(true)
	if err != nil {
		return unavailable(err)
	}
	t := &txn{tx: tx}
	changes := 0
	for _, r := range batch {
		before := t.writes
		r.err = r.op(t)
		if t.writes == before {
			continue
		}
		changes++
		if r.err == nil {
			r.err = t.err
		}
		if r.err != nil {
			return errors.Join(errUndone, tx.Rollback())
		}
	}
	if changes == 0 {
		// Refusals alone need no sync, so a storm of conflicts stays cheap.
		if err := tx.Rollback(); err != nil {
			return unavailable(err)
		}
	} else {
		id := tx.ID()
		if err := tx.Commit(); err != nil {
			return s.commitFailed(id, err)
		}
	}
	for _, fn := range t.after {
		fn()
	}
	if changes > 0 {
		s.count(changes, start)
	}
	return nil
}

// undo ends a transaction that panicked, and reports whether it could.
func undo(tx *bbolt.Tx) (done bool) {
	defer func() {
		if recover() != nil {
			done = false
		}
	}()
	if tx == nil {
		return true
	}
	err := tx.Rollback()
	return err == nil || errors.Is(err, berrors.ErrTxClosed)
}

// commitFailed decides whether the store can go on. If the new root page can be seen
// already, then readers may have what no sync has confirmed, and bbolt's list of free
// pages does not fit it: only opening the file anew brings them together.
func (s *Store) commitFailed(id int, cause error) error {
	visible := true
	if err := s.db.View(func(tx *bbolt.Tx) error {
		visible = tx.ID() >= id
		return nil
	}); err != nil || visible {
		return s.fail(cause)
	}
	s.log.Error("commit failed; nothing of it was stored", "err", cause)
	return &cobridge.Error{Code: cobridge.CodeUnavailable, Message: "The change could not be stored.", Err: cause}
}

// fail ends all writing.
func (s *Store) fail(cause error) error {
	broken := &brokenError{cause: cause}
	s.broken.Store(broken)
	s.log.Error("store takes no more writes until it is opened anew", "err", cause)
	return unavailable(broken)
}

func (s *Store) now() (nanos int64) {
	if s.clock == nil || s.onCommit == nil {
		return 0
	}
	return s.clock().UnixNano()
}

func (s *Store) count(changes int, start int64) {
	n := uint64(changes) //nolint:gosec // 1..maxBatch
	s.counts.commits.Add(1)
	s.counts.changes.Add(n)
	s.counts.most.Store(max(s.counts.most.Load(), n)) // the writer alone stores it
	if s.onCommit != nil {
		s.onCommit(Commit{Changes: changes, Took: time.Duration(s.now() - start)})
	}
}
