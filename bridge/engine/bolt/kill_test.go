package bolt_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/engine/bolt"
	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// childEnv, when it is set, makes this test binary a process that writes to the
// store of that path until it is killed. Its value is path, a space and the round.
const childEnv = "COBRIDGE_TEST_BOLT_CHILD"

const (
	killRounds   = 6
	childWriters = 16
	childTalks   = 16 // conversations: few, so that writers run into one another
)

func claimOf(s cobrowse.Session) cobrowse.Claim {
	return cobrowse.Claim{Kind: cobrowse.ClaimConversation, OrgID: s.OrgID, Key: string(s.ConversationID)}
}

// writeAsChild is the life of the child. What it prints has been acknowledged:
// "live id", "ended id", "revoked jti", "pending id" and "delivered id".
func writeAsChild() bool {
	path, round, ok := strings.Cut(os.Getenv(childEnv), " ")
	if !ok {
		return false
	}
	ctx := context.Background()
	store, err := bolt.Open(ctx, bolt.Config{Path: path})
	if err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1)
	}
	if err := store.CreateWebhook(ctx, notify.Webhook{ID: childHook, OrgID: "org", CreatedAt: t0}, 0); err != nil && cobridge.CodeOf(err) != cobridge.CodeConflict {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1)
	}
	var printing sync.Mutex
	acknowledged := func(what, id string) {
		printing.Lock()
		defer printing.Unlock()
		_, _ = io.WriteString(os.Stdout, what+" "+id+"\n") // one write: a kill leaves no half line that looks whole
	}
	var wg sync.WaitGroup
	for w := range childWriters {
		wg.Go(func() {
			for i := 0; ; i++ {
				s := newSession(fmt.Sprintf("s-%s-%d-%d", round, w, i), conversations.ID(strconv.Itoa((w*7+i)%childTalks)))
				if err := childCycle(ctx, store, s, acknowledged); err != nil {
					fmt.Fprintln(os.Stderr, "child:", err)
					os.Exit(1)
				}
			}
		})
	}
	wg.Wait()
	return true
}

// childCycle starts a session and revokes a token, or ends the session that is in the way.
func childCycle(ctx context.Context, store *bolt.Store, s cobrowse.Session, acknowledged func(what, id string)) error {
	claim := claimOf(s)
	start := cobrowse.Change{At: t0, Session: s, Take: []cobrowse.Claim{claim}, Events: []cobrowse.Event{{Type: cobrowse.EventCreated, At: t0, SessionID: s.ID}}}
	err := store.Apply(ctx, start)
	if claimed, ok := errors.AsType[*cobrowse.ClaimedError](err); ok {
		return end(ctx, store, claimed.Holder, claim, acknowledged)
	}
	if err != nil {
		return err
	}
	acknowledged("live", string(s.ID))
	if err := store.Revoke(ctx, string(s.ID), t0.Add(time.Hour)); err != nil {
		return err
	}
	acknowledged("revoked", string(s.ID))
	return childDelivery(ctx, store, s.ID, acknowledged)
}

const childHook notify.WebhookID = "w-1"

// childDelivery puts a delivery into the outbox, and delivers every other one.
func childDelivery(ctx context.Context, store *bolt.Store, id cobrowse.SessionID, acknowledged func(what, id string)) error {
	d := notify.Delivery{ID: notify.DeliveryID(id), WebhookID: childHook, OrgID: "org", Body: []byte("{}"), State: notify.Pending, CreatedAt: t0, At: t0}
	if _, err := store.AddDelivery(ctx, d, 1<<20, func(*notify.Delivery) {}); err != nil {
		return err
	}
	acknowledged("pending", string(id))
	if len(id)%2 == 0 {
		return nil
	}
	_, err := store.ChangeDeliveries(ctx, childHook, []notify.DeliveryID{d.ID}, func(d *notify.Delivery) bool {
		d.State, d.ExpiresAt = notify.Delivered, t0.Add(time.Hour)
		return true
	})
	if err == nil {
		acknowledged("delivered", string(id))
	}
	return err
}

// checkOutbox: what was put there is there, what was delivered is not sent again, and
// what is counted is what there is.
func checkOutbox(t *testing.T, store *bolt.Store, acknowledged map[string]bool) {
	t.Helper()
	const all = 1 << 20
	for line := range acknowledged {
		what, id, _ := strings.Cut(line, " ")
		if what != "pending" && what != "delivered" {
			continue
		}
		d, err := store.Delivery(t.Context(), childHook, notify.DeliveryID(id))
		if err != nil || what == "delivered" && d.State != notify.Delivered {
			t.Errorf("acknowledged %q is %q, %v", line, d.State, err)
		}
	}
	counted, err := store.Tally(t.Context(), childHook)
	if err != nil {
		t.Fatal(err)
	}
	for state, want := range map[notify.DeliveryState]int{notify.Pending: counted.Pending, notify.Delivered: counted.Delivered} {
		found, err := store.Deliveries(t.Context(), notify.DeliveryQuery{WebhookID: childHook, State: state, Limit: all})
		if err != nil || len(found) != want {
			t.Errorf("%d deliveries are %s, %v; counted are %d", len(found), state, err, want)
		}
	}
}

func end(ctx context.Context, store *bolt.Store, id cobrowse.SessionID, claim cobrowse.Claim, acknowledged func(what, id string)) error {
	s, err := store.Session(ctx, id)
	if err != nil {
		return err
	}
	if !s.Live() {
		return nil
	}
	s.Version++
	s.EndedAt = t0.Add(time.Minute)
	err = store.Apply(ctx, cobrowse.Change{
		At: t0, Session: s, Release: []cobrowse.Release{{Claim: claim}}, Events: []cobrowse.Event{{Type: cobrowse.EventEnded, At: t0, SessionID: s.ID}},
	})
	if errors.Is(err, cobrowse.ErrStale) {
		return nil // another writer ended it
	}
	if err == nil {
		acknowledged("ended", string(id))
	}
	return err
}

// TestKill is invariant I2: what was acknowledged survives a kill -9, and I1 over it.
func TestKill(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	acknowledged := map[string]bool{}
	for round := range killRounds {
		lines := runChild(t, path, round, 200+300*round)
		for _, line := range lines {
			acknowledged[line] = true
		}
		t.Logf("round %d: %d writes acknowledged before the kill", round, len(lines))
		checkAfterKill(t, path, acknowledged)
	}
}

// runChild starts the writing process, kills it once it has acknowledged n writes,
// and returns all that it acknowledged.
func runChild(t *testing.T, path string, round, n int) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", childEnv, path, round))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for reader := bufio.NewReader(out); ; {
		line, err := reader.ReadString('\n')
		if err != nil {
			break // the end of the pipe; half a line was not acknowledged
		}
		if lines = append(lines, strings.TrimSuffix(line, "\n")); len(lines) == n {
			if err := cmd.Process.Kill(); err != nil {
				t.Errorf("kill the child: %v", err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || len(lines) < n {
		t.Fatalf("the child ended with %v after %d of %d writes, want it killed", err, len(lines), n)
	}
	return lines
}

func checkAfterKill(t *testing.T, path string, acknowledged map[string]bool) {
	t.Helper()
	store := mustOpen(t, path)
	created, ended := eventsOf(t, store)
	for line := range acknowledged {
		what, id, _ := strings.Cut(line, " ")
		if what == "pending" || what == "delivered" {
			continue // see checkOutbox
		}
		s, err := store.Session(t.Context(), cobrowse.SessionID(id))
		if err != nil {
			t.Errorf("acknowledged %q is gone: %v", line, err)
			continue
		}
		switch what {
		case "live":
			if !created[s.ID] {
				t.Errorf("the event of %q is gone", line)
			}
			if holder, err := store.Holder(t.Context(), claimOf(s)); s.Live() && (err != nil || holder != s.ID) {
				t.Errorf("the claim of %q is held by %q, %v", line, holder, err)
			}
		case "ended":
			if s.Live() || !ended[s.ID] {
				t.Errorf("%q: live = %t, event = %t, want it ended with an event", line, s.Live(), ended[s.ID])
			}
		case "revoked":
			if revoked, err := store.Revoked(t.Context(), id, t0); err != nil || !revoked {
				t.Errorf("Revoked(%s) = %t, %v", id, revoked, err)
			}
		}
	}
	checkOutbox(t, store, acknowledged)
	checkInvariants(t, store, created, ended)
	if err := store.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

// checkInvariants looks at everything, acknowledged or not: nothing may be half there.
func checkInvariants(t *testing.T, store *bolt.Store, created, ended map[cobrowse.SessionID]bool) {
	t.Helper()
	const all = 1 << 20
	sessions, total, err := store.Sessions(t.Context(), cobrowse.Query{Limit: all})
	if err != nil || total != len(sessions) {
		t.Fatalf("Sessions = %d of %d, %v", len(sessions), total, err)
	}
	live := map[conversations.ID]cobrowse.SessionID{}
	over := 0
	for _, s := range sessions {
		if !created[s.ID] || ended[s.ID] == s.Live() {
			t.Errorf("session %s: live = %t, created event = %t, ended event = %t", s.ID, s.Live(), created[s.ID], ended[s.ID])
		}
		if !s.Live() {
			over++
			continue
		}
		if other, two := live[s.ConversationID]; two {
			t.Errorf("conversation %s has two live sessions, %s and %s", s.ConversationID, other, s.ID)
		}
		live[s.ConversationID] = s.ID
		if holder, err := store.Holder(t.Context(), claimOf(s)); err != nil || holder != s.ID {
			t.Errorf("the claim of live session %s is held by %q, %v", s.ID, holder, err)
		}
	}
	for c := range childTalks {
		id := conversations.ID(strconv.Itoa(c))
		holder, err := store.Holder(t.Context(), claimOf(cobrowse.Session{OrgID: newSession("", "").OrgID, ConversationID: id}))
		if err == nil && live[id] != holder {
			t.Errorf("conversation %s is claimed by %s, and its live session is %q", id, holder, live[id])
		}
	}
	if len(created) != len(sessions) {
		t.Errorf("%d events tell of a creation, there are %d sessions", len(created), len(sessions))
	}
	overdue, err := store.Overdue(t.Context(), t0.AddDate(1, 0, 0), all)
	if err != nil || len(overdue) != len(live) {
		t.Errorf("Overdue = %d sessions, %v, want the %d live ones", len(overdue), err, len(live))
	}
	records, err := store.Records(t.Context(), cobrowse.RecordQuery{OrgID: newSession("", "").OrgID, Limit: all})
	if err != nil || len(records) != over {
		t.Errorf("Records = %d, %v, want %d", len(records), err, over)
	}
}

// eventsOf reads all events through a follower and sorts them by what they tell.
func eventsOf(t *testing.T, store *bolt.Store) (created, ended map[cobrowse.SessionID]bool) {
	t.Helper()
	created, ended = map[cobrowse.SessionID]bool{}, map[cobrowse.SessionID]bool{}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dump, err := store.Dump()
	if err != nil {
		t.Fatalf("Dump: %v", err)
	}
	left := len(dump["event"])
	if left == 0 {
		return created, ended
	}
	// A name that is used once and only here reads from the beginning.
	err = store.Follow(ctx, fmt.Sprintf("after-%d", left), nil, func(_ context.Context, ev cobrowse.Event) error {
		switch ev.Type {
		case cobrowse.EventCreated:
			created[ev.SessionID] = true
		case cobrowse.EventEnded:
			ended[ev.SessionID] = true
		default:
			t.Errorf("an event of type %q", ev.Type)
		}
		if left--; left == 0 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || left != 0 {
		t.Fatalf("Follow = %v with %d events left", err, left)
	}
	return created, ended
}
