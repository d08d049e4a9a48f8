package redis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cobridge/cobridge/cobrowse"
)

// The keys of the index slot.
const (
	entryIndex      = "{index}:entries"  // session -> what is indexed of it, and of which version
	deadlineIndex   = "{index}:deadline" // time(deadline) session
	idleIndex       = "{index}:idle"     // str(org) attached time(created) session
	activeIndex     = "{index}:active"
	endedIndex      = "{index}:ended"              // str(org) attached time(ended) session
	idleByTalk      = "{index}:idleByConversation" // str(org) str(conversation) time(created) session
	activeByTalk    = "{index}:activeByConversation"
	endedByTalk     = "{index}:endedByConversation"
	eventStream     = "{index}:events"
	eventSequence   = "{index}:sequence"
	intentIndex     = "{index}:intents"  // note, by the server's time in ms
	expiryIndex     = "{index}:expiries" // time(expiry) cell
	leftoverAge     = 10 * time.Second   // of a change that nobody is at work on any more
	leftoverEvery   = 5 * time.Second
	leftoverAtATime = 100
)

func (s *Store) indexKeys() []string {
	names := []string{
		entryIndex, deadlineIndex, idleIndex, activeIndex, endedIndex, idleByTalk, activeByTalk, endedByTalk,
		eventStream, eventSequence, intentIndex, expiryIndex,
	}
	for i, name := range names {
		names[i] = s.key(name)
	}
	return names
}

// effect is what a committed change has left to be done in other slots. It stands in
// the session's outbox until then. Doing it twice, or after a later change has done its
// own, changes nothing.
type effect struct {
	Change  string
	Version uint64
	Session string

	State        string
	Org          []byte // str(org)
	Conversation []byte `json:",omitempty"` // str(org) str(conversation)
	Time         []byte
	Deadline     []byte `json:",omitempty"`

	Confirm []confirmation `json:",omitempty"`
	Release []releasing    `json:",omitempty"`
	Expires [][]byte       `json:",omitempty"` // members of the index of expiries
	Events  [][]byte       `json:",omitempty"`
}

// confirmation is a cell that the change took.
type confirmation struct {
	Cell   string
	Expiry string `json:",omitempty"`
	Value  []byte `json:",omitempty"`
}

// releasing is a claim that it gave back.
type releasing struct {
	Cell  string
	Until string `json:",omitempty"`
}

func newEffect(s *cobrowse.Session) effect {
	e := effect{Version: s.Version, Session: string(s.ID), State: string(s.State()), Org: []byte(str(s.OrgID))}
	if s.ConversationID != "" {
		e.Conversation = []byte(str(s.OrgID) + str(s.ConversationID))
	}
	if s.Live() {
		e.Time, e.Deadline = []byte(binaryTime(s.CreatedAt)), []byte(binaryTime(s.Deadline))
	} else {
		e.Time = []byte(binaryTime(s.EndedAt))
	}
	return e
}

func (e *effect) expires(at time.Time, name string) {
	e.Expires = append(e.Expires, []byte(binaryTime(at)+name))
}

// encode begins with what scripts read.
func (e *effect) encode() (string, error) {
	data, err := encode(e)
	return strconv.FormatUint(e.Version, 10) + "|" + e.Change + "|" + data, err
}

func decodeEffect(entry string) (effect, error) {
	parts := strings.SplitN(entry, "|", 3)
	if len(parts) != 3 {
		return effect{}, errors.New("decode what is stored: an entry of an outbox")
	}
	return decode[effect](parts[2])
}

// intent is the note that leads to the change if nobody finishes it.
type intent struct {
	Change  string
	Session string
	Cells   []string `json:",omitempty"`
}

func (e *effect) intent() string {
	note := intent{Change: e.Change, Session: e.Session}
	for _, c := range e.Confirm {
		note.Cells = append(note.Cells, c.Cell)
	}
	data, _ := json.Marshal(note) // strings alone: cannot fail
	return string(data)
}

// args is what index.lua wants to know.
func (e *effect) args() []string {
	args := []string{
		e.Session, strconv.FormatUint(e.Version, 10), e.State, string(e.Org), string(e.Conversation), string(e.Time), string(e.Deadline), e.intent(),
	}
	for _, strings := range [][][]byte{e.Expires, e.Events} {
		args = append(args, strconv.Itoa(len(strings)))
		for _, one := range strings {
			args = append(args, string(one))
		}
	}
	return args
}

// carryOut does what the entries of a session's outbox say, in their order, and takes
// them out.
func (s *Store) carryOut(ctx context.Context, session string, entries []string) error {
	if len(entries) == 0 {
		return nil
	}
	index := call{script: s.script.index, keys: s.indexKeys()}
	var calls []call
	var last uint64
	var once []string
	for _, entry := range entries {
		e, err := decodeEffect(entry)
		if err != nil {
			return err
		}
		last = e.Version
		for _, c := range e.Confirm {
			calls = append(calls, call{s.script.confirm, []string{s.key(c.Cell)}, []string{e.Change, c.Expiry, string(c.Value)}})
			if kindOf(c.Cell).once() {
				once = append(once, c.Cell)
			}
		}
		for _, r := range e.Release {
			calls = append(calls, call{s.script.release, []string{s.key(r.Cell)}, []string{e.Session, strconv.FormatUint(e.Version, 10), r.Until}})
		}
		index.args = append(index.args, e.args()...)
	}
	if _, err := s.runAll(ctx, append(calls, index)...); err != nil {
		return err
	}
	_, err := s.run(ctx, call{s.script.clear, s.sessionKeys(session)[:2], append([]string{strconv.FormatUint(last, 10)}, once...)})
	return err
}

// finish does what a session has left to be done, and returns how many changes it was.
func (s *Store) finish(ctx context.Context, session string) (int, error) {
	result, err := s.do(ctx, s.client.B().Lrange().Key(s.sessionKeys(session)[1]).Start(0).Stop(-1).Build())
	if err != nil {
		return 0, err
	}
	entries, err := result.AsStrSlice()
	if err != nil {
		return 0, fmt.Errorf("read an outbox: %w", err)
	}
	return len(entries), s.carryOut(ctx, session, entries)
}

// verdict says whether a change was committed, and what its session has left to be
// done. A change that was not committed never will be.
func (s *Store) verdict(ctx context.Context, session, change string) (committed bool, entries []string, err error) {
	answer, err := s.run(ctx, call{s.script.resolve, s.sessionKeys(session), []string{change, strconv.FormatInt(refusalKept.Milliseconds(), 10)}})
	if err != nil {
		return false, nil, err
	}
	values, err := answer.ToArray()
	if err != nil {
		return false, nil, fmt.Errorf("read the answer of a script: %w", err)
	}
	yes, err := values[0].AsInt64()
	if err == nil {
		entries, err = values[1].AsStrSlice()
	}
	if err != nil {
		return false, nil, fmt.Errorf("read the answer of a script: %w", err)
	}
	return yes == 1, entries, nil
}

// resolve ends the doubt about a change of which cells are pending.
func (s *Store) resolve(ctx context.Context, session, change string, cells ...string) error {
	committed, entries, err := s.verdict(ctx, session, change)
	if err != nil {
		return err
	}
	if err := s.carryOut(ctx, session, entries); err != nil || committed {
		return err
	}
	var calls []call
	for _, name := range cells {
		calls = append(calls, call{s.script.unpend, []string{s.key(name)}, []string{change}})
	}
	if len(calls) > 0 {
		_, err = s.runAll(ctx, calls...)
	}
	return err
}

// finishLeftovers finishes, from time to time, what other processes have begun.
func (s *Store) finishLeftovers() {
	ctx, cancel := s.whileOpen(context.Background())
	defer cancel()
	ticker := time.NewTicker(leftoverEvery)
	defer ticker.Stop()
	for {
		if n, err := s.leftovers(ctx, leftoverAge); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "changes that were left unfinished could not be finished", "err", err)
		} else if n > 0 {
			s.log.InfoContext(ctx, "changes that were left unfinished have been finished", "changes", n)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// leftovers finishes changes that were begun at least the given time ago.
func (s *Store) leftovers(ctx context.Context, age time.Duration) (int, error) {
	total := 0
	for {
		answer, err := s.run(ctx, call{
			s.script.leftover, []string{s.key(intentIndex)}, []string{strconv.FormatInt(age.Milliseconds(), 10), strconv.Itoa(leftoverAtATime)},
		})
		if err != nil {
			return total, err
		}
		notes, err := list(answer)
		if err != nil {
			return total, err
		}
		for _, text := range notes {
			note, err := decode[intent](text)
			if err != nil {
				return total, err
			}
			if err := s.resolve(ctx, note.Session, note.Change, note.Cells...); err != nil {
				return total, err
			}
			if _, err := s.do(ctx, s.client.B().Zrem().Key(s.key(intentIndex)).Member(text).Build()); err != nil {
				return total, err
			}
			total++
		}
		if len(notes) < leftoverAtATime {
			return total, nil
		}
	}
}

// whileOpen returns a context that also ends when the store is closed.
func (s *Store) whileOpen(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := make(chan struct{})
	go func() {
		select {
		case <-s.closing:
			cancel()
		case <-ctx.Done():
		case <-stop:
		}
	}()
	return ctx, func() {
		close(stop)
		cancel()
	}
}
