package api_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/api"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/oauth"
)

const (
	talksURL    = "/api/v2/conversations"
	cobrowseURL = "/api/v2/conversations/cobrowsesessions"
)

// offerAnswer is the part of an offer that tests look at.
type offerAnswer struct {
	ID               string `json:"id"`
	JoinCode         string `json:"joinCode"`
	WebsocketURL     string `json:"websocketUrl"`
	DateOfferEnds    string `json:"dateOfferEnds"`
	SessionJoinToken string `json:"sessionJoinToken"`
	SelfURI          string `json:"selfUri"`
}

// cobrowseAnswer is the part of a CobrowseConversation that tests look at.
type cobrowseAnswer struct {
	ID           string               `json:"id"`
	Participants []cobrowsePartAnswer `json:"participants"`
}

type cobrowsePartAnswer struct {
	ID              string              `json:"id"`
	Purpose         string              `json:"purpose"`
	State           string              `json:"state"`
	DisconnectType  string              `json:"disconnectType"`
	User            struct{ ID string } `json:"user"`
	CommunicationID string              `json:"communicationId"`
	CobrowseRole    string              `json:"cobrowseRole"`
	Controlling     []string            `json:"controlling"`
	ViewerURL       string              `json:"viewerUrl"`
}

func (c cobrowseAnswer) as(t testing.TB, role string) cobrowsePartAnswer {
	t.Helper()
	i := slices.IndexFunc(c.Participants, func(p cobrowsePartAnswer) bool { return p.CobrowseRole == role })
	if i < 0 {
		t.Fatalf("nobody is %s among %+v", role, c.Participants)
	}
	return c.Participants[i]
}

func (h *house) offer(t testing.TB, conversation conversations.ID, query string) offerAnswer {
	t.Helper()
	var o offerAnswer
	h.want(t, http.StatusOK, http.MethodPost, talksURL+"/"+string(conversation)+"/cobrowse"+query, "").into(t, &o)
	return o
}

func (h *house) cobrowse(t testing.TB, conversation conversations.ID) cobrowseAnswer {
	t.Helper()
	var c cobrowseAnswer
	h.want(t, http.StatusOK, http.MethodGet, cobrowseURL+"/"+string(conversation), "").into(t, &c)
	return c
}

// readonly is the header with a token that may read conversations alone.
func (h *house) readonly(t testing.TB) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {clientID}, "client_secret": {clientSecret}, "scope": {string(oauth.ScopeConversationsRead)}}
	var body struct {
		AccessToken string `json:"access_token"`
	}
	h.want(t, http.StatusOK, http.MethodPost, "/oauth/token", form.Encode(), formType, "Authorization:").into(t, &body)
	return "Authorization: Bearer " + body.AccessToken
}

func TestOfficialCobrowse(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	// Whose pages are shared decides whether anybody may steer them.
	h.want(t, http.StatusCreated, http.MethodPost, deploymentsURL, `{"name":"Shop","allowedOrigins":["`+shop+`"],"allowAgentControl":true,"defaultFor":["customer"]}`)
	offered := h.want(t, http.StatusOK, http.MethodPost, talksURL+"/"+string(talk)+"/cobrowse", "")
	golden(t, "cobrowse-offer", offered)
	var o offerAnswer
	offered.into(t, &o)
	if want := "wss://cobridge.example/gateway" + sessionsURL + "/" + o.ID + "/stream"; o.WebsocketURL != want {
		t.Errorf("websocketUrl = %q, want %q", o.WebsocketURL, want)
	}
	var s sessionAnswer
	read := h.want(t, http.StatusOK, http.MethodGet, sessionsURL+"/"+o.ID, "")
	read.into(t, &s)
	if s.ConversationID != string(talk) || s.InactivityTimeout != o.DateOfferEnds || !strings.Contains(read.body, `"sessionToken":"`+o.JoinCode+`"`) {
		t.Errorf("the other surface reads %s, want the same session as %+v", read.body, o)
	}
	one := h.want(t, http.StatusOK, http.MethodGet, o.SelfURI, "")
	golden(t, "cobrowse-conversation", one)
	if got := one.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control = %q for an answer with a way in", got)
	}
	var c cobrowseAnswer
	one.into(t, &c)
	viewer, sharer := c.as(t, "viewer"), c.as(t, "sharer")
	raw, ok := strings.CutPrefix(viewer.ViewerURL, baseURL+"/cobrowse/join?token=")
	if !ok || sharer.ViewerURL != "" {
		t.Fatalf("viewerUrl is %q, the sharer's is %q; want a join URL for the viewer alone", viewer.ViewerURL, sharer.ViewerURL)
	}
	golden(t, "cobrowse-list", h.want(t, http.StatusOK, http.MethodGet, cobrowseURL, ""))
	golden(t, "conversation-cobrowse", h.want(t, http.StatusOK, http.MethodGet, talksURL+"/"+string(talk), ""))
	reader := h.want(t, http.StatusOK, http.MethodGet, o.SelfURI, "", h.readonly(t))
	for _, a := range []answer{reader, h.want(t, http.StatusOK, http.MethodGet, cobrowseURL, ""), h.want(t, http.StatusOK, http.MethodGet, talksURL, "")} {
		if strings.Contains(a.body, "viewerUrl") || !strings.Contains(a.body, o.ID) {
			t.Errorf("%s, want the session and no way into it", a.body)
		}
	}
	// The ids are those of the conversation's participants.
	var conversation struct {
		Participants []struct {
			ID               string
			CobrowseSessions []struct{ ID, State string }
		}
	}
	h.want(t, http.StatusOK, http.MethodGet, talksURL+"/"+string(talk), "").into(t, &conversation)
	for i, p := range []cobrowsePartAnswer{sharer, viewer} {
		in := conversation.Participants[i]
		if in.ID != p.ID || len(in.CobrowseSessions) != 1 || in.CobrowseSessions[0].ID != p.CommunicationID || in.CobrowseSessions[0].State != p.State {
			t.Errorf("the conversation has %+v, want participant %s with communication %s, %s", in, p.ID, p.CommunicationID, p.State)
		}
	}
	// Everybody comes, and the viewer steers.
	h.want(t, http.StatusOK, http.MethodPost, "/api/v2/cobrowse/join", `{"token":"`+raw+`","tab":"v"}`, "Authorization:")
	if got := h.cobrowse(t, talk).as(t, "viewer"); got.State != "connected" || got.ID != viewer.ID || got.CommunicationID != viewer.CommunicationID {
		t.Errorf("after joining the viewer is %+v", got)
	}
	h.share(t, cobrowse.SessionID(o.ID))
	c = h.cobrowse(t, talk)
	if got := c.as(t, "viewer").Controlling; !slices.Equal(got, []string{sharer.ID}) || len(c.as(t, "sharer").Controlling) != 0 || c.as(t, "sharer").State != "connected" {
		t.Errorf("participants are %+v, want the viewer to control %s", c.Participants, sharer.ID)
	}
	h.want(t, http.StatusOK, http.MethodPatch, o.SelfURI, `{"state":"connected"}`)
	if got := h.cobrowse(t, talk).as(t, "sharer").State; got != "connected" {
		t.Errorf("connected made the sharer %s", got)
	}
	golden(t, "conversation-cobrowse-ended", h.want(t, http.StatusOK, http.MethodPatch, o.SelfURI, `{"state":"disconnected"}`))
	h.want(t, http.StatusOK, http.MethodPatch, o.SelfURI, `{"state":"disconnected"}`)
	golden(t, "cobrowse-conversation-ended", h.want(t, http.StatusOK, http.MethodGet, o.SelfURI, ""))
	if got := h.want(t, http.StatusOK, http.MethodGet, cobrowseURL, "").body; !strings.Contains(got, `"total":0`) {
		t.Errorf("the list of live ones is %s", got)
	}
	if second := h.offer(t, talk, ""); second.ID == o.ID || second.JoinCode == o.JoinCode {
		t.Errorf("the second offer is the first: %+v", second)
	}
}

// share has the sharer come and give control to the agent.
func (h *house) share(t testing.TB, id cobrowse.SessionID) {
	t.Helper()
	s, err := h.sessions.Look(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var numbers []uint64
	for _, p := range []cobrowse.ParticipantID{s.Sharer(), cobrowse.ParticipantID(ann)} {
		token, err := h.sessions.IssueToken(t.Context(), org, id, p)
		if err != nil {
			t.Fatal(err)
		}
		joined, err := h.sessions.Connect(t.Context(), cobrowse.ConnectRequest{SessionID: id, Token: token.Raw, Tab: "tab"})
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, joined.Participant.Connection.Number)
	}
	if err := h.sessions.Grant(t.Context(), id, s.Sharer(), numbers[0], cobrowse.GrantRequest{Kind: cobrowse.GrantControl, To: cobrowse.ParticipantID(ann)}); err != nil {
		t.Fatalf("Grant: %v", err)
	}
}

// One place per conversation, whichever words are used.
func TestOfficialConflict(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.offer(t, talk, "")
	a := h.refused(t, http.StatusConflict, cobridge.CodeConflict, http.MethodPost, sessionsURL, createBody(talk))
	if !strings.Contains(a.body, `"sessionId":"`+o.ID+`"`) {
		t.Errorf("the 409 is %s, want it to name %s", a.body, o.ID)
	}
	s := h.create(t, talk2)
	a = h.refused(t, http.StatusConflict, cobridge.CodeConflict, http.MethodPost, talksURL+"/"+string(talk2)+"/cobrowse", "")
	if got := a.header.Get("Location"); got != sessionsURL+"/"+s.ID || !strings.Contains(a.body, `"sessionId":"`+s.ID+`"`) || a.envelope(t).Details[0].ErrorCode != cobrowse.DetailSessionActive {
		t.Errorf("the 409 is %s, want it to name %s", a.body, s.ID)
	}
	// The tutorial's session in the official words: the agent shares, somebody looks who is not in the conversation.
	c := h.cobrowse(t, talk2)
	if sharer, viewer := c.as(t, "sharer"), c.as(t, "viewer"); sharer.Purpose != "agent" || sharer.User.ID != string(ann) || viewer.Purpose != "user" || viewer.ID != string(ben) || viewer.ViewerURL == "" {
		t.Errorf("participants are %+v", c.Participants)
	}
	// Who supervises is taken out, and that ends nothing.
	path := cobrowseURL + "/" + string(talk2) + "/participants/" + string(ben)
	h.want(t, http.StatusAccepted, http.MethodPatch, path, `{"state":"disconnected"}`)
	if got := h.cobrowse(t, talk2); len(got.Participants) != 1 || got.Participants[0].State != "offering" {
		t.Errorf("participants are %+v, want the sharer alone", got.Participants)
	}
	h.refused(t, http.StatusNotFound, cobridge.CodeParticipantNotFound, http.MethodPatch, path, `{"state":"disconnected"}`)
}

func TestOfferRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	site := h.deployment(t, `"`+shop+`"`)
	other := "Authorization: Bearer " + h.grant(t, "other-client")
	path := talksURL + "/" + string(talk) + "/cobrowse"
	h.refused(t, http.StatusUnauthorized, cobridge.CodeAuthRequired, http.MethodPost, path, "", "Authorization:")
	h.refused(t, http.StatusForbidden, cobridge.CodeMissingScope, http.MethodPost, path, "", h.readonly(t))
	h.refused(t, http.StatusNotFound, cobridge.CodeConversationNotFound, http.MethodPost, path, "", other)
	h.refused(t, http.StatusNotFound, cobridge.CodeConversationNotFound, http.MethodPost, talksURL+"/nothing/cobrowse", "")
	a := h.refused(t, http.StatusBadRequest, cobridge.CodeInvalidQueryParam, http.MethodPost, path+"?deploymentId=nothing", "")
	if got := a.envelope(t).Details; len(got) != 1 || got[0].FieldName != "deploymentId" {
		t.Errorf("details are %+v", got)
	}
	for user, want := range map[conversations.UserID]cobridge.Code{"": cobridge.CodeNotAUser, dan: cobridge.CodeMissingPermissions} {
		in := conversations.NewConversation{Medium: conversations.MediumMessage, Participants: []conversations.NewParticipant{{Purpose: conversations.PurposeCustomer}}}
		if user != "" {
			in.Participants = append(in.Participants, conversations.NewParticipant{Purpose: conversations.PurposeAgent, UserID: user})
		}
		c, err := h.directory.Create(t.Context(), org, in)
		if err != nil {
			t.Fatal(err)
		}
		status := http.StatusBadRequest
		if user != "" {
			status = http.StatusForbidden
		}
		h.refused(t, status, want, http.MethodPost, talksURL+"/"+string(c.ID)+"/cobrowse", "")
	}
	var s sessionAnswer
	o := h.offer(t, talk, "?deploymentId="+site+"&unknown=1")
	h.want(t, http.StatusOK, http.MethodGet, sessionsURL+"/"+o.ID, "").into(t, &s)
	if s.DeploymentID != site {
		t.Errorf("the session's deployment is %q, want %q", s.DeploymentID, site)
	}
	if err := h.directory.Disconnect(t.Context(), org, talk); err != nil {
		t.Fatal(err)
	}
	if got := h.cobrowse(t, talk).as(t, "viewer"); got.State != "disconnected" || got.DisconnectType != "system" || got.ViewerURL != "" {
		t.Errorf("when the conversation is over, the viewer is %+v", got)
	}
	h.refused(t, http.StatusNotFound, cobridge.CodeConversationNotFound, http.MethodPost, path, "")
}

func TestOfficialParticipants(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.offer(t, talk, "")
	self := cobrowseURL + "/" + string(talk)
	viewer := h.cobrowse(t, talk).as(t, "viewer")
	path := self + "/participants/" + viewer.ID
	for name, tt := range map[string]struct {
		method, path, body string
		field              string
	}{
		"another state":       {http.MethodPatch, self, `{"state":"active"}`, "state"},
		"no state":            {http.MethodPatch, self, `{}`, "state"},
		"a participant's":     {http.MethodPatch, path, `{"state":"alerting"}`, "state"},
		"wrap-up":             {http.MethodPatch, path, `{"wrapup":{"code":"x"}}`, "wrapup"},
		"hold":                {http.MethodPatch, path, `{"held":true}`, "held"},
		"recording of one":    {http.MethodPatch, path, `{"recording":true}`, "recording"},
		"recording":           {http.MethodPut, self + "/recordingstate", `{"recordingState":"ACTIVE"}`, "recordingState"},
		"recording, in short": {http.MethodPut, self + "/recordingstate", `{"state":"ACTIVE"}`, "state"},
		"no recording state":  {http.MethodPut, self + "/recordingstate", `{}`, "recordingState"},
		"a transfer's type":   {http.MethodPost, path + "/replace", `{"transferType":"Blind","userId":"x"}`, "transferType"},
		"transfer to nobody":  {http.MethodPost, path + "/replace", `{}`, "userId"},
		"transfer to a name":  {http.MethodPost, path + "/replace", `{"userName":"Ben"}`, "userId"},
		"attributes of texts": {http.MethodPatch, path + "/attributes", `{"attributes":{"a":1}}`, "attributes.a"},
	} {
		a := h.refused(t, http.StatusBadRequest, cobridge.CodeConstraintValidation, tt.method, tt.path, tt.body)
		if got := a.envelope(t).Details; len(got) != 1 || got[0].FieldName != tt.field {
			t.Errorf("%s: details are %+v, want %s", name, got, tt.field)
		}
	}
	h.refused(t, http.StatusBadRequest, cobridge.CodeAttributeNull, http.MethodPatch, path+"/attributes", `{"attributes":null}`)
	h.refused(t, http.StatusBadRequest, cobridge.CodeQueueNotFound, http.MethodPost, path+"/replace", `{"queueId":"q"}`)
	communication := path + "/communications/" + viewer.CommunicationID
	for _, body := range []string{`{}`, `{"state":"connected"}`, `{"held":true}`} {
		h.refused(t, http.StatusBadRequest, cobridge.CodeStateRequired, http.MethodPatch, communication, body)
	}
	h.refused(t, http.StatusNotFound, cobridge.CodeNotFound, http.MethodPatch, path+"/communications/nothing", `{"state":"disconnected"}`)

	h.want(t, http.StatusAccepted, http.MethodPatch, path, `{"state":"connected","held":false,"wrapupSkipped":true}`)
	h.want(t, http.StatusAccepted, http.MethodPatch, path+"/attributes", `{"attributes":{"a":"1"}}`)
	if got := h.want(t, http.StatusAccepted, http.MethodPatch, path+"/attributes", `{"attributes":{"b":"2"}}`).body; got != `{"attributes":{"a":"1","b":"2"}}` {
		t.Errorf("attributes are %s", got)
	}
	for _, body := range []string{`{"recordingState":"NONE"}`, `{"state":"NONE"}`} {
		if got := h.want(t, http.StatusOK, http.MethodPut, self+"/recordingstate", body).body; got != `"NONE"` {
			t.Errorf("after %s recording is %s", body, got)
		}
	}
	h.want(t, http.StatusOK, http.MethodGet, path+"/wrapup?provisional=true", "")
	h.want(t, http.StatusOK, http.MethodGet, path+"/wrapupcodes", "")

	// Ben looks in Ann's place; he is named by the session, for he is not in the conversation.
	h.refused(t, http.StatusNotFound, cobridge.CodeUserNotFound, http.MethodPost, path+"/replace", `{"userId":"nobody"}`)
	h.refused(t, http.StatusForbidden, cobridge.CodeMissingPermissions, http.MethodPost, path+"/replace", `{"userId":"`+string(dan)+`"}`)
	sharer := self + "/participants/" + h.cobrowse(t, talk).as(t, "sharer").ID
	h.refused(t, http.StatusConflict, cobridge.CodeConflict, http.MethodPost, sharer+"/replace", `{"userId":"`+string(ben)+`"}`)
	h.want(t, http.StatusAccepted, http.MethodPost, path+"/replace", `{"transferType":"Unattended","userId":"`+string(ben)+`"}`)
	viewer = h.cobrowse(t, talk).as(t, "viewer")
	if viewer.ID != string(ben) || viewer.Purpose != "agent" || viewer.User.ID != string(ben) || viewer.ViewerURL == "" {
		t.Errorf("the viewer is %+v, want Ben as agent", viewer)
	}
	ben := self + "/participants/" + viewer.ID
	h.refused(t, http.StatusNotFound, cobridge.CodeParticipantNotFound, http.MethodPatch, ben+"/attributes", `{"attributes":{"a":"1"}}`)
	h.want(t, http.StatusOK, http.MethodPatch, ben+"/communications/"+viewer.CommunicationID, `{"state":"disconnected"}`)
	if got := h.cobrowse(t, talk).as(t, "sharer"); got.State != "disconnected" || got.DisconnectType != "client" {
		t.Errorf("without its agent the session's sharer is %+v", got)
	}
	h.want(t, http.StatusOK, http.MethodPatch, ben+"/communications/"+viewer.CommunicationID, `{"state":"disconnected"}`)
	h.refused(t, http.StatusConflict, cobridge.CodeConflict, http.MethodPost, ben+"/replace", `{"userId":"`+string(ann)+`"}`)
}

// Every call is refused in the same ways.
func TestOfficialNotFound(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	viewer := h.cobrowseOf(t, talk).as(t, "viewer")
	other := "Authorization: Bearer " + h.grant(t, "other-client")
	bodies := map[string]string{"attributes": `{"attributes":{"a":"1"}}`, "replace": `{"userId":"x"}`, "recordingstate": `{"state":"NONE"}`}
	for _, r := range api.Routes() {
		rest, ok := strings.CutPrefix(r.Path, cobrowseURL+"/{conversationId}")
		if !ok {
			continue
		}
		path := func(conversation, participant string) string {
			return cobrowseURL + "/" + conversation + strings.NewReplacer("{participantId}", participant, "{communicationId}", viewer.CommunicationID).Replace(rest)
		}
		body := bodies[rest[strings.LastIndexByte(rest, '/')+1:]]
		if body == "" && r.Method != http.MethodGet {
			body = `{"state":"disconnected"}`
		}
		h.refused(t, http.StatusUnauthorized, cobridge.CodeAuthRequired, r.Method, path(string(talk), viewer.ID), body, "Authorization:")
		h.refused(t, http.StatusForbidden, cobridge.CodeMissingScope, r.Method, path(string(talk), viewer.ID), body, "Authorization: Bearer "+h.grant(t, "reader"))
		h.refused(t, http.StatusNotFound, cobridge.CodeConversationNotFound, r.Method, path(string(talk), viewer.ID), body, other)
		h.refused(t, http.StatusNotFound, cobridge.CodeConversationNotFound, r.Method, path("nothing", viewer.ID), body)
		h.refused(t, http.StatusNotFound, cobridge.CodeNotFound, r.Method, path(string(talk2), viewer.ID), body)
		if strings.Contains(rest, "participantId") {
			h.refused(t, http.StatusNotFound, cobridge.CodeParticipantNotFound, r.Method, path(string(talk), "nobody"), body)
		}
	}
	h.refused(t, http.StatusUnauthorized, cobridge.CodeAuthRequired, http.MethodGet, cobrowseURL, "", "Authorization:")
	h.refused(t, http.StatusForbidden, cobridge.CodeMissingScope, http.MethodGet, cobrowseURL, "", "Authorization: Bearer "+h.grant(t, "reader"))
	h.refused(t, http.StatusBadRequest, cobridge.CodeInvalidQueryParam, http.MethodGet, cobrowseURL+"?pageSize=0", "")
	if got := h.want(t, http.StatusOK, http.MethodGet, cobrowseURL, "", other).body; !strings.Contains(got, `"entities":[]`) {
		t.Errorf("the other organisation lists %s", got)
	}
	if got := h.cobrowse(t, talk).as(t, "viewer").State; got != "alerting" {
		t.Errorf("after all that the viewer is %s", got)
	}
}

func (h *house) cobrowseOf(t testing.TB, conversation conversations.ID) cobrowseAnswer {
	t.Helper()
	h.offer(t, conversation, "")
	return h.cobrowse(t, conversation)
}

// Sessions from customers' pages that belong to no conversation are not in the list;
// pages of it are those of the others.
func TestOfficialList(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.deployment(t, `"`+shop+`"`)
	for range 3 {
		h.want(t, http.StatusCreated, http.MethodPost, deploymentsURL+"/"+id+"/sessions", "", "Authorization:", "Origin: "+shop)
	}
	h.offer(t, talk, "")
	h.clock.Advance(time.Second)
	h.offer(t, talk2, "")
	for n, want := range []conversations.ID{talk2, talk} {
		var page struct {
			Entities []cobrowseAnswer
			Total    int
		}
		h.want(t, http.StatusOK, http.MethodGet, cobrowseURL+"?pageSize=1&pageNumber="+string(rune('1'+n)), "").into(t, &page)
		if page.Total != 2 || len(page.Entities) != 1 || page.Entities[0].ID != string(want) {
			t.Errorf("page %d is %+v, want %s of 2", n+1, page, want)
		}
	}
}

// awayDirectory knows nothing any more, or cannot be asked.
type awayDirectory struct {
	*conversations.Local
	failure *cobridge.Error
}

func (d *awayDirectory) Conversation(ctx context.Context, org conversations.OrgID, id conversations.ID) (conversations.Conversation, error) {
	if d.failure != nil {
		return conversations.Conversation{}, d.failure
	}
	return d.Local.Conversation(ctx, org, id)
}

// Sessions that exist can be read and ended whatever became of the directory.
func TestOfficialWithoutDirectory(t *testing.T) {
	t.Parallel()
	away := &awayDirectory{}
	h := newHouse(t, func(d *api.Deps) {
		away.Local, _ = d.Directory.(*conversations.Local)
		d.Directory = away
	})
	o := h.offer(t, talk, "")
	for _, code := range []cobridge.Code{cobridge.CodeUnavailable, cobridge.CodeConversationNotFound} {
		away.failure = &cobridge.Error{Code: code}
		viewer := h.cobrowse(t, talk).as(t, "viewer")
		if viewer.ID != string(ann) || viewer.State != "alerting" || viewer.ViewerURL == "" {
			t.Errorf("%s: the viewer is %+v", code, viewer)
		}
		h.want(t, http.StatusOK, http.MethodGet, cobrowseURL, "")
	}
	h.want(t, http.StatusOK, http.MethodPatch, o.SelfURI, `{"state":"disconnected"}`)
	away.failure = &cobridge.Error{Code: cobridge.CodeUnavailable}
	h.refused(t, http.StatusServiceUnavailable, cobridge.CodeUnavailable, http.MethodGet, cobrowseURL+"/"+string(talk2), "")
	away.failure = nil
	if got := h.cobrowse(t, talk).as(t, "viewer").State; got != "disconnected" {
		t.Errorf("the session has not ended: %s", got)
	}
}
