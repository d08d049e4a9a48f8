package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/cobridge/cobridge"
)

// One detail per problem, all problems at once.
func TestFieldRules(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	agent := fmt.Sprintf(`{"userId":%q,"role":"agent"}`, ann)
	session := func(participants, settings string) string {
		return fmt.Sprintf(`{"conversationId":%q,"participants":%s,"settings":%s}`, talk, participants, settings)
	}
	for _, tt := range []struct {
		name, path, body string
		want             []string // field and code
	}{
		{"everything is missing", sessionsURL, `{}`, []string{"conversationId required", "participants required"}},
		{"empty values", sessionsURL, `{"conversationId":"","participants":[]}`, []string{"conversationId required", "participants size"}},
		{"wrong types", sessionsURL, `{"conversationId":7,"participants":{},"settings":[]}`, []string{"conversationId type", "participants type", "settings type"}},
		{"null", sessionsURL, `{"conversationId":null,"participants":[null]}`, []string{"conversationId type", "participants[0] type"}},
		{
			"in the second participant", sessionsURL, session(`[`+agent+`,{"role":"boss","userId":1,"name":[]}]`, `{}`),
			[]string{"participants[1].name type", "participants[1].role unknown", "participants[1].userId type"},
		},
		{
			"of the schema and of the rules", sessionsURL, session(`[`+agent+`,{"role":"boss","userId":"`+string(ann)+`"},`+agent+`]`, `{"timeoutInMinutes":481}`),
			[]string{"participants[1].role unknown", "settings.timeoutInMinutes range", "participants[1].userId duplicate", "participants[2].userId duplicate", "participants[2].role duplicate"},
		},
		{"no user", sessionsURL, session(`[{"role":"agent"},{}]`, `{}`), []string{"participants[0].userId required", "participants[1].userId required"}},
		{"a customer with a user", sessionsURL, session(`[{"role":"customer","userId":"u"},`+agent+`]`, `{}`), []string{"participants[0].userId not.allowed"}},
		{"time-out too short", sessionsURL, session(`[`+agent+`]`, `{"timeoutInMinutes":0}`), []string{"settings.timeoutInMinutes range"}},
		{"time-out too long", sessionsURL, session(`[`+agent+`]`, `{"timeoutInMinutes":481}`), []string{"settings.timeoutInMinutes range"}},
		{"time-out is no integer", sessionsURL, session(`[`+agent+`]`, `{"timeoutInMinutes":1.5,"allowRemoteControl":"yes"}`), []string{"settings.allowRemoteControl type", "settings.timeoutInMinutes type"}},
		{"time-out is very large", sessionsURL, session(`[`+agent+`]`, `{"timeoutInMinutes":1e300}`), []string{"settings.timeoutInMinutes range"}},
		{"duplicate user", sessionsURL, session(`[`+agent+`,{"userId":"`+string(ann)+`","role":"supervisor"}]`, `{}`), []string{"participants[1].userId duplicate"}},
		{"no sharer", sessionsURL, session(`[{"userId":"`+string(ann)+`","role":"supervisor"}]`, `{}`), []string{"participants sharer.required"}},
		{"too many participants", sessionsURL, session(`[`+strings.Repeat(agent+",", 50)+agent+`]`, `{}`), []string{"participants size"}},
		{
			"attach", sessionsURL + "/attach", `{"sessionToken":"12","participant":{"role":"agent"}}`,
			[]string{"conversationId required", "participant.userId required", "sessionToken too.short"},
		},
		{"session token is no number", sessionsURL + "/attach", `{"sessionToken":"12345678x","conversationId":"c","participant":{"userId":"u"}}`, []string{"sessionToken format"}},
		{"conversation", conversationsURL, `{"mediaType":"fax","participants":[{"purpose":"agent"},{"purpose":"customer","userId":"u","attributes":{"a":1}}]}`, []string{
			"mediaType unknown", "participants[0].userId required", "participants[1].attributes.a type", "participants[1].userId not.allowed",
		}},
		{"deployment", deploymentsURL, `{"name":"","allowedOrigins":["*"],"pauseCriteria":[{"condition":"Near"}],"allowDraw":1}`, []string{
			"allowDraw type", "allowedOrigins[0] format", "name required", "pauseCriteria[0].condition unknown", "pauseCriteria[0].urlFragment required",
		}},
		{"join", joinURL, `{"tab":"` + strings.Repeat("x", 65) + `"}`, []string{"tab too.long", "token required"}},
		{"a long name", deploymentsURL, `{"name":"` + strings.Repeat("é", 257) + `","allowedOrigins":["https://a.example"]}`, []string{"name too.long"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := h.refused(t, http.StatusBadRequest, cobridge.CodeConstraintValidation, http.MethodPost, tt.path, tt.body)
			var got []string
			for _, d := range a.envelope(t).Details {
				got = append(got, d.FieldName+" "+d.ErrorCode)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("details are %q, want %q\n%s", got, tt.want, a.body)
			}
		})
	}
	s := h.create(t, talk)
	a := h.refused(t, http.StatusBadRequest, cobridge.CodeConstraintValidation, http.MethodPatch, sessionsURL+"/"+s.ID, `{"unknown":1}`)
	if got := len(a.envelope(t).Details); got != 2 {
		t.Errorf("a patch of nothing has %d details, want one for each member that it may have", got)
	}
}

func TestUnreadableBodies(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for name, tt := range map[string]struct {
		body   string
		header string
		status int
		code   cobridge.Code
	}{
		"none":                       {"", "", http.StatusBadRequest, cobridge.CodeBadRequest},
		"broken":                     {`{"a":`, "", http.StatusBadRequest, cobridge.CodeBadRequest},
		"a list":                     {`[]`, "", http.StatusBadRequest, cobridge.CodeBadRequest},
		"null":                       {`null`, "", http.StatusBadRequest, cobridge.CodeBadRequest},
		"two objects":                {`{}{}`, "", http.StatusBadRequest, cobridge.CodeBadRequest},
		"200 deep":                   {strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200), "", http.StatusBadRequest, cobridge.CodeBadRequest},
		"broken UTF-8":               {"{\"conversationId\":\"\xff\"}", "", http.StatusBadRequest, cobridge.CodeBadRequest},
		"a number beyond every size": {`{"settings":{"timeoutInMinutes":1e999999999}}`, "", http.StatusBadRequest, cobridge.CodeBadRequest},
		"text":                       {`{}`, "Content-Type: text/plain", http.StatusUnsupportedMediaType, cobridge.CodeUnsupportedMediaType},
		"compressed":                 {`{}`, "Content-Encoding: gzip", http.StatusUnsupportedMediaType, cobridge.CodeUnsupportedMediaType},
		"too large":                  {`{"a":"` + strings.Repeat("x", 70_000) + `"}`, "", http.StatusRequestEntityTooLarge, cobridge.CodeTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := []string{}
			if tt.header != "" {
				header = append(header, tt.header)
			}
			h.refused(t, tt.status, tt.code, http.MethodPost, sessionsURL, tt.body, header...)
		})
	}
}

// Whatever the body, the answer is a documented one: no panic, no 500.
func FuzzBodies(f *testing.F) {
	for _, seed := range []string{
		createBody(talk), `{"state":"disconnected"}`, `{"settings":{"timeoutInMinutes":30}}`, `{"attributes":{"orderNumber":"4711"}}`,
		`{"mediaType":"message","participants":[{"purpose":"customer","name":"Kim"}]}`, `{"token":"eyJhbGciOiJIUzI1NiJ9.e30.c2ln","tab":"5f0d"}`,
		`{"sessionToken":"123 456 789","conversationId":"c","participant":{"userId":"u","role":"agent"}}`,
		`{"name":"Shop","allowedOrigins":["https://shop.example"],"startUrl":"https://shop.example/help","maskSelectors":[".card-number"]}`,
		`{"userId":"u","role":"supervisor"}`, `{"customerName":"Kim"}`, `{}`, `[]`, `{"participants":[{"userId":null}]}`, `{"settings":{"timeoutInMinutes":1e999999999}}`,
	} {
		f.Add(seed)
	}
	h := newHouse(f)
	s := h.create(f, talk2)
	shopDeployment := h.deployment(f, `"`+shop+`"`)
	calls := [][2]string{
		{http.MethodPost, sessionsURL},
		{http.MethodPatch, sessionsURL + "/" + s.ID},
		{http.MethodPost, sessionsURL + "/attach"},
		{http.MethodPost, sessionsURL + "/" + s.ID + "/participants"},
		{http.MethodPost, conversationsURL},
		{http.MethodPatch, conversationsURL + "/" + string(talk) + "/participants/x/attributes"},
		{http.MethodPost, joinURL},
		{http.MethodPost, deploymentsURL},
		{http.MethodPut, deploymentsURL + "/" + shopDeployment},
		{http.MethodPost, deploymentsURL + "/" + shopDeployment + "/sessions"},
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, call := range calls {
			if a := h.do(t, call[0], call[1], body); a.status >= http.StatusInternalServerError {
				t.Errorf("%s %s = %d %s", call[0], call[1], a.status, a.body)
			}
		}
	})
}

// The form of the token endpoint has its own decoder.
func FuzzTokenForm(f *testing.F) {
	for _, seed := range [][2]string{
		{"grant_type=client_credentials", "Basic YTpi"},
		{"grant_type=client_credentials&client_id=a&client_secret=b", ""},
		{"grant_type=client_credentials&scope=cobrowse%3Asession%3Aread", "basic YTpi"},
		{"a=1;b=2&%zz", "Basic %%%"},
		{"", "Bearer x"},
	} {
		f.Add(seed[0], seed[1])
	}
	h := newHouse(f)
	f.Fuzz(func(t *testing.T, body, authorization string) {
		if strings.ContainsFunc(authorization, func(r rune) bool { return r < ' ' || r > '~' }) {
			return // no header can have that
		}
		if a := h.do(t, http.MethodPost, "/oauth/token", body, formType, "Authorization: "+authorization); a.status >= http.StatusInternalServerError {
			t.Errorf("POST /oauth/token = %d %s", a.status, a.body)
		}
	})
}

// Members are known by their exact name. Go's decoder would take others too, and
// what it takes was not held against the schema.
func TestNamesInAnotherCaseAreUnknown(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	in := fmt.Sprintf(`{"conversationId":%q,"participants":[{"userId":%q,"role":"agent","Name":"Mallory"}],"Settings":{"timeoutInMinutes":1.5},"PARTICIPANTS":7}`, talk, ann)
	var session struct {
		ID           string `json:"id"`
		Participants []struct {
			Name string `json:"name"`
		} `json:"participants"`
		Settings struct {
			Timeout float64 `json:"timeoutInMinutes"`
		} `json:"settings"`
	}
	h.want(t, http.StatusCreated, http.MethodPost, sessionsURL, in).into(t, &session)
	if session.Settings.Timeout != 15 || len(session.Participants) != 1 || session.Participants[0].Name == "Mallory" {
		t.Errorf("session = %+v, want the default time-out and the user's own name", session)
	}
	// "State" is not "state", so this changes nothing; it once ended the session.
	h.refused(t, http.StatusBadRequest, cobridge.CodeConstraintValidation, http.MethodPatch, sessionsURL+"/"+session.ID, `{"State":"active"}`)
}
