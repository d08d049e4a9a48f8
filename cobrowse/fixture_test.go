package cobrowse_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/engine/bolt"
	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

var t0 = time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC)

const (
	org      conversations.OrgID  = "0a1b2c3d-0000-4000-8000-000000000001"
	otherOrg conversations.OrgID  = "0a1b2c3d-0000-4000-8000-000000000002"
	ann      conversations.UserID = "0a1b2c3d-0000-4000-8000-0000000000a1" // agent, may do everything
	ben      conversations.UserID = "0a1b2c3d-0000-4000-8000-0000000000b2" // supervisor, may do everything
	cyn      conversations.UserID = "0a1b2c3d-0000-4000-8000-0000000000c3" // voice only
	dan      conversations.UserID = "0a1b2c3d-0000-4000-8000-0000000000d4" // no capability
	eve      conversations.UserID = "0a1b2c3d-0000-4000-8000-0000000000e5" // of the other organisation
	gus      conversations.UserID = "0a1b2c3d-0000-4000-8000-0000000000f6" // deleted
)

// house is a service on a real store file.
type house struct {
	*cobrowse.Service
	store     *bolt.Store
	directory *conversations.Local
	clock     *testenv.Clock
	rules     cobrowse.Rules
}

func newHouse(t *testing.T, change ...func(*cobrowse.Rules)) *house {
	t.Helper()
	c := testenv.NewClock(t0)
	store, err := bolt.Open(t.Context(), bolt.Config{Path: filepath.Join(t.TempDir(), "store.db"), Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	h := &house{store: store, directory: conversations.NewLocal(store, c.Now), clock: c, rules: cobrowse.DefaultRules()}
	for _, fn := range change {
		fn(&h.rules)
	}
	h.Service = h.again(t, h.directory)
	h.directory.OnEnd(func(ctx context.Context, org conversations.OrgID, id conversations.ID) {
		if err := h.ConversationEnded(ctx, org, id); err != nil {
			t.Errorf("ConversationEnded: %v", err)
		}
	})
	both := conversations.Capability{Voice: true, Digital: true}
	active := conversations.UserActive
	for id, users := range map[conversations.OrgID][]conversations.User{
		org: {
			{ID: ann, Name: "Ann", State: active, Cobrowse: both},
			{ID: ben, Name: "Ben", State: active, Cobrowse: both},
			{ID: cyn, Name: "Cyn", State: active, Cobrowse: conversations.Capability{Voice: true}},
			{ID: dan, Name: "Dan", State: active},
			{ID: gus, Name: "Gus", State: conversations.UserDeleted, Cobrowse: both},
		},
		otherOrg: {{ID: eve, Name: "Eve", State: active, Cobrowse: both}},
	} {
		if err := h.directory.Seed(t.Context(), conversations.Organisation{ID: id, Name: "Test"}, users, nil); err != nil {
			t.Fatalf("seed: %v", err)
		}
	}
	return h
}

// again returns another service over the same store, as after a restart.
func (h *house) again(t *testing.T, directory conversations.Directory, change ...func(*cobrowse.Config)) *cobrowse.Service {
	t.Helper()
	cfg := cobrowse.Config{
		Store: h.store, Index: h.store, Deployments: h.store, Directory: directory, Clock: h.clock.Now, Rules: h.rules,
		Tokens: cobrowse.NewJoinTokens([]byte("0123456789abcdef0123456789abcdef"), "https://bridge.example", 15*time.Minute, h.clock.Now),
		Log:    slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	for _, f := range change {
		f(&cfg)
	}
	return cobrowse.New(cfg)
}

// conversation starts a conversation between a customer and Ann.
func (h *house) conversation(t *testing.T, medium conversations.Medium) conversations.ID {
	t.Helper()
	c, err := h.directory.Create(t.Context(), org, conversations.NewConversation{Medium: medium, Participants: []conversations.NewParticipant{
		{Purpose: conversations.PurposeCustomer, Name: "Kim"}, {Purpose: conversations.PurposeAgent, UserID: ann},
	}})
	if err != nil {
		t.Fatalf("create conversation: %v", err)
	}
	return c.ID
}

var (
	agentAndSupervisor = []cobrowse.Invite{{UserID: ann, Role: cobrowse.RoleAgent}, {UserID: ben, Role: cobrowse.RoleSupervisor}}
	everybody          = []cobrowse.Invite{{Role: cobrowse.RoleCustomer, Name: "Kim"}, {UserID: ann, Role: cobrowse.RoleAgent}, {UserID: ben, Role: cobrowse.RoleSupervisor}}
)

// start starts a session on a new conversation.
func (h *house) start(t *testing.T, invites []cobrowse.Invite) cobrowse.Started {
	t.Helper()
	started, err := h.Start(t.Context(), cobrowse.StartRequest{
		OrgID: org, ClientID: "client", ConversationID: h.conversation(t, conversations.MediumMessage), Participants: invites,
	})
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	return started
}

// connect redeems a fresh token of a participant over the stream.
func (h *house) connect(t *testing.T, s cobrowse.Session, p cobrowse.ParticipantID) cobrowse.Joined {
	t.Helper()
	token, err := h.IssueToken(t.Context(), s.OrgID, s.ID, p)
	if err != nil {
		t.Fatalf("IssueToken: %v", err)
	}
	joined, err := h.Connect(t.Context(), cobrowse.ConnectRequest{SessionID: s.ID, Token: token.Raw, Tab: "tab"})
	if err != nil {
		t.Fatalf("Connect: %v", err)
	}
	return joined
}

func (h *house) look(t *testing.T, id cobrowse.SessionID) cobrowse.Session {
	t.Helper()
	s, err := h.Look(t.Context(), id)
	if err != nil {
		t.Fatalf("Look: %v", err)
	}
	return s
}

func wantCode(t *testing.T, what string, err error, want cobridge.Code) {
	t.Helper()
	if got := cobridge.CodeOf(err); got != want {
		t.Errorf("%s: code %q (%v), want %q", what, got, err, want)
	}
}
