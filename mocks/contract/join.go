package contract

import (
	"mime"
	"net/http"
	"slices"
	"strings"
)

func joinCases() []Case {
	return []Case{
		{"T30 the join URL opens a page", joinPage},
		{"T30 opening the page does not use the token up", joinPageDoesNotBurn},
		{"T30 a token is redeemed once", redeemOnce},
		{"T30 the viewer's secret is a cookie, the sharer's is not", redeemSecrets},
		{"T30 a bad, a used and an ended token each get a page and a status", joinPageRefused},
		{"T30 redeeming is refused with a code for each reason", redeemRefused},
		{"T30 redeeming again replaces the first connection", redeemReplaces},
		{"T30 an agent is in one session at a time", oneSessionPerAgent},
	}
}

// joinedBody is the answer of redeeming.
type joinedBody struct {
	SessionID     string `json:"sessionId"`
	ParticipantID string `json:"participantId"`
	Role          string `json:"role"`
	CobrowseRole  string `json:"cobrowseRole"`
	State         string `json:"state"`
	StreamURI     string `json:"streamUri"`
	Resume        string `json:"resume"`
}

func redeem(token, tab string) call {
	return call{method: http.MethodPost, path: redeemPath, body: body{"token": token, "tab": tab}}
}

// pageOf checks what every join page, a refusal too, has to be: HTML that nobody
// keeps, that tells no other site its address and runs only its own scripts.
func pageOf(t T, a answer) {
	t.Helper()
	if kind, _, _ := mime.ParseMediaType(a.header.Get("Content-Type")); kind != "text/html" || len(a.body) == 0 {
		t.Errorf("%v: Content-Type is %q with %d bytes, want a page", a.call, a.header.Get("Content-Type"), len(a.body))
	}
	if got := a.header.Get("Cache-Control"); !strings.Contains(got, "no-store") {
		t.Errorf("%v: Cache-Control is %q, want no-store", a.call, got)
	}
	if got := a.header.Get("Referrer-Policy"); got != "no-referrer" {
		t.Errorf("%v: Referrer-Policy is %q, want no-referrer", a.call, got)
	}
	csp := a.header.Get("Content-Security-Policy")
	if runsAnything(csp) || !strings.Contains(csp, "frame-ancestors") {
		t.Errorf("%v: Content-Security-Policy is %q, want a default-src, frame-ancestors and no scripts but our own", a.call, csp)
	}
	if got := a.header.Get("X-Content-Type-Options"); got != "nosniff" {
		t.Errorf("%v: X-Content-Type-Options is %q, want nosniff", a.call, got)
	}
	if _, token, ok := strings.Cut(a.call.path, "token="); ok && len(token) > 20 && strings.Contains(string(a.body), token) {
		t.Errorf("%v: the page repeats the token", a.call)
	}
}

// runsAnything reports whether a policy lets scripts run that are not its origin's
// own. Styles may be inline: the picture of a page brings its own.
func runsAnything(policy string) bool {
	rules := map[string]string{}
	for rule := range strings.SplitSeq(policy, ";") {
		name, sources, _ := strings.Cut(strings.TrimSpace(rule), " ")
		rules[name] = sources
	}
	scripts, ok := rules["script-src"]
	if !ok {
		scripts = rules["default-src"]
	}
	others := rules["default-src"]
	return others != "'none'" && others != "'self'" || scripts != "'self'" && scripts != "'none'"
}

func (s *suite) pageRefused(t T, status int, token string) {
	t.Helper()
	pageOf(t, s.want(t, status, call{path: joinPath(token)}))
}

// opens checks that a join URL opens the page. Where viewers have an origin of
// their own, the page is there, and a sharer's is where its deployment starts: the
// browser is sent on, and takes the token along in the fragment, which no server sees.
func (s *suite) opens(t T, token string) {
	t.Helper()
	a := s.do(t, call{path: joinPath(token)})
	if a.status == http.StatusSeeOther {
		next, fragment, _ := strings.Cut(a.header.Get("Location"), "#")
		site := strings.HasPrefix(fragment, "cobridge=") // of the deployment, which is not the service's to check
		if !strings.Contains(fragment, token) || strings.Contains(next, token) || !site && !strings.HasSuffix(next, "/cobrowse/join") {
			t.Errorf("%v leads to %s, want a start page or /cobrowse/join of the viewers' origin, with the token in the fragment alone", a.call, next)
		}
		if cache, referrer := a.header.Get("Cache-Control"), a.header.Get("Referrer-Policy"); !strings.Contains(cache, "no-store") || referrer != "no-referrer" {
			t.Errorf("%v: Cache-Control is %q and Referrer-Policy %q, want no-store and no-referrer", a.call, cache, referrer)
		}
		if site {
			return
		}
		a = s.do(t, call{path: next})
	}
	if a.status != http.StatusOK {
		t.Errorf("%v, want a page", a)
		return
	}
	pageOf(t, a)
}

func joinPage(t T, sc *scene) {
	b := sc.session(t)
	for _, p := range b.Participants {
		for _, token := range []string{tokenOf(t, p.JoinURL), sc.issue(t, b.ID, p.ID).Token} {
			sc.opens(t, token)
		}
	}
}

func joinPageDoesNotBurn(t T, sc *scene) {
	b := sc.session(t)
	token := tokenOf(t, b.participant("supervisor").JoinURL)
	for range 3 {
		sc.opens(t, token)
	}
	if got := sc.read(t, b.ID).participant("supervisor"); got.State != "invited" {
		t.Errorf("the supervisor is %s after the page was opened, want invited", got.State)
	}
	sc.want(t, http.StatusOK, redeem(token, "tab-1"))
}

func redeemOnce(t T, sc *scene) {
	b := sc.session(t)
	token := tokenOf(t, b.participant("supervisor").JoinURL)
	a := sc.want(t, http.StatusOK, redeem(token, "tab-1"))
	var in joinedBody
	a.into(t, &in)
	if in.SessionID != b.ID || in.ParticipantID != sc.target.SupervisorUserID || in.Role != "supervisor" || in.CobrowseRole != "viewer" || in.State != "idle" || !strings.HasSuffix(in.StreamURI, sessionPath(b.ID)+"/stream") {
		t.Errorf("redeeming gave %s as %s, %s, %s, stream %s; want the supervisor of %s", in.ParticipantID, in.Role, in.CobrowseRole, in.State, in.StreamURI, b.ID)
	}
	if got := a.header.Get("Cache-Control"); !strings.Contains(got, "no-store") {
		t.Errorf("Cache-Control is %q, want no-store", got)
	}
	if got := sc.read(t, b.ID).participant("supervisor"); got.State != "joined" || got.DateJoined == "" {
		t.Errorf("the supervisor is %s since %q, want joined", got.State, got.DateJoined)
	}
	sc.refused(t, http.StatusGone, "join.token.used", redeem(token, "tab-1"))
	sc.pageRefused(t, http.StatusGone, token)
}

func redeemSecrets(t T, sc *scene) {
	b := sc.session(t)
	for role, sharer := range map[string]bool{"agent": true, "supervisor": false} {
		a := sc.want(t, http.StatusOK, redeem(tokenOf(t, b.participant(role).JoinURL), "tab-"+role))
		var in joinedBody
		a.into(t, &in)
		cookies := (&http.Response{Header: a.header}).Cookies()
		if sharer {
			if in.Resume == "" || len(cookies) != 0 {
				t.Errorf("the sharer has %d cookies, want none and the secret in the body", len(cookies))
			}
			continue
		}
		if in.Resume != "" || len(cookies) != 1 {
			t.Fatalf("the viewer has %d cookies, want one and no secret in the body", len(cookies))
		}
		c := cookies[0]
		if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || !strings.HasSuffix(c.Path, sessionPath(b.ID)+"/stream") || c.Domain != "" {
			t.Errorf("the cookie is HttpOnly=%t SameSite=%v Path=%s Domain=%q, want true, Strict, the stream's path and none", c.HttpOnly, c.SameSite, c.Path, c.Domain)
		}
		if want := strings.HasPrefix(sc.target.PublicURL, "https:"); want && !c.Secure {
			t.Errorf("the cookie is not Secure over TLS")
		}
	}
}

func joinPageRefused(t T, sc *scene) {
	b := sc.session(t)
	good := tokenOf(t, b.participant("agent").JoinURL)
	for _, token := range []string{"abc", "a.b.c", strings.Repeat("a", 3000), good + "x", good[:len(good)-1], sc.token(t), "%00", "%FF"} {
		sc.pageRefused(t, http.StatusUnauthorized, token)
	}
	for _, path := range []string{"/cobrowse/join", joinPath("")} {
		a := sc.do(t, call{path: path})
		pageOf(t, a)
		if a.status != http.StatusUnauthorized && a.status != http.StatusBadRequest {
			t.Errorf("%v without a token, want 401 or 400", a)
		}
	}
	sc.want(t, http.StatusNoContent, call{method: http.MethodDelete, path: sessionPath(b.ID), token: sc.token(t)})
	sc.pageRefused(t, http.StatusGone, good)
	sc.refused(t, http.StatusGone, "cobrowse.session.ended", redeem(good, "tab-1"))
}

func redeemRefused(t T, sc *scene) {
	b := sc.session(t)
	good := tokenOf(t, b.participant("agent").JoinURL)
	for _, token := range []string{"abc", "a.b.c", good + "x", good[:len(good)-1], sc.token(t), strings.Repeat("a", 3000)} {
		sc.refused(t, http.StatusUnauthorized, "join.token.invalid", redeem(token, "tab-1"))
	}
	for _, in := range []any{body{}, body{"token": ""}, body{"token": 7}, body{"token": good, "tab": 7}, body{"token": good, "tab": strings.Repeat("x", 65)}, body{"token": strings.Repeat("a", 5000)}, "{", "[]"} {
		sc.badRequest(t, call{method: http.MethodPost, path: redeemPath, body: in})
	}
	sc.want(t, http.StatusOK, redeem(good, "tab-1")) // nothing of this has used it up
}

func redeemReplaces(t T, sc *scene) {
	b := sc.session(t)
	var secrets []string
	for _, token := range []string{tokenOf(t, b.participant("agent").JoinURL), sc.issue(t, b.ID, sc.target.AgentUserID).Token} {
		var in joinedBody
		sc.want(t, http.StatusOK, redeem(token, "tab-1")).into(t, &in)
		secrets = append(secrets, in.Resume)
	}
	if secrets[0] == secrets[1] {
		t.Errorf("two redeemed tokens gave the same secret")
	}
	if got := sc.read(t, b.ID); len(got.Participants) != 2 || got.participant("agent").State != "joined" {
		t.Errorf("participants are %+v, want the same two, the agent joined", got.Participants)
	}
}

func oneSessionPerAgent(t T, sc *scene) {
	first, second := sc.session(t), sc.session(t)
	sc.want(t, http.StatusOK, redeem(tokenOf(t, first.participant("agent").JoinURL), "tab-1"))
	token := tokenOf(t, second.participant("agent").JoinURL)
	e := sc.refused(t, http.StatusConflict, "request.conflict", redeem(token, "tab-2"))
	if !slices.ContainsFunc(e.Details, func(d detail) bool { return d.ErrorCode == "cobrowse.agent.busy" }) {
		t.Errorf("details are %+v, want cobrowse.agent.busy", e.Details)
	}
	// Neither creating nor issuing was in the way of it, and the token is still good.
	sc.issue(t, second.ID, sc.target.AgentUserID)
	sc.want(t, http.StatusNoContent, call{method: http.MethodDelete, path: sessionPath(first.ID), token: sc.token(t)})
	sc.want(t, http.StatusOK, redeem(token, "tab-2"))
}
