package bolt

import (
	"context"
	"fmt"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
)

// storedClaim is a claim that is held, or that was given back and rests.
type storedClaim struct {
	Holder cobrowse.SessionID `json:",omitzero"` // empty while it rests
	Until  time.Time          `json:",omitzero"` // end of the rest; zero while it is held
	Last   cobrowse.SessionID `json:",omitzero"` // that gave it back; set while it rests
}

func claimKey(c cobrowse.Claim) []byte {
	key := make([]byte, 0, 12+len(c.Kind)+len(c.OrgID)+len(c.Key))
	return appendStr(appendStr(appendStr(key, string(c.Kind)), string(c.OrgID)), c.Key)
}

// claim reads a claim; the zero value if nobody holds it and it does not rest.
func (t *txn) claim(key []byte) (storedClaim, error) {
	value := t.get(claimBucket, key)
	if value == nil {
		return storedClaim{}, nil
	}
	return decode[storedClaim](value)
}

// putClaim replaces what is stored of a claim, and the entry of its rest.
func (t *txn) putClaim(key []byte, c storedClaim) {
	old, err := t.claim(key)
	if err != nil {
		t.err = err
	}
	if !old.Until.IsZero() {
		t.del(claimByUntil, timeKey(old.Until, key))
	}
	if c == (storedClaim{}) {
		t.del(claimBucket, key)
		return
	}
	value, err := encode(c)
	if err != nil {
		t.err = err
	}
	t.put(claimBucket, key, value)
	if !c.Until.IsZero() {
		t.put(claimByUntil, timeKey(c.Until, key), nil)
	}
}

// taking is one member of Change.Take.
type taking struct {
	claim  cobrowse.Claim
	key    []byte
	holder cobrowse.SessionID
}

func newTaking(c cobrowse.Claim, holder cobrowse.SessionID) taking {
	return taking{claim: c, key: claimKey(c), holder: holder}
}

func (c taking) check(t *txn, by cobrowse.SessionID, at time.Time) error {
	stored, err := t.claim(c.key)
	switch {
	case err != nil:
		return err
	case stored.Holder == by:
		return nil
	case stored.Holder != "" || stored.Until.After(at):
		return &cobrowse.ClaimedError{Claim: c.claim, Holder: stored.Holder}
	}
	return nil
}

func (c taking) put(t *txn) {
	if stored, err := t.claim(c.key); err == nil && stored.Holder == c.holder {
		return
	}
	t.putClaim(c.key, storedClaim{Holder: c.holder})
}

// releasing is one member of Change.Release.
type releasing struct {
	key   []byte
	until time.Time
}

func newReleasing(r cobrowse.Release) releasing {
	return releasing{key: claimKey(r.Claim), until: r.Until}
}

func (r releasing) put(t *txn, by cobrowse.SessionID) {
	if stored, err := t.claim(r.key); err == nil && stored.Holder == by {
		if r.until.IsZero() {
			by = "" // it is free at once
		}
		t.putClaim(r.key, storedClaim{Until: r.until, Last: by})
	}
}

// Holder implements [cobrowse.Store].
func (s *Store) Holder(ctx context.Context, c cobrowse.Claim) (cobrowse.SessionID, error) {
	var stored storedClaim
	err := s.view(ctx, func(t *txn) (err error) {
		stored, err = t.claim(claimKey(c))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("read claim: %w", err)
	}
	if stored.Holder == "" {
		return "", &cobridge.Error{Code: cobridge.CodeNotFound, Message: "No session holds this."}
	}
	return stored.Holder, nil
}

// Retired implements [cobrowse.Store].
func (s *Store) Retired(ctx context.Context, c cobrowse.Claim, at time.Time) (cobrowse.SessionID, error) {
	var stored storedClaim
	err := s.view(ctx, func(t *txn) (err error) {
		stored, err = t.claim(claimKey(c))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("read claim: %w", err)
	}
	if stored.Last == "" || !stored.Until.After(at) {
		return "", &cobridge.Error{Code: cobridge.CodeNotFound, Message: "Nobody has given this back lately."}
	}
	return stored.Last, nil
}
