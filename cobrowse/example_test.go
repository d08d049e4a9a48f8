package cobrowse_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/engine/bolt"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// newService returns a service on a store of its own, with one conversation that
// the agent has with a customer, and what cleans up.
func newService(ctx context.Context) (*cobrowse.Service, conversations.ID, func(), error) {
	dir, err := os.MkdirTemp("", "cobridge-example-")
	if err != nil {
		return nil, "", nil, err
	}
	clock := func() time.Time { return time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC) }
	store, err := bolt.Open(ctx, bolt.Config{Path: filepath.Join(dir, "store.db")})
	if err != nil {
		return nil, "", nil, err
	}
	directory := conversations.NewLocal(store, clock)
	may := conversations.Capability{Voice: true, Digital: true}
	users := []conversations.User{
		{ID: ann, Name: "Ann", State: conversations.UserActive, Cobrowse: may},
		{ID: ben, Name: "Ben", State: conversations.UserActive, Cobrowse: may},
	}
	if err := directory.Seed(ctx, conversations.Organisation{ID: org, Name: "Example"}, users, nil); err != nil {
		return nil, "", nil, err
	}
	talk, err := directory.Create(ctx, org, conversations.NewConversation{Medium: conversations.MediumCall, Participants: []conversations.NewParticipant{
		{Purpose: conversations.PurposeCustomer, Name: "Kim"}, {Purpose: conversations.PurposeAgent, UserID: ann},
	}})
	service := cobrowse.New(cobrowse.Config{
		Store: store, Index: store, Deployments: store, Directory: directory, Clock: clock, Log: slog.New(slog.DiscardHandler), Rules: cobrowse.DefaultRules(),
		Tokens: cobrowse.NewJoinTokens([]byte("a key of 32 bytes, kept as secret"), "https://cobrowse.example", 15*time.Minute, clock),
	})
	return service, talk.ID, func() { _ = errors.Join(store.Close(), os.RemoveAll(dir)) }, err
}

// A session is started on a conversation; a second start is refused and names the
// first; a join token lets one participant in, once.
func Example() {
	ctx := context.Background()
	service, conversation, clean, err := newService(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer clean()
	request := cobrowse.StartRequest{OrgID: org, ClientID: "crm", ConversationID: conversation, Participants: []cobrowse.Invite{
		{UserID: ann, Role: cobrowse.RoleAgent}, {UserID: ben, Role: cobrowse.RoleSupervisor},
	}}
	started, err := service.Start(ctx, request)
	fmt.Println(started.Session.State(), len(started.Tokens), err)

	_, err = service.Start(ctx, request)
	refused, _ := errors.AsType[*cobridge.Error](err)
	fmt.Println(refused.Code, refused.EntityID == string(started.Session.ID))

	joined, err := service.Redeem(ctx, started.Tokens[1].Raw, "tab")
	fmt.Println(joined.Participant.Name, joined.Participant.Role, err)
	_, err = service.Redeem(ctx, started.Tokens[1].Raw, "tab")
	fmt.Println(cobridge.CodeOf(err))

	// Output:
	// idle 2 <nil>
	// request.conflict true
	// Ben supervisor <nil>
	// join.token.used
}
