package cobrowse_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// TestDeadlines drives sessions into every end that time brings, to the
// millisecond, and sees the record appear with it.
func TestDeadlines(t *testing.T) {
	t.Parallel()
	const step = time.Millisecond
	for name, tt := range map[string]struct {
		invites []cobrowse.Invite
		play    func(t *testing.T, h *house, s cobrowse.Session) time.Duration // returns what is left until the end
		want    cobrowse.EndReason
	}{
		"nobody joins": {agentAndSupervisor, func(*testing.T, *house, cobrowse.Session) time.Duration { return 20 * time.Minute }, cobrowse.EndNeverJoined},
		"a token issue starts the wait anew": {agentAndSupervisor, func(t *testing.T, h *house, s cobrowse.Session) time.Duration {
			t.Helper()
			h.clock.Advance(19 * time.Minute)
			if _, err := h.IssueToken(t.Context(), org, s.ID, cobrowse.ParticipantID(ben)); err != nil {
				t.Fatalf("IssueToken: %v", err)
			}
			return 20 * time.Minute
		}, cobrowse.EndNeverJoined},
		"the agent waits and does nothing": {agentAndSupervisor, func(t *testing.T, h *house, s cobrowse.Session) time.Duration {
			t.Helper()
			h.clock.Advance(time.Minute)
			h.connect(t, s, cobrowse.ParticipantID(ann))
			return 15 * time.Minute
		}, cobrowse.EndInactive},
		"the agent waits and moves, but nobody comes": {agentAndSupervisor, func(t *testing.T, h *house, s cobrowse.Session) time.Duration {
			t.Helper()
			h.connect(t, s, cobrowse.ParticipantID(ann))
			h.clock.Advance(10 * time.Minute)
			if err := h.Activity(t.Context(), s.ID); err != nil {
				t.Fatalf("Activity: %v", err)
			}
			return 10 * time.Minute
		}, cobrowse.EndNeverJoined},
		"both are there and do nothing": {agentAndSupervisor, func(t *testing.T, h *house, s cobrowse.Session) time.Duration {
			t.Helper()
			h.connect(t, s, cobrowse.ParticipantID(ann))
			h.connect(t, s, cobrowse.ParticipantID(ben))
			return 15 * time.Minute
		}, cobrowse.EndInactive},
		"input within the last write interval counts": {agentAndSupervisor, func(t *testing.T, h *house, s cobrowse.Session) time.Duration {
			t.Helper()
			h.connect(t, s, cobrowse.ParticipantID(ann))
			h.connect(t, s, cobrowse.ParticipantID(ben))
			h.clock.Advance(14 * time.Second) // less than what is stored at once
			if err := h.Activity(t.Context(), s.ID); err != nil {
				t.Fatalf("Activity: %v", err)
			}
			return 15 * time.Minute
		}, cobrowse.EndInactive},
		"the sharer's connection is lost": {agentAndSupervisor, func(t *testing.T, h *house, s cobrowse.Session) time.Duration {
			t.Helper()
			agent := h.connect(t, s, cobrowse.ParticipantID(ann))
			h.connect(t, s, cobrowse.ParticipantID(ben))
			h.clock.Advance(time.Minute)
			h.disconnect(t, agent)
			return 2 * time.Minute
		}, cobrowse.EndConnectionLost},
		"the agent who looks at a customer is lost": {everybody, func(t *testing.T, h *house, s cobrowse.Session) time.Duration {
			t.Helper()
			h.connect(t, s, s.Sharer())
			h.disconnect(t, h.connect(t, s, cobrowse.ParticipantID(ann)))
			return 2 * time.Minute
		}, cobrowse.EndConnectionLost},
		"a supervisor's connection is not waited for": {everybody, func(t *testing.T, h *house, s cobrowse.Session) time.Duration {
			t.Helper()
			h.connect(t, s, s.Sharer())
			h.connect(t, s, cobrowse.ParticipantID(ann))
			h.disconnect(t, h.connect(t, s, cobrowse.ParticipantID(ben)))
			return 15 * time.Minute
		}, cobrowse.EndInactive},
		"a redeemed token whose stream never opens": {agentAndSupervisor, func(t *testing.T, h *house, s cobrowse.Session) time.Duration {
			t.Helper()
			token, err := h.IssueToken(t.Context(), org, s.ID, cobrowse.ParticipantID(ann))
			if err != nil {
				t.Fatalf("IssueToken: %v", err)
			}
			if _, err := h.Redeem(t.Context(), token.Raw, "tab"); err != nil {
				t.Fatalf("Redeem: %v", err)
			}
			return 2 * time.Minute
		}, cobrowse.EndConnectionLost},
		"a busy session ends after eight hours": {agentAndSupervisor, func(t *testing.T, h *house, s cobrowse.Session) time.Duration {
			t.Helper()
			h.connect(t, s, cobrowse.ParticipantID(ann))
			h.connect(t, s, cobrowse.ParticipantID(ben))
			for range 8*6 - 1 {
				h.clock.Advance(10 * time.Minute)
				if err := h.Activity(t.Context(), s.ID); err != nil {
					t.Fatalf("Activity: %v", err)
				}
				if _, err := h.Sweep(t.Context()); err != nil {
					t.Fatalf("Sweep: %v", err)
				}
			}
			return 10 * time.Minute
		}, cobrowse.EndMaxDuration},
		"a shorter time-out that was set later": {agentAndSupervisor, func(t *testing.T, h *house, s cobrowse.Session) time.Duration {
			t.Helper()
			h.connect(t, s, cobrowse.ParticipantID(ann))
			minute := time.Minute
			if _, err := h.UpdateSettings(t.Context(), org, s.ID, cobrowse.SettingsPatch{Timeout: &minute}); err != nil {
				t.Fatalf("UpdateSettings: %v", err)
			}
			return time.Minute
		}, cobrowse.EndInactive},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			s := h.start(t, tt.invites).Session
			left := tt.play(t, h, s)
			h.clock.Advance(left - step)
			if n, err := h.Sweep(t.Context()); n != 0 || err != nil {
				t.Fatalf("Sweep a millisecond early ended %d sessions, %v", n, err)
			}
			h.clock.Advance(step)
			deadline := h.clock.Now()
			h.clock.Advance(time.Hour) // however late it is noticed, it is dated at the deadline
			if n, err := h.Sweep(t.Context()); n != 1 || err != nil {
				t.Fatalf("Sweep at the deadline ended %d sessions, %v; want 1", n, err)
			}
			record, err := h.Record(t.Context(), org, s.ID)
			if err != nil {
				t.Fatalf("Record: %v", err)
			}
			if record.EndReason != tt.want || !record.EndedAt.Equal(deadline) {
				t.Errorf("ended %v %s, want %v %s", record.EndedAt, record.EndReason, deadline, tt.want)
			}
		})
	}
}

func (h *house) disconnect(t *testing.T, j cobrowse.Joined) {
	t.Helper()
	if err := h.Disconnected(t.Context(), j.Session.ID, j.Participant.ID, j.Participant.Connection.Number); err != nil {
		t.Fatalf("Disconnected: %v", err)
	}
}

func TestActivation(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, everybody).Session
	h.connect(t, s, cobrowse.ParticipantID(ann))
	h.connect(t, s, cobrowse.ParticipantID(ben))
	if got := h.look(t, s.ID).State(); got != cobrowse.StateIdle {
		t.Errorf("state with two viewers and no sharer = %s, want idle", got)
	}
	h.clock.Advance(time.Second)
	customer := h.connect(t, s, s.Sharer())
	if got := customer.Session; got.State() != cobrowse.StateActive || !got.ActivatedAt.Equal(t0.Add(time.Second)) {
		t.Errorf("session with the sharer = %s since %v, want active since %v", got.State(), got.ActivatedAt, t0.Add(time.Second))
	}
	h.disconnect(t, customer)
	if got := h.look(t, s.ID).State(); got != cobrowse.StateActive {
		t.Errorf("state while the sharer reloads = %s, want active: it becomes so once", got)
	}
}

// TestEndedIsFinal is invariant I3.
func TestEndedIsFinal(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor).Session
	unused, err := h.IssueToken(t.Context(), org, s.ID, cobrowse.ParticipantID(ann))
	if err != nil {
		t.Fatalf("IssueToken: %v", err)
	}
	in := h.connect(t, s, cobrowse.ParticipantID(ben))
	h.clock.Advance(time.Second)
	first, err := h.End(t.Context(), org, s.ID, cobrowse.EndRequested)
	if err != nil {
		t.Fatalf("End: %v", err)
	}
	h.clock.Advance(time.Second)
	second, err := h.End(t.Context(), org, s.ID, cobrowse.EndConversationEnded)
	if err != nil || !second.EndedAt.Equal(first.EndedAt) || second.EndReason != cobrowse.EndRequested || second.Version != first.Version {
		t.Errorf("second End = %v %s version %d, %v; want it unchanged", second.EndedAt, second.EndReason, second.Version, err)
	}
	_, err = h.Connect(t.Context(), cobrowse.ConnectRequest{SessionID: s.ID, Token: unused.Raw})
	wantCode(t, "Connect with a token", err, cobridge.CodeSessionEnded)
	_, err = h.Connect(t.Context(), cobrowse.ConnectRequest{SessionID: s.ID, ParticipantID: in.Participant.ID, Secret: in.Secret, Tab: "tab"})
	wantCode(t, "Connect with a secret", err, cobridge.CodeSessionEnded)
	_, err = h.Redeem(t.Context(), unused.Raw, "")
	wantCode(t, "Redeem", err, cobridge.CodeSessionEnded)
	_, err = h.IssueToken(t.Context(), org, s.ID, cobrowse.ParticipantID(ann))
	wantCode(t, "IssueToken", err, cobridge.CodeConflict)
	_, err = h.UpdateSettings(t.Context(), org, s.ID, cobrowse.SettingsPatch{AllowRemoteControl: new(bool)})
	wantCode(t, "UpdateSettings", err, cobridge.CodeConflict)
	_, _, _, err = h.AddParticipant(t.Context(), org, s.ID, cobrowse.Invite{UserID: cyn, Role: cobrowse.RoleSupervisor})
	wantCode(t, "AddParticipant", err, cobridge.CodeMissingPermissions) // looked up first
	_, err = h.RemoveParticipant(t.Context(), org, s.ID, cobrowse.ParticipantID(ben))
	wantCode(t, "RemoveParticipant", err, cobridge.CodeConflict)
	if err := h.Activity(t.Context(), s.ID); err != nil {
		t.Errorf("Activity: %v", err)
	}
	if err := h.VisitPage(t.Context(), s.ID, cobrowse.ParticipantID(ann), 1, "https://shop.example/", ""); err != nil {
		t.Errorf("VisitPage: %v", err)
	}
	if got := h.look(t, s.ID); got.Version != first.Version || got.State() != cobrowse.StateEnded {
		t.Errorf("session = %s version %d, want ended version %d", got.State(), got.Version, first.Version)
	}
	if p, _ := first.Participant(cobrowse.ParticipantID(ben)); p.State != cobrowse.ParticipantLeft || p.Connection.Open || p.Resume != (cobrowse.Resume{}) {
		t.Errorf("participant of an ended session = %+v, want left, closed, without secrets", p)
	}
}

func TestConversationEnds(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor).Session
	if err := h.directory.Disconnect(t.Context(), org, s.ConversationID); err != nil {
		t.Fatalf("Disconnect: %v", err)
	}
	if got := h.look(t, s.ID); got.EndReason != cobrowse.EndConversationEnded {
		t.Errorf("session = %s %s, want ended by its conversation", got.State(), got.EndReason)
	}
}

// downDirectory cannot be reached.
type downDirectory struct{ conversations.Directory }

func (downDirectory) Conversation(context.Context, conversations.OrgID, conversations.ID) (conversations.Conversation, error) {
	return conversations.Conversation{}, &cobridge.Error{Code: cobridge.CodeUnavailable, Message: "Down.", Err: errors.New("down")}
}

func TestReconcile(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	gone, stays := h.start(t, agentAndSupervisor).Session, h.start(t, agentAndSupervisor).Session
	// The conversation ends while nobody watches: written past the directory.
	if _, err := h.store.UpdateConversation(t.Context(), org, gone.ConversationID, func(c *conversations.Conversation) error {
		c.EndedAt = h.clock.Now()
		return nil
	}); err != nil {
		t.Fatalf("UpdateConversation: %v", err)
	}
	wantCode(t, "Reconcile with a directory that is down", h.again(t, downDirectory{}).Reconcile(t.Context()), cobridge.CodeUnavailable)
	if got := h.look(t, gone.ID); !got.Live() {
		t.Fatal("a session was ended although the directory could not be asked")
	}
	if err := h.again(t, h.directory).Reconcile(t.Context()); err != nil {
		t.Fatalf("Reconcile: %v", err)
	}
	if got := h.look(t, gone.ID); got.EndReason != cobrowse.EndConversationEnded {
		t.Errorf("session of an ended conversation = %s %q, want ended", got.State(), got.EndReason)
	}
	if got := h.look(t, stays.ID); !got.Live() {
		t.Errorf("session of an active conversation ended: %s", got.EndReason)
	}
}

// endingDirectory ends the conversation between the first look and the second.
type endingDirectory struct {
	conversations.Directory
	looks int
	end   func()
}

func (d *endingDirectory) Conversation(ctx context.Context, org conversations.OrgID, id conversations.ID) (conversations.Conversation, error) {
	c, err := d.Directory.Conversation(ctx, org, id)
	if d.looks++; d.looks == 1 {
		d.end()
	}
	return c, err
}

func TestConversationEndsWhileASessionStarts(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.conversation(t, conversations.MediumMessage)
	svc := h.again(t, &endingDirectory{Directory: h.directory, end: func() {
		if err := h.directory.Disconnect(t.Context(), org, id); err != nil {
			t.Errorf("Disconnect: %v", err)
		}
	}})
	_, err := svc.Start(t.Context(), cobrowse.StartRequest{OrgID: org, ConversationID: id, Participants: agentAndSupervisor})
	wantCode(t, "Start", err, cobridge.CodeConversationNotFound)
	live, n, err := h.List(t.Context(), cobrowse.ListRequest{OrgID: org, States: []cobrowse.State{cobrowse.StateIdle, cobrowse.StateActive}, Limit: 10})
	if err != nil || n != 0 {
		t.Errorf("live sessions = %v (%d), %v; want none", live, n, err)
	}
}

func TestRetention(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor).Session
	_, err := h.Record(t.Context(), org, s.ID)
	wantCode(t, "Record of a live session", err, cobridge.CodeNotFound)
	if _, err := h.End(t.Context(), org, s.ID, cobrowse.EndRequested); err != nil {
		t.Fatalf("End: %v", err)
	}
	h.clock.Advance(h.rules.Retention)
	if _, err := h.Get(t.Context(), org, s.ID); err != nil {
		t.Errorf("Get within retention: %v", err)
	}
	h.clock.Advance(time.Millisecond)
	// Nothing was purged yet: the time alone decides.
	_, err = h.Get(t.Context(), org, s.ID)
	wantCode(t, "Get past retention", err, cobridge.CodeNotFound)
	_, err = h.Record(t.Context(), org, s.ID)
	wantCode(t, "Record past retention", err, cobridge.CodeNotFound)
	records, _, err := h.Records(t.Context(), cobrowse.RecordRequest{OrgID: org, Limit: 10})
	if err != nil || len(records) != 0 {
		t.Errorf("Records past retention = %v, %v; want none", records, err)
	}
}

func TestOrganisationsAreApart(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor).Session
	ctx, ben := t.Context(), cobrowse.ParticipantID(ben)
	for name, call := range map[string]func() error{
		"Get":    func() error { _, err := h.Get(ctx, otherOrg, s.ID); return err },
		"Record": func() error { _, err := h.Record(ctx, otherOrg, s.ID); return err },
		"End":    func() error { _, err := h.End(ctx, otherOrg, s.ID, cobrowse.EndRequested); return err },
		"UpdateSettings": func() error {
			_, err := h.UpdateSettings(ctx, otherOrg, s.ID, cobrowse.SettingsPatch{AllowRemoteControl: new(bool)})
			return err
		},
		"IssueToken":        func() error { _, err := h.IssueToken(ctx, otherOrg, s.ID, ben); return err },
		"RemoveParticipant": func() error { _, err := h.RemoveParticipant(ctx, otherOrg, s.ID, ben); return err },
		"AddParticipant": func() error {
			_, _, _, err := h.AddParticipant(ctx, otherOrg, s.ID, cobrowse.Invite{UserID: eve, Role: cobrowse.RoleSupervisor})
			return err
		},
	} {
		wantCode(t, name, call(), cobridge.CodeNotFound)
	}
	list, n, err := h.List(ctx, cobrowse.ListRequest{OrgID: otherOrg, Limit: 10})
	if err != nil || n != 0 || len(list) != 0 {
		t.Errorf("List = %v (%d), %v; want nothing", list, n, err)
	}
	if got := h.look(t, s.ID); got.Version != s.Version {
		t.Errorf("version = %d, want %d: a foreign call changed something", got.Version, s.Version)
	}
}

// TestSessionTokenRests is invariant I5: digits that were given back are not free
// for a day, on the service's own claim.
func TestSessionTokenRests(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor).Session
	if _, err := h.End(t.Context(), org, s.ID, cobrowse.EndRequested); err != nil {
		t.Fatalf("End: %v", err)
	}
	other := h.start(t, agentAndSupervisor).Session
	take := func() error {
		next := h.look(t, other.ID)
		next.Version++
		return h.store.Apply(t.Context(), cobrowse.Change{
			At: h.clock.Now(), Session: next, Take: []cobrowse.Claim{{Kind: cobrowse.ClaimSessionToken, Key: string(s.Token)}},
		})
	}
	h.clock.Advance(10 * time.Minute)
	if _, err := h.IssueToken(t.Context(), org, other.ID, cobrowse.ParticipantID(ben)); err != nil { // keeps the other alive
		t.Fatalf("IssueToken: %v", err)
	}
	if claimed, ok := errors.AsType[*cobrowse.ClaimedError](take()); !ok || claimed.Holder != "" {
		t.Errorf("digits of a session that ended ten minutes ago = %v, want claimed by nobody", claimed)
	}
	h.clock.Advance(24 * time.Hour)
	third := h.start(t, agentAndSupervisor).Session
	other = third
	if err := take(); err != nil {
		t.Errorf("digits after a day: %v, want them free", err)
	}
}

// TestRecover: the process died with links open. After its next start they are in
// grace, like any lost link, and their people can resume.
func TestRecover(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, everybody).Session
	h.connect(t, s, s.Sharer())
	agent := h.connect(t, s, cobrowse.ParticipantID(ann))
	h.connect(t, s, cobrowse.ParticipantID(ben))
	h.clock.Advance(time.Minute)
	again := h.again(t, h.directory)
	if err := again.Recover(t.Context()); err != nil {
		t.Fatalf("Recover: %v", err)
	}
	got := h.look(t, s.ID)
	for _, p := range got.Participants {
		if p.Connection.Open || !p.Connection.ClosedAt.Equal(h.clock.Now()) {
			t.Errorf("link of the %s after the restart = %+v, want it closed now", p.Role, p.Connection)
		}
	}
	if want := h.clock.Now().Add(2 * time.Minute); !got.Deadline.Equal(want) || got.DeadlineReason != cobrowse.EndConnectionLost {
		t.Errorf("deadline after the restart = %v %s, want %v connectionLost", got.Deadline, got.DeadlineReason, want)
	}
	if err := again.Recover(t.Context()); err != nil || h.look(t, s.ID).Version != got.Version {
		t.Errorf("a second Recover = %v, version %d; want nothing to change", err, h.look(t, s.ID).Version)
	}
	back, err := again.Connect(t.Context(), cobrowse.ConnectRequest{SessionID: s.ID, ParticipantID: agent.Participant.ID, Secret: agent.Secret, Tab: "tab"})
	if err != nil || !back.Participant.Connection.Open {
		t.Errorf("resuming after the restart: %v", err)
	}
}
