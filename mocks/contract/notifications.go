package contract

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

func notificationCases() []Case {
	return []Case{
		{"notifications are told on channels, which are opened, listed and asked for", channelLife},
		{"notifications are of topics, which are added, replaced and dropped", subscriptionLife},
		{"notifications of topics that are not there, or not allowed, are refused, or left out", subscriptionRefused},
		{"notifications need their scope, and topics the scope to read the same", notificationScopes},
		{"notifications are for the client that opened the channel", channelsApart},
		{"notifications end with the channel's token", channelToken},
		{"notifications end after a day unless the channel is subscribed again", channelTime},
		{"notifications are sent to who connects by WebSocket alone", channelConnect},
	}
}

const (
	channelsPath       = "/api/v2/notifications/channels"
	topicsPath         = "/api/v2/notifications/availabletopics"
	scopeNotifications = "notifications"
)

func channelPath(id string) string       { return channelsPath + "/" + id }
func subscriptionsPath(id string) string { return channelPath(id) + "/subscriptions" }

type notificationChannel struct {
	ConnectURI string `json:"connectUri"`
	ID         string `json:"id"`
	Expires    string `json:"expires"`
}

type listOf[E any] struct {
	Entities []E `json:"entities"`
}

type channelTopic struct {
	ID                 string   `json:"id"`
	State              string   `json:"state"`
	RejectionReason    string   `json:"rejectionReason"`
	MissingPermissions []string `json:"missingPermissions"`
}

func userTopic(user, part string) string { return "v2.users." + user + ".conversations" + part }

func topicList(topics ...string) []any {
	list := make([]any, len(topics))
	for i, topic := range topics {
		list[i] = body{"id": topic}
	}
	return list
}

// notified returns an access token with which notifications can be had, one that
// nobody else uses. It skips the case if the client may have none.
func (sc *scene) notified(t T, cr Credentials, more ...string) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {cr.ClientID}, "client_secret": {cr.ClientSecret}, "scope": {scopeNotifications}}
	if a := sc.do(t, call{method: http.MethodPost, path: "/oauth/token", form: form}); a.status == http.StatusBadRequest {
		t.Skipf("the target's client has no scope %s", scopeNotifications)
	}
	token, _ := sc.fresh(t, cr, append([]string{scopeNotifications}, more...)...)
	return token
}

func (sc *scene) listener(t T) string {
	t.Helper()
	return sc.notified(t, sc.target.Credentials, scopeConversationsRead, scopeSessionRead)
}

func (sc *scene) openChannel(t T, token string) notificationChannel {
	t.Helper()
	var c notificationChannel
	sc.want(t, http.StatusOK, call{method: http.MethodPost, path: channelsPath, token: token}).into(t, &c)
	return c
}

func (sc *scene) wantTopics(t T, c call, want ...string) {
	t.Helper()
	var list listOf[channelTopic]
	sc.want(t, http.StatusOK, c).into(t, &list)
	var got []string
	for _, topic := range list.Entities {
		got = append(got, topic.ID+" "+topic.State)
		if (topic.State == "Rejected") != (topic.RejectionReason != "") {
			t.Errorf("%s is %s for the reason %q", topic.ID, topic.State, topic.RejectionReason)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v lists %q, want %q", c, got, want)
	}
}

func channelLife(t T, sc *scene) {
	token := sc.listener(t)
	a := sc.want(t, http.StatusOK, call{method: http.MethodPost, path: channelsPath, token: token})
	var c notificationChannel
	a.into(t, &c)
	uri, err := url.Parse(c.ConnectURI)
	if err != nil || !uuidForm.MatchString(c.ID) || "http"+strings.TrimPrefix(c.ConnectURI, "ws") != sc.target.PublicURL+"/channels/"+c.ID || uri.RawQuery != "" {
		t.Errorf("connectUri does not have the form ws(s)://…/channels/{id}, at the public address")
	}
	date(t, "expires", c.Expires)
	if got := a.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control is %q, want no-store: the address is a credential", got)
	}
	head := call{method: http.MethodHead, path: channelPath(c.ID), token: token}
	sc.want(t, http.StatusOK, head)
	head.path = channelPath(unknownID(90))
	sc.want(t, http.StatusNotFound, head)
	second := sc.listener(t)
	later := sc.openChannel(t, second)
	for _, tt := range []struct {
		query, token string
		want, not    string
	}{
		{"", token, c.ID, later.ID},
		{"?includechannels=token", second, later.ID, c.ID},
		{"?includechannels=oauthclient", token, later.ID, ""},
		{"?includechannels=oauthclient", second, c.ID, ""},
	} {
		var list listOf[notificationChannel]
		sc.want(t, http.StatusOK, call{path: channelsPath + tt.query, token: tt.token}).into(t, &list)
		has := func(id string) bool {
			return slices.ContainsFunc(list.Entities, func(one notificationChannel) bool { return one.ID == id })
		}
		if !has(tt.want) || tt.not != "" && has(tt.not) {
			t.Errorf("GET %s%s lists %d channels: one is missing, or one too many", channelsPath, tt.query, len(list.Entities))
		}
	}
	sc.refused(t, http.StatusBadRequest, "invalid.query.param.value", call{path: channelsPath + "?includechannels=user", token: token})
	var topics listOf[struct {
		ID                  string   `json:"id"`
		RequiresPermissions []string `json:"requiresPermissions"`
	}]
	sc.want(t, http.StatusOK, call{path: topicsPath + "?expand=description", token: token}).into(t, &topics)
	for _, want := range []string{
		userTopic("{id}", ""), userTopic("{id}", ".cobrowseSessions"), userTopic("{id}", ".messages"), userTopic("{id}", ".calls"), userTopic("{id}", ".chats"),
		"v2.routing.queues.{id}.conversations", "v2.routing.queues.{id}.conversations.cobrowseSessions",
	} {
		if !slices.ContainsFunc(topics.Entities, func(one struct {
			ID                  string   `json:"id"`
			RequiresPermissions []string `json:"requiresPermissions"`
		},
		) bool {
			return one.ID == want && len(one.RequiresPermissions) > 0
		}) {
			t.Errorf("the topic %s is not listed", want)
		}
	}
}

func subscriptionLife(t T, sc *scene) {
	token := sc.listener(t)
	path := subscriptionsPath(sc.openChannel(t, token).ID)
	first, second := userTopic(sc.target.AgentUserID, ""), userTopic(sc.target.SupervisorUserID, ".cobrowseSessions")
	queue := "v2.routing.queues." + unknownID(91) + ".conversations"
	add := func(topics ...string) call {
		return call{method: http.MethodPost, path: path, token: token, body: topicList(topics...)}
	}
	read := call{path: path, token: token}
	sc.wantTopics(t, read)
	sc.wantTopics(t, add(first, first), first+" Permitted")
	sc.wantTopics(t, add(second, first, queue), first+" Permitted", second+" Permitted", queue+" Permitted")
	sc.wantTopics(t, read, first+" Permitted", second+" Permitted", queue+" Permitted")
	replace := call{method: http.MethodPut, path: path, token: token, body: topicList(second)}
	sc.wantTopics(t, replace, second+" Permitted")
	sc.wantTopics(t, add(), second+" Permitted")
	replace.body = []any{}
	sc.wantTopics(t, replace)
	sc.wantTopics(t, add(first), first+" Permitted")
	sc.want(t, http.StatusNoContent, call{method: http.MethodDelete, path: path, token: token})
	sc.wantTopics(t, read)
}

func subscriptionRefused(t T, sc *scene) {
	token := sc.listener(t)
	path := subscriptionsPath(sc.openChannel(t, token).ID)
	known := userTopic(sc.target.AgentUserID, "")
	strangers := []string{userTopic(unknownID(92), "")}
	if user := sc.target.OtherUserID; user != "" {
		strangers = append(strangers, userTopic(user, ".cobrowseSessions"))
	}
	send := func(method, query string, in any) call {
		return call{method: method, path: path + query, token: token, body: in}
	}
	for _, method := range []string{http.MethodPost, http.MethodPut} {
		for _, topic := range []string{"", "v2.users." + sc.target.AgentUserID + ".presence", known + ".", known + ".cobrowsesessions", "v2.system.socket_closing", "v2.users.{id}.conversations"} {
			sc.refused(t, http.StatusBadRequest, "notification.invalid.topic", send(method, "", topicList(known, topic)))
		}
		for _, topic := range strangers {
			sc.refused(t, http.StatusForbidden, "notification.unauthorized.topic", send(method, "?ignoreErrors=false", topicList(known, topic)))
		}
		quiet := send(method, "", topicList(slices.Repeat([]string{known}, 1001)...))
		quiet.quiet = true // the document says a thousand
		sc.refused(t, http.StatusBadRequest, "notification.subscription.too.many.subscriptions", quiet)
		sc.refused(t, http.StatusBadRequest, "invalid.query.param.value", send(method, "?ignoreErrors=perhaps", topicList(known)))
		for _, in := range []any{body{"id": known}, nil, "[", `[{"id":1}]`, `["` + known + `"]`} {
			sc.badRequest(t, send(method, "", in))
		}
		for _, in := range []string{`[{}]`, `[null]`} {
			sc.refused(t, http.StatusBadRequest, "constraint.validation", send(method, "", in))
		}
	}
	// A call that was refused has changed nothing; one that ignores errors does what it can.
	sc.wantTopics(t, call{path: path, token: token})
	want := []string{known + " Permitted", "x Rejected"}
	for _, topic := range strangers {
		want = append(want, topic+" Rejected")
	}
	sc.wantTopics(t, send(http.MethodPost, "?ignoreErrors=true", topicList(append([]string{"x", known}, strangers...)...)), want...)
	sc.wantTopics(t, call{path: path, token: token}, known+" Permitted")
}

func notificationScopes(t T, sc *scene) {
	token := sc.listener(t)
	path := subscriptionsPath(sc.openChannel(t, token).ID)
	for _, c := range notificationCalls(path) {
		without, anybody := c, c
		without.token = sc.scoped(t, Scopes()...)
		if c.method == http.MethodHead {
			sc.want(t, http.StatusForbidden, without)
			sc.want(t, http.StatusUnauthorized, anybody)
			continue
		}
		sc.refused(t, http.StatusForbidden, "app.not.authorized.for.scope", without)
		sc.refused(t, http.StatusUnauthorized, "authentication.required", anybody)
	}
	// With that scope alone there is a channel, and nothing to hear.
	small := sc.notified(t, sc.target.Credentials)
	mine := subscriptionsPath(sc.openChannel(t, small).ID)
	all, cobrowse := userTopic(sc.target.AgentUserID, ""), userTopic(sc.target.AgentUserID, ".cobrowseSessions")
	for _, topic := range []string{all, cobrowse} {
		sc.refused(t, http.StatusForbidden, "notification.unauthorized.topic", call{method: http.MethodPost, path: mine, token: small, body: topicList(topic)})
	}
	// Cobrowse sessions are for who may read sessions, or conversations.
	reader := sc.notified(t, sc.target.Credentials, scopeSessionRead)
	var list listOf[channelTopic]
	sc.want(t, http.StatusOK, call{method: http.MethodPut, path: mine + "?ignoreErrors=true", token: reader, body: topicList(all, cobrowse)}).into(t, &list)
	if len(list.Entities) != 2 || list.Entities[0].ID != cobrowse || !slices.Contains(list.Entities[1].MissingPermissions, "conversations:readonly") {
		t.Errorf("a token that may read sessions is given %+v", list.Entities)
	}
}

// notificationCalls are all calls about a channel.
func notificationCalls(subscriptions string) []call {
	return []call{
		{method: http.MethodGet, path: topicsPath},
		{method: http.MethodGet, path: channelsPath},
		{method: http.MethodPost, path: channelsPath},
		{method: http.MethodHead, path: strings.TrimSuffix(subscriptions, "/subscriptions")},
		{method: http.MethodGet, path: subscriptions},
		{method: http.MethodPost, path: subscriptions, body: []any{}},
		{method: http.MethodPut, path: subscriptions, body: []any{}},
		{method: http.MethodDelete, path: subscriptions},
	}
}

// wantGone checks that to this token there is no such channel.
func (sc *scene) wantGone(t T, token, id string) {
	t.Helper()
	for _, c := range notificationCalls(subscriptionsPath(id))[3:] {
		c.token = token
		if c.method == http.MethodHead {
			sc.want(t, http.StatusNotFound, c)
			continue
		}
		sc.refused(t, http.StatusNotFound, "entity.not.found", c)
	}
}

func channelsApart(t T, sc *scene) {
	sc.needOther(t)
	token := sc.listener(t)
	c := sc.openChannel(t, token)
	topic := userTopic(sc.target.AgentUserID, "")
	sc.wantTopics(t, call{method: http.MethodPost, path: subscriptionsPath(c.ID), token: token, body: topicList(topic)}, topic+" Permitted")
	theirs := sc.notified(t, sc.target.Other)
	sc.wantGone(t, theirs, c.ID)
	if a := sc.want(t, http.StatusOK, call{path: channelsPath + "?includechannels=oauthclient", token: theirs}); strings.Contains(string(a.body), c.ID) {
		t.Errorf("another organisation's list has the channel")
	}
	sc.wantTopics(t, call{path: subscriptionsPath(c.ID), token: token}, topic+" Permitted")
}

func channelToken(t T, sc *scene) {
	first, second := sc.listener(t), sc.listener(t)
	dies, lives := sc.openChannel(t, first), sc.openChannel(t, first)
	// One of them is subscribed with the other token: it lives on by that.
	sc.wantTopics(t, call{method: http.MethodPut, path: subscriptionsPath(lives.ID), token: second, body: []any{}})
	sc.want(t, http.StatusOK, call{method: http.MethodDelete, path: mePath, token: first})
	sc.wantGone(t, second, dies.ID)
	sc.want(t, http.StatusOK, call{method: http.MethodHead, path: channelPath(lives.ID), token: second})
}

func channelTime(t T, sc *scene) {
	sc.needAdvance(t)
	token := sc.listener(t)
	ends, lives := sc.openChannel(t, token), sc.openChannel(t, token)
	sc.advance(23 * time.Hour)
	token = sc.listener(t)
	sc.wantTopics(t, call{method: http.MethodPost, path: subscriptionsPath(lives.ID), token: token, body: []any{}})
	sc.advance(time.Hour)
	sc.wantGone(t, token, ends.ID)
	sc.want(t, http.StatusOK, call{method: http.MethodHead, path: channelPath(lives.ID), token: token})
}

func channelConnect(t T, sc *scene) {
	c := sc.openChannel(t, sc.listener(t))
	a := sc.do(t, call{path: "/channels/" + c.ID}) // as connectUri has it
	var e envelope
	a.into(t, &e)
	if a.status != http.StatusBadRequest || e.Code != "bad.request" || a.header.Get("Upgrade") != "websocket" {
		t.Errorf("%v without a handshake, want 400 and Upgrade", a)
	}
}
