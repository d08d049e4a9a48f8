package mocks

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cobridge/cobridge"
)

// AdminPath is where the admin API of a [Server] is. The service has no path that
// begins so.
const AdminPath = "/__mock"

// AdminOpenAPI is the description of the admin API, OpenAPI 3.1.
//
//go:embed admin.yaml
var AdminOpenAPI []byte

func isAdmin(path string) bool { return path == AdminPath || strings.HasPrefix(path, AdminPath+"/") }

// newAdmin returns the admin API: to steer the double and to look inside.
func (s *Server) newAdmin() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, fn func(*adminCall) error) {
		method, path, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(method+" "+AdminPath+path, func(w http.ResponseWriter, r *http.Request) {
			call := &adminCall{server: s, w: w, r: r}
			if err := call.run(fn); err != nil {
				writeError(w, statusOf(err), textOf(err))
			}
		})
	}
	mux.HandleFunc("POST "+AdminPath+"/reset", func(w http.ResponseWriter, r *http.Request) { // waits for all other calls
		if err := postReset(&adminCall{server: s, w: w, r: r}); err != nil { //nolint:contextcheck // the request has it
			writeError(w, statusOf(err), err.Error())
		}
	})
	handle("GET /{$}", getInfo)
	handle("GET /info", getInfo)
	handle("GET /openapi.yaml", getOpenAPI)
	handle("GET /clock", getClock)
	handle("POST /clock", postClock)
	handle("GET /faults", getFaults)
	handle("POST /faults", postFault)
	handle("DELETE /faults", deleteFaults)
	handle("GET /calls", getCalls)
	handle("DELETE /calls", deleteCalls)
	handle("POST /tokens", postToken)
	handle("DELETE /tokens", deleteTokens)
	handle("POST /conversations", postConversation)
	handle("GET /conversations/{id}", getConversation)
	handle("DELETE /conversations/{id}", deleteConversation)
	handle("GET /sessions", getSessions)
	handle("POST /sessions", postSession)
	handle("GET /sessions/{id}", getSession)
	handle("DELETE /sessions/{id}", deleteSession)
	handle("POST /sessions/{id}/participants/{participant}/{action}", postParticipant)
	handle("GET /join/{role}", getJoin)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, http.StatusNotFound, "the admin API has no "+r.Method+" "+r.URL.Path+"; see "+AdminPath+"/openapi.yaml")
	})
	return s.guard(mux)
}

// guard keeps web pages out. What listens on loopback is reached by every page that
// is open in a browser of this machine: by a name that leads here (DNS rebinding), which
// Host gives away, or by a plain cross-origin request, which browsers mark. Links may
// be followed from anywhere: they change nothing that a page could see.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
		link := r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, AdminPath+"/join/") && r.Header.Get("Sec-Fetch-Mode") == "navigate"
		switch {
		case !slices.Contains(s.hosts, strings.ToLower(r.Host)):
			writeError(w, http.StatusForbidden, fmt.Sprintf("the admin API answers to %s, not to %q", strings.Join(s.hosts, ", "), r.Host))
		case origin != "" && origin != s.options.BaseURL, site != "" && site != "none" && site != "same-origin" && !link:
			writeError(w, http.StatusForbidden, "the admin API is not for pages of another origin")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// adminCall is one call of the admin API.
type adminCall struct {
	server *Server
	double *double
	w      http.ResponseWriter
	r      *http.Request
}

// adminLimit bounds bodies: the longest has a few short members.
const adminLimit = 64 << 10

func (c *adminCall) run(fn func(*adminCall) error) error {
	var err error
	if c.double, err = c.server.current(); err != nil {
		return err
	}
	if !c.double.enter() {
		return errEnded
	}
	defer c.double.leave()
	return fn(c)
}

func (c *adminCall) ctx() context.Context { return c.r.Context() }

// decode reads the body; one that is empty changes nothing.
func (c *adminCall) decode(v any) error {
	body, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, adminLimit))
	if err != nil {
		return adminError{http.StatusBadRequest, "the body cannot be read: " + err.Error()}
	}
	if len(strings.TrimSpace(string(body))) == 0 {
		return nil
	}
	dec := json.NewDecoder(strings.NewReader(string(body)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return adminError{http.StatusBadRequest, "the body is not what is wanted: " + err.Error()}
	}
	if dec.More() {
		return adminError{http.StatusBadRequest, "the body has more than one value"}
	}
	return nil
}

func (c *adminCall) answer(status int, v any) error {
	writeJSON(c.w, status, v)
	return nil
}

func (c *adminCall) done() error {
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// adminError is a failure whose text is for the caller.
type adminError struct {
	status int
	text   string
}

func (e adminError) Error() string { return e.text }

// statusOf returns the status of a failure. Texts are for the person who tests, so
// they say what went wrong.
func statusOf(err error) int {
	if e, ok := errors.AsType[adminError](err); ok {
		return e.status
	}
	if _, ok := errors.AsType[*noParticipantError](err); ok {
		return http.StatusNotFound
	}
	switch cobridge.CodeOf(err) {
	case cobridge.CodeNotFound, cobridge.CodeConversationNotFound, cobridge.CodeUserNotFound:
		return http.StatusNotFound
	case cobridge.CodeConflict, cobridge.CodeSessionEnded:
		return http.StatusConflict
	case cobridge.CodeBadRequest, cobridge.CodeConstraintValidation, cobridge.CodeMissingPermissions:
		return http.StatusBadRequest
	default:
		if errors.Is(err, errEnded) {
			return http.StatusServiceUnavailable
		}
		return http.StatusInternalServerError
	}
}

// textOf returns what a failure says. The service's own keep the fields and their faults
// apart from the sentence.
func textOf(err error) string {
	var text strings.Builder
	text.WriteString(err.Error())
	if e, ok := errors.AsType[*cobridge.Error](err); ok {
		for _, d := range e.Details {
			_, _ = fmt.Fprintf(&text, " [%s: %s]", d.FieldName, d.ErrorCode)
		}
	}
	return text.String()
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // the caller has gone
}

func writeError(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, map[string]any{"message": message, "status": status})
}

func getOpenAPI(c *adminCall) error {
	c.w.Header().Set("Content-Type", "application/yaml")
	_, _ = c.w.Write(AdminOpenAPI)
	return nil
}

// ServerInfo is what there is in a [Server]. The first nine keys are those of
// "cobridge demo --json"; keys are never renamed.
type ServerInfo struct {
	BaseURL          string   `json:"baseUrl"`
	OrgID            string   `json:"orgId"`
	ClientID         string   `json:"clientId"`
	ClientSecret     string   `json:"clientSecret"`
	ConversationID   string   `json:"conversationId"`
	AgentUserID      string   `json:"agentUserId"`
	SupervisorUserID string   `json:"supervisorUserId"`
	CustomerURL      string   `json:"customerUrl"` // a new session at each start, for clicking
	JoinURLs         joinURLs `json:"joinUrls"`

	AdminURL        string            `json:"adminUrl"`
	Scenario        string            `json:"scenario"`
	SessionID       string            `json:"sessionId,omitempty"` // of the scenario
	Seed            uint64            `json:"seed"`
	Clock           clockInfo         `json:"clock"`
	Reader          clientCredentials `json:"reader"` // may read sessions and users only
	Other           clientCredentials `json:"other"`  // of another organisation
	IncapableUserID string            `json:"incapableUserId"`
	OtherUserID     string            `json:"otherUserId"`
	DeploymentID    string            `json:"deploymentId"`
	SiteOrigins     []string          `json:"siteOrigins"`
	Problems        int               `json:"problems"` // since the start
}

type joinURLs struct {
	Agent      string `json:"agent"`
	Supervisor string `json:"supervisor"`
}

type clientCredentials struct {
	ClientID     string `json:"clientId"`
	ClientSecret string `json:"clientSecret"`
}

type clockInfo struct {
	Now     moment `json:"now"`
	Running bool   `json:"running"`
}

// moment is a time as the service writes it.
type moment time.Time

// MarshalJSON implements [json.Marshaler].
func (m moment) MarshalJSON() ([]byte, error) {
	return []byte(`"` + time.Time(m).UTC().Format("2006-01-02T15:04:05.000Z") + `"`), nil
}

// IsZero is for omitzero.
func (m moment) IsZero() bool { return time.Time(m).IsZero() }

// Info returns what there is now. It is zero after the end.
func (s *Server) Info() ServerInfo {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.double == nil {
		return ServerInfo{}
	}
	d, join := s.double, s.options.BaseURL+AdminPath+"/join/"
	return ServerInfo{
		BaseURL: d.BaseURL, OrgID: d.OrgID, ClientID: d.ClientID, ClientSecret: d.ClientSecret, ConversationID: d.ConversationID,
		AgentUserID: d.AgentUserID, SupervisorUserID: d.SupervisorUserID,
		CustomerURL: join + "customer", JoinURLs: joinURLs{Agent: join + "agent", Supervisor: join + "supervisor"},
		AdminURL: s.options.BaseURL + AdminPath, Scenario: s.now.scenario.name(), SessionID: d.SessionID, Seed: s.now.seed,
		Clock:  clockInfo{Now: moment(d.clock.Now()), Running: s.options.Running},
		Reader: clientCredentials(d.Reader), Other: clientCredentials(d.Other),
		IncapableUserID: d.IncapableUserID, OtherUserID: d.OtherUserID,
		DeploymentID: d.DeploymentID, SiteOrigins: append([]string{SiteOrigin}, s.options.SiteOrigins...), Problems: s.Problems(),
	}
}

func getInfo(c *adminCall) error { return c.answer(http.StatusOK, c.server.Info()) }

// postReset takes the service back to what it began with, or into another situation.
func postReset(c *adminCall) error {
	var in struct {
		Scenario *string    `json:"scenario"`
		Seed     *uint64    `json:"seed"`
		Time     *time.Time `json:"time"`
	}
	if err := c.decode(&in); err != nil {
		return err
	}
	o := c.server.options
	to := situation{o.Scenario, o.Seed, o.Time}
	if in.Scenario != nil {
		var err error
		if to.scenario, err = ParseScenario(*in.Scenario); err != nil {
			return adminError{http.StatusBadRequest, err.Error()}
		}
	}
	if in.Seed != nil {
		to.seed = *in.Seed
	}
	if in.Time != nil {
		if err := checkTime(*in.Time); err != nil {
			return adminError{http.StatusBadRequest, err.Error()}
		}
		to.time = *in.Time
	}
	if err := c.server.reset(c.ctx(), to); err != nil {
		return err
	}
	return getInfo(c)
}
