package enginetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/conversations"
)

func conversationTests() map[string]func(*testing.T, Engine) {
	return map[string]func(*testing.T, Engine){
		"organisations are created and replaced":                  testOrganisations,
		"users are created and replaced":                          testUser,
		"users are listed by name, then by id":                    testUsers,
		"users are selected by id and state":                      testUsersSelected,
		"a conversation is created once, in any organisation":     testConversationCreate,
		"a conversation of another organisation is not found":     testConversationIsolation,
		"a conversation shares no memory with the caller":         testConversationMemory,
		"an update is stored and returned":                        testConversationUpdate,
		"an error in an update changes nothing and is returned":   testConversationUpdateFails,
		"an update cannot move a conversation":                    testConversationStays,
		"conversations are listed newest start first, then by id": testConversations,
		"conversations are selected by activity and medium":       testConversationsSelected,
		"ended conversations are purged":                          testConversationsPurged,
	}
}

// conversation returns an active call of org.
func conversation(id conversations.ID) conversations.Conversation {
	return conversations.Conversation{
		ID: id, OrgID: org, ExternalTag: "tag ä", StartedAt: t0,
		Participants: []conversations.Participant{{
			ID: "p-1", Purpose: conversations.PurposeCustomer, Name: "Kim", MediaRoles: []string{"full"}, Attributes: map[string]string{"k": "v", "ä": "\u2028<"}, ConnectedAt: t0,
			Communications: []conversations.Communication{{ID: "m-1", Medium: conversations.MediumCall, State: conversations.StateConnected, Direction: "inbound", ConnectedAt: t0}},
		}},
	}
}

func testOrganisations(t *testing.T, e Engine) {
	_, err := e.Organisation(t.Context(), org)
	wantCode(t, "Organisation", err, cobridge.CodeNotFound)
	for _, name := range []string{"Old", "Neu ü"} {
		mustStore(t, e.PutOrganisation(t.Context(), conversations.Organisation{ID: org, Name: name}))
	}
	e = e.Reopen(t)
	got, err := e.Organisation(t.Context(), org)
	mustStore(t, err)
	wantSame(t, "Organisation", got, conversations.Organisation{ID: org, Name: "Neu ü"})
	_, err = e.Organisation(t.Context(), otherOrg)
	wantCode(t, "Organisation of another id", err, cobridge.CodeNotFound)
}

func user(id conversations.UserID, name string) conversations.User {
	return conversations.User{
		ID: id, OrgID: org, Name: name, Email: "a@example.org", Title: "Agent", State: conversations.UserActive,
		Cobrowse: conversations.Capability{Voice: true}, Version: 3,
	}
}

func testUser(t *testing.T, e Engine) {
	_, err := e.User(t.Context(), org, "u-1")
	wantCode(t, "User", err, cobridge.CodeUserNotFound)
	deleted := user("u-1", "Zoe")
	deleted.State = conversations.UserDeleted
	for _, u := range []conversations.User{user("u-1", "Ann"), user("u-1", "Ann \x00 B"), deleted} {
		mustStore(t, e.PutUser(t.Context(), u))
	}
	for range 2 {
		got, err := e.User(t.Context(), org, "u-1") // a deleted user is found and says so
		mustStore(t, err)
		wantSame(t, "User", got, deleted)
		_, err = e.User(t.Context(), otherOrg, "u-1")
		wantCode(t, "User of another organisation", err, cobridge.CodeUserNotFound)
		wantUsers(t, e, conversations.UserQuery{}, 1, "u-1") // and not under its old names
		e = e.Reopen(t)
	}
}

func wantUsers(t *testing.T, e Engine, q conversations.UserQuery, total int, want ...string) {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	users, count, err := e.Users(t.Context(), org, q)
	mustStore(t, err)
	var got []string
	for _, u := range users {
		got = append(got, string(u.ID))
		if u.OrgID != org {
			t.Errorf("Users returned %s of organisation %s", u.ID, u.OrgID)
		}
	}
	if !slices.Equal(got, want) || count != total {
		t.Errorf("Users(%+v) = %v of %d, want %v of %d", q, got, count, want, total)
	}
}

// people are five users, stored against their order, and one of another organisation.
func people(t *testing.T, e Engine) []string {
	t.Helper()
	for _, u := range []conversations.User{user("5", "Zoe"), user("4", "Änne"), user("3", "Ann"), user("2", "Anna"), user("1", "Ann")} {
		if u.ID == "2" {
			u.State = conversations.UserInactive
		}
		mustStore(t, e.PutUser(t.Context(), u))
	}
	foreign := user("0", "Ann")
	foreign.OrgID = otherOrg
	mustStore(t, e.PutUser(t.Context(), foreign))
	return []string{"1", "3", "2", "5", "4"} // Ann, Ann, Anna, Zoe, Änne
}

func testUsers(t *testing.T, e Engine) {
	all := people(t, e)
	for limit := 1; limit <= 6; limit++ {
		for offset := 0; offset <= 6; offset++ {
			from := min(offset, len(all))
			wantUsers(t, e, conversations.UserQuery{Offset: offset, Limit: limit}, 5, all[from:min(from+limit, len(all))]...)
		}
	}
	// Names that begin with one another, and one with a character below all others.
	mustStore(t, e.PutUser(t.Context(), user("a", "Ann\x00")))
	mustStore(t, e.PutUser(t.Context(), user("b", "")))
	wantUsers(t, e, conversations.UserQuery{}, 7, "b", "1", "3", "a", "2", "5", "4")
}

func testUsersSelected(t *testing.T, e Engine) {
	people(t, e)
	active := []conversations.UserState{conversations.UserActive}
	wantUsers(t, e, conversations.UserQuery{States: active}, 4, "1", "3", "5", "4")
	wantUsers(t, e, conversations.UserQuery{States: active, Offset: 1, Limit: 2}, 4, "3", "5")
	wantUsers(t, e, conversations.UserQuery{States: []conversations.UserState{conversations.UserDeleted}}, 0)
	wantUsers(t, e, conversations.UserQuery{IDs: []conversations.UserID{"5", "2", "0", "9", "2"}}, 2, "2", "5")
	wantUsers(t, e, conversations.UserQuery{IDs: []conversations.UserID{"5", "2"}, States: active}, 1, "5")
	wantUsers(t, e, conversations.UserQuery{IDs: []conversations.UserID{"5", "2", "1"}, Offset: 1, Limit: 1}, 3, "2")
	wantUsers(t, e, conversations.UserQuery{IDs: []conversations.UserID{"5"}, Offset: 3}, 1)
	wantUsers(t, e, conversations.UserQuery{IDs: []conversations.UserID{"0"}}, 0)
}

func testConversationCreate(t *testing.T, e Engine) {
	mustStore(t, e.CreateConversation(t.Context(), conversation("c-1")))
	foreign := conversation("c-1")
	foreign.OrgID = otherOrg
	for _, c := range []conversations.Conversation{conversation("c-1"), foreign} {
		wantCode(t, "CreateConversation", e.CreateConversation(t.Context(), c), cobridge.CodeConflict)
	}
	for range 2 {
		got, err := e.Conversation(t.Context(), org, "c-1")
		mustStore(t, err)
		wantSame(t, "Conversation", got, conversation("c-1"))
		e = e.Reopen(t)
	}
}

func testConversationIsolation(t *testing.T, e Engine) {
	mustStore(t, e.CreateConversation(t.Context(), conversation("c-1")))
	for _, tt := range []struct {
		org conversations.OrgID
		id  conversations.ID
	}{{org, "c-2"}, {otherOrg, "c-1"}, {"", "c-1"}, {org, ""}} {
		_, err := e.Conversation(t.Context(), tt.org, tt.id)
		wantCode(t, fmt.Sprintf("Conversation(%s, %s)", tt.org, tt.id), err, cobridge.CodeConversationNotFound)
		_, err = e.UpdateConversation(t.Context(), tt.org, tt.id, func(*conversations.Conversation) error {
			t.Error("an update was called for a conversation that is not there")
			return nil
		})
		wantCode(t, fmt.Sprintf("UpdateConversation(%s, %s)", tt.org, tt.id), err, cobridge.CodeConversationNotFound)
	}
	list, total, err := e.Conversations(t.Context(), otherOrg, conversations.Query{Limit: 10})
	if err != nil || total != 0 || len(list) != 0 {
		t.Errorf("Conversations of the other organisation = %d of %d, %v, want none", len(list), total, err)
	}
}

func testConversationMemory(t *testing.T, e Engine) {
	mine := conversation("c-1")
	mustStore(t, e.CreateConversation(t.Context(), mine))
	spoil := func(c conversations.Conversation) {
		c.Participants[0].Attributes["k"] = "changed"
		c.Participants[0].MediaRoles[0] = "changed"
		c.Participants[0].Communications[0].State = conversations.StateTerminated
	}
	spoil(mine)
	read, err := e.Conversation(t.Context(), org, "c-1")
	mustStore(t, err)
	spoil(read)
	var kept *conversations.Conversation
	returned, err := e.UpdateConversation(t.Context(), org, "c-1", func(c *conversations.Conversation) error {
		c.ExternalTag = "new"
		kept = c
		return nil
	})
	mustStore(t, err)
	spoil(returned)
	spoil(*kept)
	want := conversation("c-1")
	want.ExternalTag = "new"
	got, err := e.Conversation(t.Context(), org, "c-1")
	mustStore(t, err)
	wantSame(t, "Conversation", got, want)
}

func testConversationUpdate(t *testing.T, e Engine) {
	mustStore(t, e.CreateConversation(t.Context(), conversation("c-1")))
	want := conversation("c-1")
	want.EndedAt, want.StartedAt, want.Participants[0].Attributes = t0.Add(time.Hour), t0.Add(time.Minute), map[string]string{"new": ""}
	for range 2 { // the second changes nothing
		got, err := e.UpdateConversation(t.Context(), org, "c-1", func(c *conversations.Conversation) error {
			*c = want.Clone()
			return nil
		})
		mustStore(t, err)
		wantSame(t, "UpdateConversation", got, want)
	}
	e = e.Reopen(t)
	got, err := e.Conversation(t.Context(), org, "c-1")
	mustStore(t, err)
	wantSame(t, "Conversation", got, want)
	wantConversations(t, e, conversations.Query{}, 1, "c-1")
}

func testConversationUpdateFails(t *testing.T, e Engine) {
	mustStore(t, e.CreateConversation(t.Context(), conversation("c-1")))
	failure := &cobridge.Error{Code: cobridge.CodeParticipantNotFound}
	_, err := e.UpdateConversation(t.Context(), org, "c-1", func(c *conversations.Conversation) error {
		c.Participants[0].Attributes["k"] = "changed"
		c.ExternalTag = "changed"
		return failure
	})
	if !errors.Is(err, failure) {
		t.Errorf("UpdateConversation = %v, want the error of the function", err)
	}
	got, err := e.Conversation(t.Context(), org, "c-1")
	mustStore(t, err)
	wantSame(t, "Conversation", got, conversation("c-1"))
}

func testConversationStays(t *testing.T, e Engine) {
	mustStore(t, e.CreateConversation(t.Context(), conversation("c-1")))
	_, err := e.UpdateConversation(t.Context(), org, "c-1", func(c *conversations.Conversation) error {
		c.ID, c.OrgID = "c-2", otherOrg
		return nil
	})
	mustStore(t, err)
	got, err := e.Conversation(t.Context(), org, "c-1")
	mustStore(t, err)
	wantSame(t, "Conversation", got, conversation("c-1"))
	_, err = e.Conversation(t.Context(), otherOrg, "c-2")
	wantCode(t, "Conversation under another id", err, cobridge.CodeConversationNotFound)
}

func wantConversations(t *testing.T, e Engine, q conversations.Query, total int, want ...string) {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	list, count, err := e.Conversations(t.Context(), org, q)
	mustStore(t, err)
	var got []string
	for _, c := range list {
		got = append(got, string(c.ID))
	}
	if !slices.Equal(got, want) || count != total {
		t.Errorf("Conversations(%+v) = %v of %d, want %v of %d", q, got, count, want, total)
	}
}

// talks are five conversations: c-3 and c-2 start together, c-5 has ended, c-4's only
// communication is over, and c-1 is a message and a call.
func talks(t *testing.T, e Engine) []string {
	t.Helper()
	for i, id := range []conversations.ID{"c-1", "c-3", "c-2", "c-4", "c-5"} {
		c := conversation(id)
		c.StartedAt = t0.Add(time.Duration(i) * time.Minute)
		com := &c.Participants[0].Communications[0]
		switch id {
		case "c-1":
			c.Participants[0].Communications = append(c.Participants[0].Communications, conversations.Communication{ID: "m-2", Medium: conversations.MediumMessage, State: conversations.StateDisconnected})
		case "c-2":
			c.StartedAt = t0.Add(time.Minute)
			com.Medium = conversations.MediumChat
		case "c-4":
			com.State = conversations.StateTerminated
		case "c-5":
			c.EndedAt = t0.Add(time.Hour)
		}
		mustStore(t, e.CreateConversation(t.Context(), c))
	}
	foreign := conversation("c-9")
	foreign.OrgID = otherOrg
	mustStore(t, e.CreateConversation(t.Context(), foreign))
	return []string{"c-5", "c-4", "c-2", "c-3", "c-1"}
}

func testConversations(t *testing.T, e Engine) {
	all := talks(t, e)
	for limit := 1; limit <= 6; limit++ {
		for offset := 0; offset <= 6; offset++ {
			from := min(offset, len(all))
			wantConversations(t, e, conversations.Query{Offset: offset, Limit: limit}, 5, all[from:min(from+limit, len(all))]...)
		}
	}
}

func testConversationsSelected(t *testing.T, e Engine) {
	talks(t, e)
	yes, no := true, false
	wantConversations(t, e, conversations.Query{Active: &yes}, 3, "c-2", "c-3", "c-1")
	wantConversations(t, e, conversations.Query{Active: &yes, Offset: 1, Limit: 1}, 3, "c-3")
	wantConversations(t, e, conversations.Query{Active: &no}, 2, "c-5", "c-4")
	wantConversations(t, e, conversations.Query{Medium: conversations.MediumCall}, 4, "c-5", "c-4", "c-3", "c-1")
	wantConversations(t, e, conversations.Query{Medium: conversations.MediumMessage}, 1, "c-1")
	wantConversations(t, e, conversations.Query{Medium: conversations.MediumEmail}, 0)
	wantConversations(t, e, conversations.Query{Active: &yes, Medium: conversations.MediumChat}, 1, "c-2")
	_, err := e.UpdateConversation(t.Context(), org, "c-2", func(c *conversations.Conversation) error {
		c.EndedAt = t0.Add(time.Hour)
		return nil
	})
	mustStore(t, err)
	wantConversations(t, e, conversations.Query{Active: &yes}, 2, "c-3", "c-1")
}

func testConversationsPurged(t *testing.T, e Engine) {
	for i := range 6 {
		c := conversation(conversations.ID(fmt.Sprintf("c-%d", i)))
		if i < 4 {
			c.EndedAt = t0.Add(time.Duration(i) * time.Minute)
		}
		mustStore(t, e.CreateConversation(t.Context(), c))
	}
	// One that ends by an update, later again, counts by its last end alone.
	for _, after := range []time.Duration{time.Minute, 9 * time.Minute} {
		_, err := e.UpdateConversation(t.Context(), org, "c-4", func(c *conversations.Conversation) error {
			c.EndedAt = t0.Add(after)
			return nil
		})
		mustStore(t, err)
	}
	for _, tt := range []struct {
		before time.Duration
		limit  int
		want   int
	}{{0, 10, 0}, {3 * time.Minute, 2, 2}, {3 * time.Minute, 10, 1}, {3 * time.Minute, 10, 0}} {
		got, err := e.PurgeConversations(t.Context(), t0.Add(tt.before), tt.limit)
		if err != nil || got != tt.want {
			t.Errorf("PurgeConversations(t0+%v, %d) = %d, %v, want %d", tt.before, tt.limit, got, err, tt.want)
		}
	}
	e = e.Reopen(t)
	wantConversations(t, e, conversations.Query{}, 3, "c-3", "c-4", "c-5")
	_, err := e.Conversation(t.Context(), org, "c-0")
	wantCode(t, "Conversation that was purged", err, cobridge.CodeConversationNotFound)
	mustStore(t, e.CreateConversation(t.Context(), conversation("c-0")))
}
