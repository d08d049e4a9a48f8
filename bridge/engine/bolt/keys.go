package bolt

import (
	"bytes"
	"encoding/binary"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

// timeSize is the length of a moment in a key: seconds, with the sign bit turned so
// that they sort, and nanoseconds. The range is that of time.Time.
const timeSize = 12

func appendTime(key []byte, t time.Time) []byte {
	key = binary.BigEndian.AppendUint64(key, uint64(t.Unix())^1<<63)  //nolint:gosec // keeps all bits of the signed number
	return binary.BigEndian.AppendUint32(key, uint32(t.Nanosecond())) //nolint:gosec // 0..999999999
}

// timeOf reads the moment at the start of key.
func timeOf(key []byte) time.Time {
	seconds := binary.BigEndian.Uint64(key) ^ 1<<63
	return time.Unix(int64(seconds), int64(binary.BigEndian.Uint32(key[8:]))).UTC() //nolint:gosec // takes all bits back
}

// appendInverted appends a moment so that later ones sort first.
func appendInverted(key []byte, t time.Time) []byte {
	start := len(key)
	key = appendTime(key, t)
	for i := start; i < len(key); i++ {
		key[i] = ^key[i]
	}
	return key
}

// appendStr appends a string with its length, so that no two lists of strings make
// the same key, whatever characters they have. It sorts by length first.
func appendStr(key []byte, s string) []byte {
	key = binary.BigEndian.AppendUint32(key, uint32(len(s))) //nolint:gosec // bbolt refuses keys above 32 KB
	return append(key, s...)
}

// strPrefix returns the part of key that its leading str takes.
func strPrefix(key []byte) []byte {
	return key[:4+int(binary.BigEndian.Uint32(key))]
}

// appendText appends a string so that it sorts as the string does, with an end that
// sorts below every character: zero bytes in it are followed by 0xff, the end by 0x01.
func appendText(key []byte, s string) []byte {
	key = append(key, strings.ReplaceAll(s, "\x00", "\x00\xff")...)
	return append(key, 0, 1)
}

// timeKey is a moment followed by what happened then.
func timeKey[T ~string | ~[]byte](t time.Time, what T) []byte {
	return append(appendTime(make([]byte, 0, timeSize+len(what)), t), what...)
}

// orgKey is an organisation followed by a name in it.
func orgKey[O, T ~string](org O, name T) []byte {
	return append(appendStr(make([]byte, 0, 4+len(org)+len(name)), string(org)), name...)
}

// orgTimeKey is an organisation, an optional second string, a moment and an id.
func orgTimeKey(org, second string, t time.Time, id string) []byte {
	return append(appendTime(orgPrefix(org, second), t), id...)
}

func orgPrefix(org, second string) []byte {
	key := appendStr(make([]byte, 0, 8+len(org)+len(second)+timeSize+40), org)
	if second != "" {
		key = appendStr(key, second)
	}
	return key
}

func sequenceKey(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// successor returns the first key behind all that start with prefix, nil if there is none.
func successor(prefix []byte) []byte {
	next := bytes.Clone(prefix)
	for i := len(next) - 1; i >= 0; i-- {
		if next[i]++; next[i] != 0 {
			return next[:i+1]
		}
	}
	return nil
}

// lastBelow places c on the last entry below bound; nil is above everything.
func lastBelow(c *bbolt.Cursor, bound []byte) (key, value []byte) {
	if first, _ := c.First(); first == nil {
		return nil, nil // bbolt looks for the last entry for ever where this transaction has deleted all
	}
	if bound == nil {
		return c.Last()
	}
	key, _ = c.Seek(bound)
	if key == nil {
		return c.Last()
	}
	return previous(c, key)
}

// previous moves c to the entry before that of key, on which it stands. For bbolt a
// leaf whose entries this transaction has deleted is the beginning.
func previous(c *bbolt.Cursor, key []byte) (before, value []byte) {
	before, value = c.Prev()
	if before != nil {
		return before, value
	}
	if first, _ := c.Bucket().Cursor().First(); bytes.Equal(first, key) {
		return nil, nil
	}
	for before == nil {
		before, value = c.Prev()
	}
	return before, value
}

// txn is a transaction with its buckets at hand. It remembers the first failure of a
// write, so that a list of writes needs one check at its end.
type txn struct {
	tx      *bbolt.Tx
	buckets [bucketCount]*bbolt.Bucket
	cursors [bucketCount]*bbolt.Cursor // of look; never handed out
	writes  int                        // counts attempts, so a transaction with none is clean
	err     error                      // of the first write that failed
	after   []func()                   // to be run when the transaction is committed

	stands bool    // it is that of a volatile store
	undo   []entry // what the present change has replaced; only where it stands
}

func (t *txn) bucket(b bucket) *bbolt.Bucket {
	if t.buckets[b] == nil {
		t.buckets[b] = t.tx.Bucket(b.name())
		if b.grows() {
			t.buckets[b].FillPercent = 0.95
		}
	}
	return t.buckets[b]
}

// look returns the value of a key, which may be empty, and whether it is there. The
// value dies with the transaction.
func (t *txn) look(b bucket, key []byte) (value []byte, there bool) {
	if t.cursors[b] == nil {
		t.cursors[b] = t.bucket(b).Cursor()
	}
	found, value := t.cursors[b].Seek(key)
	return value, bytes.Equal(found, key)
}

// get returns nil if there is no such key. The value dies with the transaction. It is
// not for index entries: those have empty values, which may look like missing ones.
func (t *txn) get(b bucket, key []byte) []byte {
	if value, there := t.look(b, key); there {
		return value
	}
	return nil
}

func (t *txn) put(b bucket, key, value []byte) {
	t.writes++
	if t.stands {
		t.note(b, key)
	}
	if t.err == nil {
		t.err = t.bucket(b).Put(key, value)
	}
}

func (t *txn) del(b bucket, key []byte) {
	t.writes++
	if t.stands {
		t.note(b, key)
	}
	if t.err == nil {
		t.err = t.bucket(b).Delete(key)
	}
}
