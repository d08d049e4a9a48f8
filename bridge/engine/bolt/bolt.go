package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/knowledge"
	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/oauth"
)

var (
	_ cobrowse.Store           = (*Store)(nil)
	_ cobrowse.Index           = (*Store)(nil)
	_ cobrowse.Events          = (*Store)(nil)
	_ cobrowse.DeploymentStore = (*Store)(nil)
	_ cobrowse.SecretStore     = (*Store)(nil)
	_ conversations.Store      = (*Store)(nil)
	_ oauth.Store              = (*Store)(nil)
	_ knowledge.Store          = (*Store)(nil)
	_ notify.Store             = (*Store)(nil)
	_ notify.WebhookStore      = (*Store)(nil)
	_ notify.Outbox            = (*Store)(nil)
)

const (
	// lockTimeout is how long Open waits for a process that is just ending.
	lockTimeout = 3 * time.Second
	// cachedSessions bounds the live sessions kept decoded, at about 4 KB each.
	cachedSessions = 8192
	// cachedTalks and cachedUsers bound what creating a session asks for: a
	// conversation, which it does twice, and the users it invites.
	cachedTalks = 4096
	cachedUsers = 4096
	// largestTalk is the largest conversation that is kept, decoded and in the bytes of its
	// record: attributes can make it megabytes.
	largestTalk = 8 << 10
)

// Config says where the store is.
type Config struct {
	// Path of the file. It is created with mode 0600, a missing directory with 0700.
	Path string
	// Log receives what an operator acts on; nil = nothing is logged.
	Log *slog.Logger
	// OnCommit is told of each commit, by the one goroutine that commits: it must
	// return quickly. May be nil.
	OnCommit func(Commit)
	// Clock measures how long a commit takes, for OnCommit; nil = not measured.
	Clock cobridge.Clock
	// Volatile gives durability up: nothing is synced, and many changes share a commit,
	// which comes after their answers. A crash loses some of them, or leaves a file that
	// nothing opens again. It is for stores that are thrown away with the test that made
	// them, and for nothing else. OnCommit and Stats take each change for a commit.
	Volatile bool
}

// Commit describes one commit.
type Commit struct {
	Changes int           // writes that it made durable, at least 1
	Took    time.Duration // from the first write's turn to the end of the sync; 0 without a clock
}

// Store is an open store. Close it after everything that uses it has stopped.
type Store struct {
	db       *bbolt.DB
	log      *slog.Logger
	clock    cobridge.Clock
	onCommit func(Commit)

	requests  chan *request // unbuffered: what was sent has reached the writer
	closing   chan struct{}
	closeOnce func() error
	writer    sync.WaitGroup
	closed    atomic.Bool
	broken    atomic.Pointer[brokenError] // why nothing is written any more
	stuck     bool                        // the writer's: a transaction can be neither ended nor undone
	standing  *standing                   // of a volatile store, which has no writer; else nil

	sessions    *recordCache[cobrowse.SessionID, cobrowse.Session]
	talks       *recordCache[conversations.ID, talk]
	users       *recordCache[string, conversations.User] // by their key in the file
	clients     *clientCache
	revocations *revocationCache
	tail        *eventTail
	counts      counters
}

// Open opens the store, which it creates if it is not there. It fails if another
// process has it open, if it was written by a newer version, and if it is damaged.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	return open(ctx, cfg, bbolt.Options{NoSync: cfg.Volatile, NoGrowSync: cfg.Volatile})
}

func open(ctx context.Context, cfg Config, options bbolt.Options) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(cfg.Path), 0o700); err != nil {
		return nil, fmt.Errorf("create the store's directory: %w", err)
	}
	options.Timeout = lockTimeout // 0, the default, waits for ever
	options.FreelistType = bbolt.FreelistMapType
	options.NoFreelistSync = true // else every commit after a purge writes the whole list of free pages
	s := &Store{
		log: cfg.Log, clock: cfg.Clock, onCommit: cfg.OnCommit,
		requests: make(chan *request), closing: make(chan struct{}),
		sessions: newRecordCache[cobrowse.SessionID, cobrowse.Session](cachedSessions),
		talks:    newRecordCache[conversations.ID, talk](cachedTalks),
		users:    newRecordCache[string, conversations.User](cachedUsers),
		clients:  newClientCache(), revocations: newRevocationCache(), tail: newEventTail(),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	_, missing := os.Stat(cfg.Path)
	if err := s.load(ctx, cfg.Path, &options); err != nil {
		if s.db != nil {
			err = errors.Join(err, s.closeFile())
		}
		return nil, err
	}
	s.closeOnce = sync.OnceValue(s.close)
	if cfg.Volatile {
		s.standing = &standing{}
	} else {
		s.writer.Go(s.write)
	}
	if errors.Is(missing, fs.ErrNotExist) {
		s.log.InfoContext(ctx, "new store made", "path", cfg.Path)
	}
	s.log.InfoContext(ctx, "store opened", "path", cfg.Path, "liveSessions", s.counts.live.Load())
	return s, nil
}

// load opens the file and reads what is kept in memory. A damaged file makes bbolt
// panic, or reach behind the end of the mapped file: both come back as an error.
func (s *Store) load(ctx context.Context, path string, options *bbolt.Options) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = damaged(path, fmt.Errorf("panic: %v", r))
		}
	}()
	if err := inspect(path); err != nil {
		return err
	}
	if err := unseal(path); err != nil {
		return err
	}
	if s.db, err = openFile(path, options); err != nil {
		return err
	}
	if err := s.db.Update(prepare); err != nil {
		return err
	}
	return s.db.View(func(tx *bbolt.Tx) error {
		t := &txn{tx: tx}
		for _, part := range []func(context.Context, *txn) error{s.loadSessions, s.loadClients, s.loadRevocations, s.loadEvents} {
			if err := part(ctx, t); err != nil {
				return fmt.Errorf("read store %s: %w", path, err)
			}
		}
		return nil
	})
}

func openFile(path string, options *bbolt.Options) (*bbolt.DB, error) {
	db, err := bbolt.Open(path, 0o600, options)
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fmt.Errorf("open store %s: it is in use by another process, stop that first; a store belongs to one process at a time: %w", path, err)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, berrors.ErrChecksum):
		return nil, damaged(path, err)
	case err != nil:
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	return db, nil
}

// inspect reads an existing file once from end to end, without writing to it. When
// bbolt opens a file for writing it looks for the free pages, in a goroutine of its
// own: a damaged page there would end the process. Here the panic can be caught.
func inspect(path string) (err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0:
		return nil // to be created
	case err != nil:
		return fmt.Errorf("open store: %w", err)
	}
	db, err := openFile(path, &bbolt.Options{ReadOnly: true, Timeout: lockTimeout})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.View(func(tx *bbolt.Tx) error {
		if err := checkFormat(tx, path); err != nil {
			return err
		}
		if info.Size() < tx.Size() {
			return damaged(path, fmt.Errorf("it has %d bytes, want %d", info.Size(), tx.Size()))
		}
		if !ordered(tx.Cursor()) {
			return damaged(path, errors.New("its buckets are out of order"))
		}
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			if !ordered(b.Cursor()) {
				return damaged(path, fmt.Errorf("bucket %q is out of order", name))
			}
			return nil
		})
	})
}

// ordered walks over all keys and reports whether they grow.
func ordered(c *bbolt.Cursor) bool {
	var last []byte
	for key, _ := c.First(); key != nil; key, _ = c.Next() {
		if last != nil && bytes.Compare(key, last) <= 0 {
			return false
		}
		last = key
	}
	return true
}

func damaged(path string, cause error) error {
	return fmt.Errorf("the store %s is damaged or is no store: put a backup in its place, or move it away to start with an empty one: %w", path, cause)
}

// Close waits for the writes that have been accepted and closes the file. Later
// calls fail with CodeUnavailable. It may be called more than once.
func (s *Store) Close() error { return s.closeOnce() }

func (s *Store) close() error {
	s.closed.Store(true)
	close(s.closing)
	s.writer.Wait()
	var failed error
	if s.standing != nil {
		failed = s.end()
	}
	if err := errors.Join(failed, s.closeFile()); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// closeFile closes the file even if what was read of it makes that panic.
func (s *Store) closeFile() (err error) {
	if s.stuck {
		return errors.New("a write that could not be undone holds it open until the process ends")
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return s.db.Close()
}

// Ping fails with CodeUnavailable when the store is closed or writes no more.
func (s *Store) Ping(ctx context.Context) error {
	if broken := s.broken.Load(); broken != nil {
		return unavailable(broken)
	}
	return s.view(ctx, func(*txn) error { return nil })
}

// Stats are numbers for metrics; all but FileBytes and LiveSessions count since Open.
type Stats struct {
	FileBytes    int64
	LiveSessions int64
	Commits      uint64 // each of them two syncs of the file
	Changes      uint64 // writes in these commits
	LargestBatch uint64 // most writes in one commit
}

type counters struct {
	live                   atomic.Int64
	commits, changes, most atomic.Uint64
}

// Stats returns the present numbers. FileBytes is 0 after Close.
func (s *Store) Stats() Stats {
	stats := Stats{
		LiveSessions: s.counts.live.Load(), Commits: s.counts.commits.Load(), Changes: s.counts.changes.Load(), LargestBatch: s.counts.most.Load(),
	}
	// It fails only after Close, and then the size stays 0.
	_ = s.db.View(func(tx *bbolt.Tx) error {
		stats.FileBytes = tx.Size()
		return nil
	})
	return stats
}

// view runs fn in a read transaction. Nothing of the transaction may leave fn, and
// fn must not wait for anything: the file grows while it runs.
func (s *Store) view(ctx context.Context, fn func(*txn) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	defer func() {
		if r := recover(); r != nil { // bbolt panics on a damaged page
			err = fmt.Errorf("read the store: panic: %v", r)
		}
	}()
	if s.standing != nil {
		s.standing.mu.Lock()
		defer s.standing.mu.Unlock()
		if s.standing.txn != nil {
			return fn(s.standing.txn)
		}
	}
	err = s.db.View(func(tx *bbolt.Tx) error { return fn(&txn{tx: tx}) })
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return unavailable(err)
	}
	return err
}

// alive is for reads that memory answers: they fail after Close as the others do.
func (s *Store) alive() error {
	if s.closed.Load() {
		return unavailable(berrors.ErrDatabaseNotOpen)
	}
	return nil
}

func unavailable(cause error) error {
	return &cobridge.Error{Code: cobridge.CodeUnavailable, Message: "The store is not available.", Err: cause}
}
