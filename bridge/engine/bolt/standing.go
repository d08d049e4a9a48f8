package bolt

import (
	"errors"
	"fmt"
	"sync"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// standingChanges is how many changes of a volatile store share a commit. bbolt splits
// pages only when it commits: with more changes they become long to insert into.
const standingChanges = 256

// standing is the one transaction of a volatile store. A commit would make nothing
// durable there, so it is left open over many changes, and what they were answered is
// read from it. Whoever reads or writes has it for himself, and a change that fails is
// taken back alone: its caller sees what the writer of a durable store lets him see.
type standing struct {
	mu      sync.Mutex
	txn     *txn // nil while everything is committed
	changes int  // that are in it
	closed  bool
}

// entry is what a key had before a change.
type entry struct {
	bucket     bucket
	key, value []byte
	there      bool
}

// note remembers what a key has, for takeBack.
func (t *txn) note(b bucket, key []byte) {
	value, there := t.look(b, key)
	t.undo = append(t.undo, entry{bucket: b, key: key, value: value, there: there})
}

// takeBack undoes what was noted, the latest first.
func (t *txn) takeBack() error {
	var failed error
	for len(t.undo) > 0 && failed == nil {
		last := t.undo[len(t.undo)-1]
		t.undo = t.undo[:len(t.undo)-1]
		switch {
		case len(last.key) == 0 || len(last.key) > bbolt.MaxKeySize: // it was refused
		case last.there:
			failed = t.bucket(last.bucket).Put(last.key, last.value)
		default:
			failed = t.bucket(last.bucket).Delete(last.key)
		}
	}
	return failed
}

// change runs op in the transaction that stands.
func (s *Store) change(op operation) (err error) {
	s.standing.mu.Lock()
	defer s.standing.mu.Unlock()
	if broken := s.broken.Load(); broken != nil {
		return unavailable(broken)
	}
	if s.standing.closed {
		return unavailable(berrors.ErrDatabaseNotOpen)
	}
	defer func() {
		if r := recover(); r != nil {
			err = s.lose(fmt.Errorf("panic: %v", r))
		}
	}()
	start := s.now()
	if s.standing.txn == nil {
		tx, err := s.db.Begin(true)
		if err != nil {
			return unavailable(err)
		}
		s.standing.txn = &txn{tx: tx, stands: true}
	}
	t := s.standing.txn
	t.writes, t.err, t.undo, t.after = 0, nil, t.undo[:0], t.after[:0]
	err = op(t)
	if t.writes == 0 {
		return err
	}
	if err = errors.Join(err, t.err); err != nil {
		if failed := t.takeBack(); failed != nil {
			return s.lose(failed)
		}
		return fmt.Errorf("write to the store: %w", err)
	}
	if s.standing.changes++; s.standing.changes >= standingChanges {
		if err := s.settle(); err != nil {
			return err
		}
	}
	for _, fn := range t.after {
		fn()
	}
	s.count(1, start)
	return nil
}

// settle commits what stands. The standing transaction is the caller's.
func (s *Store) settle() error {
	t := s.standing.txn
	if t == nil {
		return nil
	}
	if err := t.tx.Commit(); err != nil {
		return s.lose(err)
	}
	s.standing.txn, s.standing.changes = nil, 0
	return nil
}

// lose ends all writing, with what stands, although some of it was answered.
func (s *Store) lose(cause error) error {
	if t := s.standing.txn; t != nil {
		s.standing.txn = nil
		s.stuck = !undo(t.tx)
	}
	return s.fail(cause)
}

// end commits what stands, for the last time.
func (s *Store) end() error {
	s.standing.mu.Lock()
	defer s.standing.mu.Unlock()
	s.standing.closed = true
	return s.settle()
}
