package genesys_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/conversations/genesys"
)

const official = `{"id":"` + string(talk) + `","externalTag":"ticket","startTime":"2026-03-04T05:00:00.089Z","endTime":"0001-01-01T00:00:00.000Z","address":"x","recordingState":"NONE",
"divisions":[{"division":{"id":"1","name":"Home"},"entities":[]}],
"participants":[
 {"id":"0A1B2C3D-0000-4000-8000-0000000000D1","purpose":"external","name":"Kim","participantType":"External","connectedTime":"2026-03-04T05:00:01.000Z","attributes":{"a":"1","n":7,"z":null},
  "calls":[{"id":"k1","state":"CONNECTED","direction":"inbound","held":false,"connectedTime":"2026-03-04T05:00:01Z","segments":[{"type":"Alert"}]}],
  "evaluations":[],"screenshares":[{"id":"s1","state":"connected"}]},
 {"id":"0a1b2c3d-0000-4000-8000-0000000000d2","purpose":"acd","startTime":"2026-03-04T05:00:01.000Z","endTime":"2026-03-04T05:00:09.000+0000",
  "calls":[{"id":"k2","state":"terminated","direction":"inbound","disconnectedTime":"2026-03-04T05:00:09.000Z"}]},
 {"id":"0a1b2c3d-0000-4000-8000-0000000000d3","purpose":"agent","user":{"id":"` + string(ann) + `"},"queueId":"0a1b2c3d-0000-4000-8000-0000000000e1","mediaRoles":["Full"],
  "calls":[{"id":"k3","state":"alerting","direction":"inbound"}],"messages":[{"id":"m1","direction":"inbound","disconnectedTime":"2026-03-04T05:00:08.000Z"}],
  "cobrowsesessions":[{"id":"b1","state":"connected"}]},
 {"id":"0a1b2c3d-0000-4000-8000-0000000000d4","purpose":"workflow"}]}`

func TestConversationTranslates(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.mux.HandleFunc("GET /api/v2/conversations/{id}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") != string(talk) || r.Header.Get("ININ-Correlation-Id") != "abc-1" || r.Header.Get("Accept") != "application/json" {
			t.Errorf("request is %s with %v", r.URL, r.Header)
		}
		text(official)(w, r)
	})
	d := c.directory(func(cfg *genesys.Config) { cfg.CorrelationID = func(context.Context) string { return "abc-1" } })
	got, err := d.Conversation(t.Context(), org, talk)
	if err != nil {
		t.Fatalf("Conversation: %v", err)
	}
	at := func(text string) time.Time {
		parsed, err := time.Parse(time.RFC3339Nano, "2026-03-04T05:00:"+text+"Z")
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	want := conversations.Conversation{
		ID: talk, OrgID: org, ExternalTag: "ticket", StartedAt: at("00.089"),
		Participants: []conversations.Participant{
			{
				ID: customer, Purpose: "external", Name: "Kim", Attributes: map[string]string{"a": "1"}, ConnectedAt: at("01"),
				Communications: []conversations.Communication{{ID: "k1", Medium: conversations.MediumCall, State: "connected", Direction: "inbound", ConnectedAt: at("01")}},
			},
			{
				ID: "0a1b2c3d-0000-4000-8000-0000000000d2", Purpose: "acd", ConnectedAt: at("01"), EndedAt: at("09"),
				Communications: []conversations.Communication{{ID: "k2", Medium: conversations.MediumCall, State: "terminated", Direction: "inbound", DisconnectedAt: at("09")}},
			},
			{
				ID: "0a1b2c3d-0000-4000-8000-0000000000d3", Purpose: "agent", UserID: ann, QueueID: "0a1b2c3d-0000-4000-8000-0000000000e1", MediaRoles: []string{"full"},
				Communications: []conversations.Communication{
					{ID: "k3", Medium: conversations.MediumCall, State: "alerting", Direction: "inbound"},
					{ID: "m1", Medium: conversations.MediumMessage, State: "disconnected", Direction: "inbound", DisconnectedAt: at("08")},
				},
			},
			{ID: "0a1b2c3d-0000-4000-8000-0000000000d4", Purpose: "workflow"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("conversation (-want +got):\n%s", diff)
	}
	if voice, digital := got.Kinds(); !got.Active() || !voice || digital {
		t.Errorf("active %t, voice %t, digital %t; want an active call", got.Active(), voice, digital)
	}
}

// Who answers well and means the end, and who only says that the end cannot be seen.
func TestConversationAnswers(t *testing.T) {
	t.Parallel()
	page := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "<html>private</html>")
		}
	}
	raw := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	const gone = "conversation.error.conversation.not.found"
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		reason  genesys.Reason // "" = a good answer
		none    bool           // that it is gone
		active  bool
	}{
		"active":                       {text(conversation(talk, "connected")), "", false, true},
		"offered":                      {text(conversation(talk, "alerting")), "", false, true},
		"over":                         {text(conversation(talk, "disconnected")), "", false, false},
		"ended":                        {text(strings.Replace(conversation(talk, "connected"), `"participants"`, `"endTime":"2026-03-04T05:01:00Z","participants"`, 1)), "", false, false},
		"gone":                         {refusing(404, gone, "Gone."), "", true, false},
		"gone, in other words":         {refusing(404, "general.resource.not.found", "Gone."), "", true, false},
		"no such address":              {refusing(404, "not.found", "Nothing here."), genesys.ReasonStatus, false, false},
		"404 of a gateway":             {raw(404, `{"message":"no Route matched with those values"}`), genesys.ReasonNotJSON, false, false},
		"404 that only sounds like it": {raw(404, `{"code":"`+gone+`"}`), genesys.ReasonNotJSON, false, false},
		"404 page":                     {page(404), genesys.ReasonNotJSON, false, false},
		"410 page":                     {page(410), genesys.ReasonNotJSON, false, false},
		"page":                         {page(200), genesys.ReasonNotJSON, false, false},
		"empty":                        {raw(200, ""), genesys.ReasonNotJSON, false, false},
		"half":                         {raw(200, conversation(talk, "connected")[:100]), genesys.ReasonNotJSON, false, false},
		"null":                         {raw(200, "null"), genesys.ReasonOtherID, false, false},
		"a list":                       {raw(200, "[]"), genesys.ReasonBadAnswer, false, false},
		"no participants":              {raw(200, `{"id":"`+string(talk)+`"}`), genesys.ReasonBadAnswer, false, false},
		"nobody":                       {raw(200, `{"id":"`+string(talk)+`","participants":[]}`), genesys.ReasonBadAnswer, false, false},
		"no medium":                    {raw(200, `{"id":"`+string(talk)+`","participants":[{"id":"p","purpose":"agent"}]}`), genesys.ReasonBadAnswer, false, false},
		"dates that are none":          {raw(200, strings.Replace(conversation(talk, "connected"), `"participants"`, `"endTime":"soon","participants"`, 1)), genesys.ReasonBadAnswer, false, false},
		"another conversation":         {text(conversation(talk2, "disconnected")), genesys.ReasonOtherID, false, false},
		"cut off": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			text(`{"id":`)(w, r)
		}, genesys.ReasonUnreachable, false, false},
		"too large":      {text(`{"id":"` + strings.Repeat("x", 20_000) + `"}`), genesys.ReasonTooLarge, false, false},
		"server error":   {page(502), genesys.ReasonServerError, false, false},
		"redirect":       {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/private", http.StatusFound) }, genesys.ReasonRedirect, false, false},
		"missing scope":  {refusing(403, "app.not.authorized.for.scope", "private [conversations:readonly, conversations]"), genesys.ReasonMissingScope, false, false},
		"missing role":   {refusing(403, "missing.permissions", "private [conversation:communication:view]"), genesys.ReasonMissingPermission, false, false},
		"403 page":       {page(403), genesys.ReasonNotJSON, false, false},
		"unknown status": {refusing(400, "bad.request", "private"), genesys.ReasonStatus, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			c.mux.HandleFunc("GET /api/v2/conversations/{id}", tt.handler)
			d := c.directory(func(cfg *genesys.Config) { cfg.MaxBody = 10_000 })
			got, err := d.Conversation(t.Context(), org, talk)
			switch {
			case tt.reason != "":
				wantFailure(t, err, tt.reason)
				if e, _ := errors.AsType[*cobridge.Error](err); e == nil || e.RetryAfter <= 0 || e.Message != tt.reason.Advice() {
					t.Errorf("failure %+v lacks Retry-After or advice", e)
				}
			case tt.none:
				if cobridge.CodeOf(err) != cobridge.CodeConversationNotFound {
					t.Errorf("Conversation = %v, want %s", err, cobridge.CodeConversationNotFound)
				}
			case err != nil || got.Active() != tt.active:
				t.Errorf("Conversation = active %t, %v; want %t", got.Active(), err, tt.active)
			}
		})
	}
}

// What is missing says so, and is what the envelope names.
func TestMissingScopeIsNamed(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.mux.HandleFunc("GET /api/v2/conversations/{id}", refusing(403, "app.not.authorized.for.scope", "private [conversations:readonly, conversations]"))
	_, err := c.directory().Conversation(t.Context(), org, talk)
	if e, _ := errors.AsType[*genesys.Error](err); e == nil || e.Text != "[conversations:readonly, conversations]" || e.Status != 403 {
		t.Errorf("failure %#v, want the scopes in it", e)
	}
}

// Nobody is asked about what cannot be there.
func TestForeignAndMalformedIDs(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	d := c.directory()
	for _, id := range []string{"", "x", "../users/me", string(talk) + "/x", strings.ToUpper(string(talk))} {
		if _, err := d.Conversation(t.Context(), org, conversations.ID(id)); cobridge.CodeOf(err) != cobridge.CodeConversationNotFound {
			t.Errorf("Conversation %q = %v", id, err)
		}
		if _, err := d.User(t.Context(), org, conversations.UserID(id)); cobridge.CodeOf(err) != cobridge.CodeUserNotFound {
			t.Errorf("User %q = %v", id, err)
		}
		if err := d.SetAttributes(t.Context(), org, talk, conversations.ParticipantID(id), map[string]string{}); cobridge.CodeOf(err) != cobridge.CodeParticipantNotFound {
			t.Errorf("SetAttributes of %q = %v", id, err)
		}
	}
	_, err1 := d.Conversation(t.Context(), other, talk)
	_, err2 := d.User(t.Context(), other, ann)
	err3 := d.SetAttributes(t.Context(), other, talk, customer, map[string]string{})
	err4 := d.Disconnect(t.Context(), other, talk)
	_, n, err5 := d.Conversations(t.Context(), other, conversations.Query{Limit: 5})
	_, m, err6 := d.Users(t.Context(), other, conversations.UserQuery{Limit: 5})
	if cobridge.CodeOf(err1) != cobridge.CodeConversationNotFound || cobridge.CodeOf(err2) != cobridge.CodeUserNotFound || cobridge.CodeOf(err3) != cobridge.CodeConversationNotFound ||
		cobridge.CodeOf(err4) != cobridge.CodeConversationNotFound || err5 != nil || err6 != nil || n != 0 || m != 0 {
		t.Errorf("another organisation: %v, %v, %v, %v, %v, %v", err1, err2, err3, err4, err5, err6)
	}
	if got := c.tokens.Load() + c.calls.Load(); got != 0 {
		t.Errorf("%d requests, want none", got)
	}
}

func TestUserCapability(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		permissions []string
		want        conversations.Capability
	}{
		"none":         {nil, conversations.Capability{}},
		"digital":      {[]string{"routing:queue:view", "conversation:cobrowse:add"}, conversations.Capability{Digital: true}},
		"voice":        {[]string{"conversation:cobrowseVoice:add"}, conversations.Capability{Voice: true}},
		"all actions":  {[]string{"conversation:cobrowse:*"}, conversations.Capability{Digital: true}},
		"all entities": {[]string{"conversation:*"}, conversations.Capability{Voice: true, Digital: true}},
		"everything":   {[]string{"*"}, conversations.Capability{Voice: true, Digital: true}},
		"stars":        {[]string{"conversation:*:add"}, conversations.Capability{Voice: true, Digital: true}},
		"others":       {[]string{"conversation:cobrowse:view", "conversation:cobrowse", "cobrowse:add", "conversation:cobrowse:add:own", "", ":"}, conversations.Capability{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			c.mux.HandleFunc("GET /api/v2/users/{id}", func(w http.ResponseWriter, r *http.Request) {
				if r.URL.RawQuery != "expand=authorization" {
					t.Errorf("query is %q", r.URL.RawQuery)
				}
				text(user(ann, tt.permissions...))(w, r)
			})
			got, err := c.directory().User(t.Context(), org, ann)
			want := conversations.User{ID: ann, OrgID: org, Name: "Ann", Email: "ann@example.org", State: conversations.UserActive, Cobrowse: tt.want, Version: 7}
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("User: %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestUserAnswers(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.mux.HandleFunc("GET /api/v2/users/{id}", func(w http.ResponseWriter, r *http.Request) {
		switch id := conversations.UserID(r.PathValue("id")); {
		case id == nthUser(1) && r.URL.Query().Get("state") == "deleted":
			text(`{"id":"`+string(id)+`","name":"Gone","state":"deleted","version":9}`)(w, r)
		case id == nthUser(3):
			text(`{"id":"`+string(id)+`","name":"Ann","version":1}`)(w, r)
		case id == nthUser(4):
			text(user(ann))(w, r)
		default:
			refuse(w, 404, "general.resource.not.found", "No user.")
		}
	})
	d := c.directory()
	if u, err := d.User(t.Context(), org, nthUser(1)); err != nil || u.State != conversations.UserDeleted || u.Cobrowse.Digital {
		t.Errorf("a deleted user = %+v, %v", u, err)
	}
	if _, err := d.User(t.Context(), org, nthUser(2)); cobridge.CodeOf(err) != cobridge.CodeUserNotFound {
		t.Errorf("an unknown user = %v", err)
	}
	_, err := d.User(t.Context(), org, nthUser(3))
	wantFailure(t, err, genesys.ReasonMissingPermission)
	_, err = d.User(t.Context(), org, nthUser(4))
	wantFailure(t, err, genesys.ReasonOtherID)
}

// Answers are believed for seconds; many who ask at once share one call.
func TestCache(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	state := "connected"
	c.mux.HandleFunc("GET /api/v2/conversations/{id}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") == string(talk2) {
			refuse(w, 404, "conversation.error.conversation.not.found", "")
			return
		}
		text(conversation(talk, state))(w, r)
	})
	d := c.directory()
	get := func(id conversations.ID, calls int32, active bool) {
		t.Helper()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				got, err := d.Conversation(t.Context(), org, id)
				if got.Active() != active || (cobridge.CodeOf(err) == cobridge.CodeConversationNotFound) != (id == talk2) {
					t.Errorf("Conversation = active %t, %v", got.Active(), err)
				}
				for i := range got.Participants { // it is the caller's own
					got.Participants[i].Name = "changed"
				}
			})
		}
		wg.Wait()
		if got := c.calls.Load(); got != calls {
			t.Errorf("%d calls, want %d", got, calls)
		}
	}
	get(talk, 1, true)
	state = "disconnected"
	c.clock.Advance(4999 * time.Millisecond)
	get(talk, 1, true)
	c.clock.Advance(time.Millisecond)
	get(talk, 2, false)
	get(talk2, 3, false)
	c.clock.Advance(1999 * time.Millisecond)
	get(talk2, 3, false)
	c.clock.Advance(time.Millisecond)
	get(talk2, 4, false)
}

// Failures are not remembered.
func TestFailureIsNotCached(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	fail := true
	c.mux.HandleFunc("GET /api/v2/conversations/{id}", func(w http.ResponseWriter, r *http.Request) {
		if fail {
			refuse(w, 500, "internal.server.error", "")
			return
		}
		text(conversation(talk, "connected"))(w, r)
	})
	d := c.directory()
	_, err := d.Conversation(t.Context(), org, talk)
	wantFailure(t, err, genesys.ReasonServerError)
	if got := c.calls.Load(); got != 3 {
		t.Errorf("%d calls, want 3 tries", got)
	}
	fail = false
	if _, err := d.Conversation(t.Context(), org, talk); err != nil {
		t.Errorf("Conversation: %v", err)
	}
}

func TestSetAttributes(t *testing.T) {
	t.Parallel()
	data := map[string]string{"CoBrowseSessionId": "s1"}
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		want    cobridge.Code
	}{
		"taken":                  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }, ""},
		"no participant":         {refusing(404, "conversation.error.participant.not.found", ""), cobridge.CodeParticipantNotFound},
		"not in it":              {refusing(404, "conversation.error.not.conversation.participant", ""), cobridge.CodeParticipantNotFound},
		"no conversation":        {refusing(404, "conversation.error.conversation.not.found", ""), cobridge.CodeConversationNotFound},
		"refused":                {refusing(400, "bad.request", ""), cobridge.CodeConstraintValidation},
		"away":                   {refusing(503, "service.unavailable", ""), cobridge.CodeUnavailable},
		"missing scope":          {refusing(403, "app.not.authorized.for.scope", ""), cobridge.CodeUnavailable},
		"a page with status 400": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "private", http.StatusBadRequest) }, cobridge.CodeUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			c.mux.HandleFunc("GET /api/v2/conversations/{id}", text(conversation(talk, "connected")))
			c.mux.HandleFunc("PATCH /api/v2/conversations/{id}/participants/{participant}/attributes", func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				var in struct {
					Attributes map[string]string `json:"attributes"`
				}
				if err := json.Unmarshal(body, &in); err != nil || !cmp.Equal(in.Attributes, data) || r.PathValue("participant") != string(customer) || r.Header.Get("Content-Type") != "application/json" {
					t.Errorf("%s with body %s", r.URL, body)
				}
				tt.handler(w, r)
			})
			d := c.directory()
			if _, err := d.Conversation(t.Context(), org, talk); err != nil {
				t.Fatalf("Conversation: %v", err)
			}
			if got := cobridge.CodeOf(d.SetAttributes(t.Context(), org, talk, customer, data)); got != tt.want {
				t.Errorf("SetAttributes = %s, want %s", got, tt.want)
			}
			before := c.calls.Load()
			if _, err := d.Conversation(t.Context(), org, talk); err != nil || c.calls.Load() != before+1 {
				t.Errorf("Conversation after the change: %v and %d calls, want a new look", err, c.calls.Load()-before)
			}
		})
	}
	if got := cobridge.CodeOf(newCloud(t).directory().SetAttributes(t.Context(), org, talk, customer, nil)); got != cobridge.CodeAttributeNull {
		t.Errorf("a nil map = %s", got)
	}
}

func TestDisconnect(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		state   string // of the conversation afterwards
		want    cobridge.Code
	}{
		"done": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusAccepted)
			answer(w, "disconnected")
		}, "connected", ""},
		"ended before":    {refusing(409, "conversation.error.ended", ""), "disconnected", ""},
		"refused":         {refusing(409, "conversation.error.ended", ""), "connected", cobridge.CodeUnavailable},
		"no conversation": {refusing(404, "conversation.error.conversation.not.found", ""), "", cobridge.CodeConversationNotFound},
		"away":            {refusing(500, "internal.server.error", ""), "connected", cobridge.CodeUnavailable},
		"not allowed":     {refusing(403, "missing.permissions", ""), "connected", cobridge.CodeUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			c.mux.HandleFunc("POST /api/v2/conversations/{id}/disconnect", tt.handler)
			c.mux.HandleFunc("GET /api/v2/conversations/{id}", func(w http.ResponseWriter, r *http.Request) {
				if tt.state == "" {
					refuse(w, 404, "conversation.error.conversation.not.found", "")
					return
				}
				text(conversation(talk, tt.state))(w, r)
			})
			d := c.directory()
			var told []conversations.ID
			d.OnEnd(func(_ context.Context, in conversations.OrgID, id conversations.ID) {
				if in == org {
					told = append(told, id)
				}
			})
			err := d.Disconnect(t.Context(), org, talk)
			if got := cobridge.CodeOf(err); got != tt.want {
				t.Errorf("Disconnect = %v, want %q", err, tt.want)
			}
			if want := tt.want == ""; slices.Contains(told, talk) != want {
				t.Errorf("told of %v, want %t", told, want)
			}
		})
	}
}

func TestConversations(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.mux.HandleFunc("GET /api/v2/conversations", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("state") != "active" || q.Get("communicationType") != "message" || q.Get("pageSize") != "3" || q.Get("pageNumber") != "2" {
			t.Errorf("query is %s", r.URL.RawQuery)
		}
		// One twice, one that is over, one that is none, and more than were asked for.
		text(`{"entities":[`+conversation(talk, "connected")+`,`+conversation(talk, "connected")+`,{"id":7},`+conversation(talk2, "connected")+`],"total":9,"nextUri":"/api/v2/conversations?cursor=same"}`)(w, r)
	})
	yes := true
	list, total, err := c.directory().Conversations(t.Context(), org, conversations.Query{Active: &yes, Medium: conversations.MediumMessage, Offset: 3, Limit: 3})
	if err != nil || len(list) != 1 || list[0].ID != talk || total != 7 {
		t.Errorf("Conversations = %d, total %d, %v; want one of 7", len(list), total, err)
	}
}

// Genesys Cloud lists conversations of a user, and an application is none.
func TestConversationsForUsersOnly(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.mux.HandleFunc("GET /api/v2/conversations", refusing(400, "not.a.user", ""))
	if _, _, err := c.directory().Conversations(t.Context(), org, conversations.Query{Limit: 5}); cobridge.CodeOf(err) != cobridge.CodeNotAUser {
		t.Errorf("Conversations = %v, want %s", err, cobridge.CodeNotAUser)
	}
}

// pages serves users 0 to 9 by name, in pages.
func pages(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	size, _ := strconv.Atoi(q.Get("pageSize"))
	number, _ := strconv.Atoi(q.Get("pageNumber"))
	var entities []any
	for i := (number - 1) * size; i < min(number*size, 10); i++ {
		entities = append(entities, map[string]any{"id": nthUser(i), "name": "User " + strconv.Itoa(i), "state": "active"})
	}
	if entities == nil {
		entities = []any{}
	}
	answer(w, map[string]any{"entities": entities, "total": 10, "pageSize": size, "pageNumber": number})
}

func TestUsersPages(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.mux.HandleFunc("GET /api/v2/users", pages)
	d := c.directory()
	for _, tt := range []struct{ offset, limit, first, n int }{{0, 4, 0, 4}, {4, 4, 4, 4}, {8, 4, 8, 2}, {3, 4, 3, 4}, {9, 5, 9, 1}, {12, 4, 0, 0}, {0, 500, 0, 10}} {
		got, total, err := d.Users(t.Context(), org, conversations.UserQuery{Offset: tt.offset, Limit: tt.limit})
		if err != nil || total != 10 || len(got) != tt.n || tt.n > 0 && got[0].ID != nthUser(tt.first) {
			t.Errorf("Users %d+%d = %d users, total %d, %v; want %d from %d", tt.offset, tt.limit, len(got), total, err, tt.n, tt.first)
		}
	}
}

func TestUsersQuery(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.mux.HandleFunc("GET /api/v2/users", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if !slices.Equal(q["id"], []string{string(nthUser(1)), string(nthUser(2))}) || q.Get("state") != "inactive" {
			t.Errorf("query is %s", r.URL.RawQuery)
		}
		answer(w, map[string]any{"entities": []any{
			map[string]any{"id": nthUser(2), "name": "B", "state": "inactive"},
			map[string]any{"id": nthUser(1), "name": "A", "state": "inactive"},
			map[string]any{"id": nthUser(3), "name": "C", "state": "inactive"},
			map[string]any{"id": nthUser(1), "name": "D", "state": "active"},
		}})
	})
	d := c.directory()
	got, total, err := d.Users(t.Context(), org, conversations.UserQuery{IDs: []conversations.UserID{nthUser(1), "no id", nthUser(2)}, States: []conversations.UserState{conversations.UserInactive}, Limit: 25})
	if err != nil || total != 2 || len(got) != 2 || got[0].Name != "A" || got[1].Name != "B" {
		t.Errorf("Users = %+v, total %d, %v", got, total, err)
	}
	if got, total, err := d.Users(t.Context(), org, conversations.UserQuery{IDs: []conversations.UserID{"no id"}, Limit: 25}); err != nil || total != 0 || len(got) != 0 {
		t.Errorf("Users of ids that are none = %+v, %d, %v", got, total, err)
	}
}

// A page that the service repeats for ever is read once per call.
func TestRepeatedPages(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.mux.HandleFunc("GET /api/v2/users", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"entities": []any{map[string]any{"id": nthUser(1), "name": "A"}, map[string]any{"id": nthUser(2), "name": "B"}}, "total": 1 << 40, "nextUri": "/api/v2/users?cursor=same", "cursor": "same"})
	})
	got, _, err := c.directory().Users(t.Context(), org, conversations.UserQuery{Offset: 1, Limit: 2})
	if err != nil || len(got) != 2 || c.calls.Load() != 2 {
		t.Errorf("Users = %d, %v after %d calls, want 2 after 2", len(got), err, c.calls.Load())
	}
}

func TestListsThatAreNone(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"no entities": `{}`, "null": `{"entities":null}`, "an object": `{"entities":{}}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			c.mux.HandleFunc("GET /api/v2/users", text(body))
			_, _, err := c.directory().Users(t.Context(), org, conversations.UserQuery{Limit: 5})
			wantFailure(t, err, genesys.ReasonBadAnswer)
		})
	}
}

// What is repeated is whole: after a failure of the service, and after a token that it
// does not take any more.
func TestRepeatsHaveTheirBody(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	var bodies []string
	c.mux.HandleFunc("PATCH /api/v2/conversations/{id}/participants/{participant}/attributes", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(body))
		if len(bodies)%2 == 1 {
			refuse(w, http.StatusServiceUnavailable, "service.unavailable", "")
			return
		}
		w.WriteHeader(http.StatusAccepted)
	})
	d := c.directory()
	for range 2 {
		if err := d.SetAttributes(t.Context(), org, talk, customer, map[string]string{"a": "1"}); err != nil {
			t.Errorf("SetAttributes: %v", err)
		}
		c.revoke()
	}
	if want := slices.Repeat([]string{`{"attributes":{"a":"1"}}`}, 4); !slices.Equal(bodies, want) || c.tokens.Load() != 2 {
		t.Errorf("bodies are %q with %d tokens, want %q with 2", bodies, c.tokens.Load(), want)
	}
}

// Whatever comes is a conversation with the id that was asked for, or a failure with a
// reason.
func FuzzConversation(f *testing.F) {
	f.Add(200, official)
	f.Add(200, conversation(talk, "connected"))
	f.Add(404, `{"code":"conversation.error.conversation.not.found","status":404,"contextId":"x"}`)
	f.Add(403, `{"code":"missing.permissions","message":"[conversation:communication:view]","status":403}`)
	f.Add(200, `{"id":"`+string(talk)+`","endTime":"0001-01-01T00:00:00Z","participants":[{"calls":[{"state":"none"}],"attributes":{"a":[]}}]}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 || status == http.StatusUnauthorized {
			t.Skip()
		}
		d := bubble(t, genesys.Config{Retries: -1}, func(*http.Request) (*http.Response, error) { return response(status, body), nil })
		got, err := d.Conversation(t.Context(), org, talk)
		switch code := cobridge.CodeOf(err); {
		case err == nil && (got.ID != talk || got.OrgID != org || len(got.Participants) == 0):
			t.Errorf("a conversation without id, organisation or participants: %+v", got)
		case code == cobridge.CodeUnavailable && genesys.ReasonOf(err) == "", err != nil && code != cobridge.CodeUnavailable && code != cobridge.CodeConversationNotFound:
			t.Errorf("failure = %v", err)
		}
	})
}
