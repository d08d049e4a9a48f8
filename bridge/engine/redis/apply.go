package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
)

const (
	// firstWait and longestWait are how long a change lets another finish that wants the
	// same cell, growing. After patience it takes for granted that nobody will finish
	// that other: it is finished if it was committed, and else refused for good. A change
	// that is only slow then begins anew, so patience decides nothing but the time.
	firstWait   = 500 * time.Microsecond
	longestWait = 20 * time.Millisecond
	patience    = 500 * time.Millisecond
	// refusalKept is how long a refused change is remembered: far longer than a call lasts.
	refusalKept = 24 * time.Hour
)

// change is a cobrowse.Change made ready: encoded, and without memory of the caller's.
type change struct {
	session  cobrowse.SessionID
	version  uint64
	ended    bool
	at       string
	record   string
	take     []cell
	refusals []error // of the cells
	effect   effect  // without the change's id
	releases []string
}

// Apply implements [cobrowse.Store]. It takes four exchanges with the servers: the
// intent and the cells; the commit; the indexes, the events and the cells; and the
// outbox. Only the second decides.
func (s *Store) Apply(ctx context.Context, c cobrowse.Change) error {
	if c.Session.ID == "" {
		return errors.New("apply change: the session has no id")
	}
	if c.Session.Version == 0 {
		return fmt.Errorf("apply change: %w", cobrowse.ErrStale)
	}
	p, err := prepareChange(c)
	if err == nil {
		err = s.apply(ctx, p)
	}
	if err != nil {
		return fmt.Errorf("apply change: %w", err)
	}
	return nil
}

func prepareChange(c cobrowse.Change) (*change, error) {
	p := &change{
		session: c.Session.ID, version: c.Session.Version, ended: !c.Session.Live(), at: decimalTime(c.At),
		effect: newEffect(&c.Session),
	}
	var err error
	if p.record, err = encode(c.Session); err != nil {
		return nil, err
	}
	if r := c.Repeatable; r != nil {
		value, err := encode(storedRepeatable{BodyHash: r.BodyHash[:], SessionID: r.SessionID})
		if err != nil {
			return nil, err
		}
		p.adds(repeatName(r.RepeatKey), cobrowse.ErrRepeated, confirmation{Expiry: decimalTime(r.ExpiresAt), Value: []byte(value)}, r.ExpiresAt)
	}
	if c.Redeem != nil {
		p.adds(tokenName(c.Redeem.ID), cobrowse.ErrTokenUsed, confirmation{Expiry: decimalTime(c.Redeem.ExpiresAt)}, c.Redeem.ExpiresAt)
	}
	taken := map[string]bool{}
	for _, claim := range c.Take {
		if name := claimName(claim); !taken[name.name] {
			taken[name.name] = true
			p.adds(name, &cobrowse.ClaimedError{Claim: claim}, confirmation{}, time.Time{})
		}
	}
	for _, release := range c.Release {
		name := claimName(release.Claim).name
		if taken[name] {
			continue // it stays
		}
		r := releasing{Cell: name}
		if !release.Until.IsZero() {
			r.Until = decimalTime(release.Until)
			p.effect.expires(release.Until, name)
		}
		p.effect.Release = append(p.effect.Release, r)
		p.releases = append(p.releases, name)
	}
	for _, event := range c.Events {
		event.Sequence = 0 // stands in its id
		data, err := encode(event)
		if err != nil {
			return nil, err
		}
		p.effect.Events = append(p.effect.Events, []byte(data))
	}
	return p, nil
}

// adds notes a cell that the change takes. The order is that of the failures.
func (p *change) adds(c cell, refusal error, confirm confirmation, expires time.Time) {
	confirm.Cell = c.name
	p.take, p.refusals = append(p.take, c), append(p.refusals, refusal)
	p.effect.Confirm = append(p.effect.Confirm, confirm)
	if !expires.IsZero() {
		p.effect.expires(expires, c.name)
	}
}

// errAgain: what was taken was given back, and the change begins anew.
var errAgain = errors.New("begin anew")

func (s *Store) apply(ctx context.Context, p *change) error {
	w := &waiting{wait: firstWait}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := s.attempt(ctx, p, w)
		if !errors.Is(err, errAgain) {
			return err
		}
		if err := w.pause(ctx); err != nil {
			return err
		}
	}
}

// waiting is for a change that stands in the way.
type waiting struct {
	wait   time.Duration
	behind string        // the other change
	waited time.Duration // for it
}

// pause waits a little longer each time; not at all if nothing stands in the way.
func (w *waiting) pause(ctx context.Context) error {
	if w.behind == "" {
		return nil
	}
	pause := w.wait/2 + mrand.N(w.wait) //nolint:gosec // only keeps callers apart
	w.waited += pause
	w.wait = min(2*w.wait, longestWait)
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// on notes whom the change waits for, and reports whether it has for long enough.
func (w *waiting) on(other string) bool {
	if w.behind != other {
		w.behind, w.waited = other, 0
	}
	return w.waited >= patience
}

// attempt makes the change once, under an id of its own.
func (s *Store) attempt(ctx context.Context, p *change, w *waiting) error {
	e := p.effect
	e.Change = rand.Text()
	keep := make([]bool, len(p.take)) // claims that the session has already
	if decision := s.takeAll(ctx, p, &e, keep, w); decision != nil {
		s.giveUp(ctx, &e, decision)
		return decision
	}
	entries, decision := s.commit(ctx, p, &e, keep)
	switch {
	case decision == nil:
	case errors.Is(decision, cobrowse.ErrStale) || errors.Is(decision, errAgain):
		s.giveUp(ctx, &e, decision)
		return decision
	default:
		// It may have been committed, or be on its way still.
		return s.settleDoubt(ctx, p, &e, decision)
	}
	// The change is durable: from here on nothing may make it fail.
	finishing, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishLimit)
	defer cancel()
	if err := s.carryOut(finishing, string(p.session), entries); err != nil {
		s.log.WarnContext(ctx, "a change was stored, but indexes and events have to wait for it", "sessionId", string(p.session), "err", err)
	}
	return nil
}

// takeAll notes the intent and takes the cells. It returns the failure that comes
// first in the order that cobrowse.Store promises.
func (s *Store) takeAll(ctx context.Context, p *change, e *effect, keep []bool, w *waiting) error {
	calls := []call{{s.script.intend, []string{s.key(intentIndex)}, []string{e.intent()}}}
	for _, c := range p.take {
		calls = append(calls, call{
			s.script.take, []string{s.key(c.name)}, []string{string(c.kind), e.Change, string(p.session), strconv.FormatUint(p.version, 10), p.at},
		})
	}
	answers, err := s.runAll(ctx, calls...)
	if err != nil {
		return err
	}
	for i, c := range p.take {
		answer, err := list(answers[i+1])
		if err != nil {
			return err
		}
		switch answer[0] {
		case "ok":
		case "mine":
			keep[i] = true
		case "pending":
			if w.on(answer[2]) {
				if err := s.resolve(ctx, answer[1], answer[2], c.name); err != nil {
					return err
				}
			}
			return errAgain
		case "held":
			got, err := s.settled(ctx, c)
			switch {
			case err != nil:
				return err
			case got.holder == answer[1] && got.version == answer[2]:
				return s.refuse(ctx, p, &cobrowse.ClaimedError{Claim: p.claimed(i), Holder: cobrowse.SessionID(got.holder)})
			}
			w.behind = "" // it was free all the time
			return errAgain
		default:
			return s.refuse(ctx, p, p.refusals[i])
		}
	}
	return nil
}

func (p *change) claimed(i int) cobrowse.Claim {
	claimed, _ := errors.AsType[*cobrowse.ClaimedError](p.refusals[i])
	return claimed.Claim
}

// refuse gives the reason, unless the session is of another version: that comes first.
func (s *Store) refuse(ctx context.Context, p *change, reason error) error {
	result, err := s.do(ctx, s.client.B().Hmget().Key(s.sessionKeys(string(p.session))[0]).Field("v", "e").Build())
	if err != nil {
		return err
	}
	message, err := result.ToMessage()
	if err != nil {
		return fmt.Errorf("read session: %w", err)
	}
	stored, err := list(message)
	if err != nil {
		return err
	}
	if stored[0] != p.before() || stored[1] == "1" {
		return cobrowse.ErrStale
	}
	return reason
}

// before is the version that must be stored, empty if there must be none.
func (p *change) before() string {
	if p.version == 1 {
		return ""
	}
	return strconv.FormatUint(p.version-1, 10)
}

// commit decides, in the session's slot. It returns what the session has left to be
// done, by this change and by those before.
func (s *Store) commit(ctx context.Context, p *change, e *effect, keep []bool) ([]string, error) {
	var fresh, kept []string
	for i, c := range p.take {
		if keep[i] {
			kept = append(kept, c.name)
		} else {
			fresh = append(fresh, c.name)
		}
	}
	ended := "0"
	if p.ended {
		ended = "1"
	}
	entry, err := e.encode()
	if err != nil {
		return nil, err
	}
	args := []string{e.Change, strconv.FormatUint(p.version, 10), p.before(), ended, p.record, entry}
	for _, names := range [][]string{fresh, kept, p.releases} {
		args = append(append(args, strconv.Itoa(len(names))), names...)
	}
	answer, err := s.run(ctx, call{s.script.commit, s.sessionKeys(string(p.session)), args})
	if err != nil {
		return nil, err
	}
	values, err := answer.ToArray()
	if err != nil {
		return nil, fmt.Errorf("read the answer of a script: %w", err)
	}
	verdict, err := values[0].ToString()
	if err != nil {
		return nil, fmt.Errorf("read the answer of a script: %w", err)
	}
	switch verdict {
	case "ok":
		return values[1].AsStrSlice()
	case "stale":
		return nil, cobrowse.ErrStale
	case "behind":
		// An earlier change has given a claim back, which the cell does not know yet.
		return nil, s.catchUp(ctx, kept)
	default: // somebody lost patience
		return nil, errAgain
	}
}

// catchUp finishes what a session has left to be done, so that its cells are true.
func (s *Store) catchUp(ctx context.Context, kept []string) error {
	for _, name := range kept {
		if _, err := s.settled(ctx, cell{claimCell, name}); err != nil {
			return err
		}
	}
	return errAgain
}

// settleDoubt finds out what became of a commit without an answer, and makes sure that
// it does not happen later.
func (s *Store) settleDoubt(ctx context.Context, p *change, e *effect, failure error) error {
	finishing, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishLimit)
	defer cancel()
	committed, entries, err := s.verdict(finishing, string(p.session), e.Change)
	switch {
	case err != nil:
		// The finisher of any process will find the intent.
		s.log.WarnContext(ctx, "it is not known whether a change was stored", "sessionId", string(p.session), "err", failure)
		return failure
	case !committed:
		s.giveUp(ctx, e, nil)
		return failure
	}
	if err := s.carryOut(finishing, string(p.session), entries); err != nil {
		s.log.WarnContext(ctx, "a change was stored, but indexes and events have to wait for it", "sessionId", string(p.session), "err", err)
	}
	return nil
}

// giveUp gives back what a change that will not be committed has taken. Where the server
// does not answer it is left to the finisher.
func (s *Store) giveUp(ctx context.Context, e *effect, reason error) {
	if cobridge.CodeOf(reason) == cobridge.CodeUnavailable {
		return
	}
	finishing, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishLimit)
	defer cancel()
	var calls []call
	for _, c := range e.Confirm {
		calls = append(calls, call{s.script.unpend, []string{s.key(c.Cell)}, []string{e.Change}})
	}
	var err error
	if len(calls) > 0 {
		_, err = s.runAll(finishing, calls...)
	}
	if err == nil {
		// Last, so that what could not be given back is found.
		_, err = s.do(finishing, s.client.B().Zrem().Key(s.key(intentIndex)).Member(e.intent()).Build())
	}
	if err != nil {
		s.log.WarnContext(ctx, "a refused change could not be taken back at once", "err", err)
	}
}

// sessionKeys are the keys of a session, all in its slot: its record, its outbox, and
// the changes of it that were refused for good.
func (s *Store) sessionKeys(id string) []string {
	tag := "{" + part(id) + "}"
	return []string{s.key("session" + tag), s.key("outbox" + tag), s.key("refused" + tag)}
}

// Session implements [cobrowse.Store].
func (s *Store) Session(ctx context.Context, id cobrowse.SessionID) (cobrowse.Session, error) {
	if id == "" {
		return cobrowse.Session{}, sessionNotFound(id)
	}
	result, err := s.do(ctx, s.client.B().Hget().Key(s.sessionKeys(string(id))[0]).Field("d").Build())
	if err != nil {
		return cobrowse.Session{}, fmt.Errorf("read session: %w", err)
	}
	data, err := result.ToString()
	if rueidis.IsRedisNil(err) {
		return cobrowse.Session{}, sessionNotFound(id)
	} else if err != nil {
		return cobrowse.Session{}, fmt.Errorf("read session: %w", err)
	}
	found, err := decode[cobrowse.Session](data)
	if err != nil {
		return cobrowse.Session{}, fmt.Errorf("read session: %w", err)
	}
	return found, nil
}

func sessionNotFound(id cobrowse.SessionID) error {
	return &cobridge.Error{Code: cobridge.CodeNotFound, Message: "No session has this id.", EntityID: string(id), EntityName: "cobrowseSession"}
}
