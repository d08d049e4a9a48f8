package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
)

// A cell is a name that one session can have: a claim, a join token that was redeemed,
// or the answer to an Idempotency-Key. It lies in a slot of its own, so it cannot change
// together with the session: it names the session, pending or confirmed. The session's
// own record says whether that is so, in a field for each cell that it has.
type cell struct {
	kind cellKind
	name string // of the key, without the prefix of all keys
}

// cellKind decides when a cell is free.
type cellKind string

const (
	claimCell  cellKind = "claim"  // when nobody holds it and it does not rest
	tokenCell  cellKind = "token"  // until it is purged never again
	repeatCell cellKind = "repeat" // when its expiry has come
)

// once reports whether the session need not remember the cell once it is confirmed.
func (c cell) once() bool { return c.kind != claimCell }

func claimName(c cobrowse.Claim) cell {
	return cell{claimCell, "claim{" + part(c.Kind) + ":" + part(c.OrgID) + ":" + part(c.Key) + "}"}
}

func tokenName(id string) cell { return cell{tokenCell, "token{t:" + part(id) + "}"} }

func repeatName(k cobrowse.RepeatKey) cell {
	return cell{repeatCell, "repeat{" + part(k.OrgID) + ":" + part(k.ClientID) + ":" + part(k.Route) + ":" + part(k.Key) + "}"}
}

// kindOf tells what kind of cell a name is of.
func kindOf(name string) cell {
	for _, kind := range []cellKind{tokenCell, repeatCell} {
		if len(name) > len(kind) && name[:len(kind)] == string(kind) {
			return cell{kind, name}
		}
	}
	return cell{claimCell, name}
}

// content is what is stored of a cell.
type content struct {
	pending   string // change that wants it; empty if none does
	pendingBy string // session
	holder    string // session, empty if nobody has it
	version   string // with which the holder took it
	until     string // end of the rest
	last      string // session that gave it back
	expiry    string
	value     string
}

func (s *Store) readCell(ctx context.Context, c cell) (content, error) {
	result, err := s.do(ctx, s.client.B().Hmget().Key(s.key(c.name)).Field("p", "ps", "h", "hv", "u", "l", "e", "x").Build())
	if err != nil {
		return content{}, err
	}
	message, err := result.ToMessage()
	if err != nil {
		return content{}, fmt.Errorf("read cell: %w", err)
	}
	f, err := list(message)
	if err != nil {
		return content{}, err
	}
	return content{f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7]}, nil
}

// settled reads a cell whose content is true at this moment: what a process has left
// half done, or is just doing, is done first.
func (s *Store) settled(ctx context.Context, c cell) (content, error) {
	for {
		got, err := s.readCell(ctx, c)
		if err != nil {
			return content{}, err
		}
		doubtful := got.pendingBy
		if doubtful == "" && c.kind == claimCell {
			doubtful = got.holder
		}
		if doubtful == "" {
			return got, nil
		}
		has, err := s.has(ctx, doubtful, c)
		switch {
		case err != nil:
			return content{}, err
		case has == (got.pendingBy == ""):
			return got, nil // a holder that has it, or a change that is not committed
		}
		// The session knows more than the cell.
		finished, err := s.finish(ctx, doubtful)
		switch {
		case err != nil:
			return content{}, err
		case finished > 0:
		case got.pendingBy == "":
			if err := s.free(ctx, c, got.holder, got.version); err != nil {
				return content{}, err
			}
		default: // the cell was lost, and the session is taking it again
			got.holder = got.pendingBy
			return got, nil
		}
	}
}

// has reports whether a session says that it has a cell.
func (s *Store) has(ctx context.Context, session string, c cell) (bool, error) {
	result, err := s.do(ctx, s.client.B().Hexists().Key(s.sessionKeys(session)[0]).Field("c:"+c.name).Build())
	if err != nil {
		return false, err
	}
	return result.AsBool()
}

// free forgets a holder that does not exist any more: the server has lost what it had
// acknowledged, or the record was purged.
func (s *Store) free(ctx context.Context, c cell, holder, version string) error {
	_, err := s.run(ctx, call{s.script.free, []string{s.key(c.name)}, []string{holder, version}})
	return err
}

// Holder implements [cobrowse.Store].
func (s *Store) Holder(ctx context.Context, c cobrowse.Claim) (cobrowse.SessionID, error) {
	got, err := s.settled(ctx, claimName(c))
	if err != nil {
		return "", fmt.Errorf("read claim: %w", err)
	}
	if got.holder == "" {
		return "", &cobridge.Error{Code: cobridge.CodeNotFound, Message: "No session holds this."}
	}
	return cobrowse.SessionID(got.holder), nil
}

// Retired implements [cobrowse.Store].
func (s *Store) Retired(ctx context.Context, c cobrowse.Claim, at time.Time) (cobrowse.SessionID, error) {
	got, err := s.settled(ctx, claimName(c))
	if err != nil {
		return "", fmt.Errorf("read claim: %w", err)
	}
	if got.last == "" || got.until <= decimalTime(at) {
		return "", &cobridge.Error{Code: cobridge.CodeNotFound, Message: "Nobody has given this back lately."}
	}
	return cobrowse.SessionID(got.last), nil
}

// Redeemed implements [cobrowse.Store].
func (s *Store) Redeemed(ctx context.Context, tokenID string, at time.Time) (bool, error) {
	got, err := s.settled(ctx, tokenName(tokenID))
	if err != nil {
		return false, fmt.Errorf("read redeemed token: %w", err)
	}
	return got.holder != "" && got.expiry > decimalTime(at), nil
}

// storedRepeatable is how a cobrowse.Repeatable is stored: its key is the cell's.
type storedRepeatable struct {
	BodyHash  []byte
	SessionID cobrowse.SessionID
}

// Repeatable implements [cobrowse.Store].
func (s *Store) Repeatable(ctx context.Context, key cobrowse.RepeatKey, at time.Time) (cobrowse.Repeatable, error) {
	fail := func(err error) (cobrowse.Repeatable, error) {
		return cobrowse.Repeatable{}, fmt.Errorf("read repeatable: %w", err)
	}
	got, err := s.settled(ctx, repeatName(key))
	if err != nil {
		return fail(err)
	}
	if got.holder == "" || got.expiry <= decimalTime(at) {
		return cobrowse.Repeatable{}, &cobridge.Error{Code: cobridge.CodeNotFound, Message: "Nothing is remembered for this key."}
	}
	stored, err := decode[storedRepeatable](got.value)
	if err != nil {
		return fail(err)
	}
	expires, err := parseDecimalTime(got.expiry)
	if err != nil {
		return fail(err)
	}
	r := cobrowse.Repeatable{RepeatKey: key, SessionID: stored.SessionID, ExpiresAt: expires}
	if len(stored.BodyHash) != len(r.BodyHash) {
		return fail(errors.New("decode what is stored: the hash of a body has another length"))
	}
	copy(r.BodyHash[:], stored.BodyHash)
	return r, nil
}
