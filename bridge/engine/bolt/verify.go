package bolt

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"go.etcd.io/bbolt"

	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// maxProblems bounds what a report lists: a file that is wrong in one place is often
// wrong in thousands.
const maxProblems = 20

// smallest is less than any store has: bbolt begins with two pages that name the root.
const smallest = 2 * 4096

// Progress is told how far something is, in bytes, from one goroutine. total is never 0.
type Progress func(step string, done, total int64)

func (p Progress) tell(step string, done, total int64) {
	if p != nil {
		p(step, done, max(total, 1))
	}
}

// Report is what Verify found in a file.
type Report struct {
	Format   int     // of the store
	Bytes    int64   // of the file
	Free     int64   // bytes of it in pages that hold nothing any more
	Seal     *Seal   // of a backup; nil for a store's own file
	Counts   []Count // of what is in it, always the same kinds in the same order
	Problems []string
	More     int // problems that are not listed
}

// Count is how much there is of one kind.
type Count struct {
	Kind  string // for people, in the plural
	Count int
}

func (r *Report) problem(format string, args ...any) {
	if len(r.Problems) == maxProblems {
		r.More++
		return
	}
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// Verify reads a store or a backup from end to end, without changing it: the sum of its
// bytes, where it is a backup, its pages, its records, and whether each index names what
// is there and nothing else. It fails when the file cannot be read as a store, when a
// process has it open, and when ctx ends; what else is wrong stands in the report.
func Verify(ctx context.Context, path string, progress Progress) (Report, error) {
	seal, size, err := verifySeal(ctx, path, progress)
	if err != nil {
		return Report{}, err
	}
	report := Report{Bytes: size, Seal: seal}
	err = guarded(path, func() error { return verify(ctx, path, &report, progress) })
	return report, err
}

// guarded turns what a damaged file makes of bbolt into an error: a panic, or a fault
// where a page leads behind the end of the file.
func guarded(path string, fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = damaged(path, fmt.Errorf("panic: %v", r))
		}
	}()
	return fn()
}

func verify(ctx context.Context, path string, report *Report, progress Progress) (err error) {
	if err := inspect(path); err != nil {
		return err
	}
	db, err := openFile(path, &bbolt.Options{ReadOnly: true, Timeout: lockTimeout})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.View(func(tx *bbolt.Tx) error {
		c := &checker{t: &txn{tx: tx}, report: report, progress: progress}
		if err := c.run(ctx, path); err != nil {
			return err
		}
		if len(report.Problems) > 0 {
			return nil
		}
		// Its goroutine would die of a page that cannot be reached, and the process with
		// it: all of them have been reached by now.
		for problem := range tx.Check() {
			report.problem("%v", problem)
		}
		return nil
	})
}

// verifySeal compares a backup with its seal.
func verifySeal(ctx context.Context, path string, progress Progress) (seal *Seal, size int64, err error) {
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, 0, fmt.Errorf("open: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, 0, fmt.Errorf("open: %w", err)
	case !info.Mode().IsRegular():
		return nil, 0, fmt.Errorf("%s is no file", path)
	case info.Size() < smallest:
		return nil, 0, damaged(path, fmt.Errorf("it has %d bytes", info.Size()))
	}
	if seal, err = readSeal(f, info.Size()); err != nil {
		return nil, 0, damaged(path, err)
	}
	if seal == nil {
		return nil, info.Size(), nil
	}
	if seal.size() != info.Size() {
		return nil, 0, damaged(path, fmt.Errorf("it has %d bytes, want %d", info.Size(), seal.size()))
	}
	if seal.Format > format {
		return nil, 0, newerFormat(path, seal.Format)
	}
	sum := sha256.New()
	counted := &counting{ctx: ctx.Err, w: sum, tell: func(n int64) { progress.tell("summing up", n, seal.Bytes) }}
	if _, err := io.CopyN(counted, f, seal.Bytes); err != nil {
		return nil, 0, fmt.Errorf("read %s: %w", path, err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != seal.SHA256 {
		return nil, 0, damaged(path, fmt.Errorf("its bytes sum up to %.12s, want %.12s", got, seal.SHA256))
	}
	return seal, info.Size(), nil
}

// counting passes on what is written and tells how much, until ctx fails.
type counting struct {
	ctx  func() error
	w    io.Writer
	n    int64
	tell func(n int64)
}

func (c *counting) Write(p []byte) (int, error) {
	if err := c.ctx(); err != nil {
		return 0, err
	}
	n, err := c.w.Write(p)
	c.n += int64(n)
	c.tell(c.n)
	return n, err
}

// checker compares records and indexes.
type checker struct {
	t        *txn
	report   *Report
	progress Progress
	entries  [bucketCount]int // that are there
	want     [bucketCount]int // that an index must have
	read     int64
}

// pairs are the indexes with one entry for each of another bucket.
func pairs() map[bucket]bucket {
	return map[bucket]bucket{
		redeemedByExpiry: redeemedBucket, repeatableByExpiry: repeatableBucket, deploymentByOrg: deploymentBucket, userByName: userBucket,
		conversationByStart: conversationBucket, revocationByUntil: revocationBucket,
		knowledgeByExpiry: knowledgeBucket, channelByClient: channelBucket, channelByExpiry: channelBucket,
		webhookByOrg: webhookBucket, deliveryByState: deliveryBucket,
	}
}

func (c *checker) run(ctx context.Context, path string) error {
	if c.t.tx.Bucket(metaBucket.name()) == nil {
		return damaged(path, errors.New("it is empty"))
	}
	c.report.Format = format // a newer one has been refused, and there is no older one
	if err := c.walk(ctx); err != nil {
		return err
	}
	for _, index := range []bucket{deadlineBucket, liveByOrg, liveByConversation, historyByOrg, historyByConversation, conversationByEnd, claimByUntil} {
		c.compare(index, c.want[index])
	}
	for index, of := range pairs() {
		c.compare(index, c.entries[of])
	}
	c.report.Counts = []Count{
		{"organisations", c.entries[organisationBucket]},
		{"users", c.entries[userBucket]},
		{"OAuth clients", c.entries[clientBucket]},
		{"deployments", c.entries[deploymentBucket]},
		{"conversations", c.entries[conversationBucket]},
		{"live sessions", c.entries[liveBucket]},
		{"history records", c.entries[historyBucket]},
		{"events", c.entries[eventBucket]},
		{"notification channels", c.entries[channelBucket]},
		{"Knowledge Center sessions", c.entries[knowledgeBucket]},
		{"webhooks", c.entries[webhookBucket]},
		{"deliveries to them", c.entries[deliveryBucket]},
	}
	return nil
}

func (c *checker) compare(index bucket, want int) {
	if got := c.entries[index]; got != want {
		c.report.problem("index %s has %d entries, want %d", index.name(), got, want)
	}
}

// walk reads every entry of every bucket, and how much room their pages take.
func (c *checker) walk(ctx context.Context) error {
	var used int64
	page := int64(c.t.tx.DB().Info().PageSize)
	for b := range bucketCount {
		stored := c.t.tx.Bucket(b.name())
		if stored == nil {
			continue // of a version that did not have it yet
		}
		err := stored.ForEach(func(key, value []byte) error {
			if c.entries[b]++; c.entries[b]%1024 == 0 {
				if err := ctx.Err(); err != nil {
					return err
				}
				c.progress.tell("checking records", min(c.read, c.report.Bytes), c.report.Bytes)
			}
			c.read += int64(len(key) + len(value))
			c.record(b, key, value)
			return nil
		})
		if err != nil {
			return err
		}
		stats := stored.Stats()
		used += page * int64(stats.BranchPageN+stats.BranchOverflowN+stats.LeafPageN+stats.LeafOverflowN)
	}
	c.report.Free = max(0, c.t.tx.Size()-used)
	return nil
}

// record looks at one entry.
func (c *checker) record(b bucket, key, value []byte) {
	switch b {
	case liveBucket, historyBucket:
		c.session(b, key, value)
	case conversationBucket:
		talk, err := decode[conversations.Conversation](value)
		if err != nil || string(talk.ID) != string(key) {
			c.report.problem("conversation %q cannot be read", key)
			return
		}
		c.indexed(indexEntry{bucket: conversationByStart, key: startKey(talk), value: facet(talk)}, "conversation", key)
		if !talk.EndedAt.IsZero() {
			c.indexed(indexEntry{bucket: conversationByEnd, key: timeKey(talk.EndedAt, talk.ID)}, "conversation", key)
		}
	case claimBucket:
		claim, err := decode[storedClaim](value)
		switch {
		case err != nil:
			c.report.problem("a claim cannot be read")
		case !claim.Until.IsZero():
			c.indexed(indexEntry{bucket: claimByUntil, key: timeKey(claim.Until, key)}, "claim", key)
		}
	default:
	}
}

func (c *checker) session(b bucket, key, value []byte) {
	found, err := decodeRecord(value)
	if err != nil || string(found.ID) != string(key) {
		c.report.problem("session %q cannot be read", key)
		return
	}
	if found.Live() != (b == liveBucket) {
		c.report.problem("session %q is in the wrong place for its state", key)
		return
	}
	for _, entry := range indexEntries(found) {
		c.indexed(entry, "session", key)
	}
	if !found.Live() || found.ConversationID == "" {
		return
	}
	claim := cobrowse.Claim{Kind: cobrowse.ClaimConversation, OrgID: found.OrgID, Key: string(found.ConversationID)}
	if held, err := c.t.claim(claimKey(claim)); err != nil || held.Holder != found.ID {
		c.report.problem("session %q does not hold its conversation", key)
	}
}

// indexed looks for an entry that must be there.
func (c *checker) indexed(entry indexEntry, what string, id []byte) {
	c.want[entry.bucket]++
	index := c.t.tx.Bucket(entry.bucket.name())
	if index == nil {
		c.report.problem("index %s is missing", entry.bucket.name())
		return
	}
	found, value := index.Cursor().Seek(entry.key)
	if !bytes.Equal(found, entry.key) || !bytes.Equal(value, entry.value) {
		c.report.problem("index %s does not have %s %q", entry.bucket.name(), what, id)
	}
}
