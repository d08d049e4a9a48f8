package stream

import (
	"errors"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
)

type welcomeFrame struct {
	T            string                 `json:"t"`
	Version      int                    `json:"v"`
	Session      cobrowse.SessionID     `json:"session"`
	Participant  cobrowse.ParticipantID `json:"participant"`
	Role         cobrowse.Role          `json:"role"`
	CobrowseRole string                 `json:"cobrowseRole"`
	State        string                 `json:"state"`
	Now          string                 `json:"now"`
	Deadline     string                 `json:"deadline,omitempty"`
	Resume       *resumeBody            `json:"resume,omitempty"`
	Rules        rulesBody              `json:"rules"`
	May          []cobrowse.GrantKind   `json:"may"`
	Have         *haveBody              `json:"have,omitempty"`
	Limits       limitsBody             `json:"limits"`
}

type resumeBody struct {
	Token cobrowse.ResumeSecret `json:"token"`
}

// haveBody is the newest ev frame that the server has.
type haveBody struct {
	Epoch    uint32 `json:"e"`
	Sequence uint64 `json:"s"`
}

type limitsBody struct {
	FrameBytes       int     `json:"frameBytes"`
	FramesPerSecond  float64 `json:"framesPerSecond"`
	FrameBurst       int     `json:"frameBurst"`
	PingSeconds      float64 `json:"pingSeconds"`
	GraceSeconds     float64 `json:"graceSeconds"`
	FullBytes        int     `json:"fullBytes"`
	EvBytes          int     `json:"evBytes"`
	EvPerSecond      float64 `json:"evPerSecond"`
	EvBurst          int     `json:"evBurst"`
	EvBytesPerSecond float64 `json:"evBytesPerSecond"`
	ValueBytes       int     `json:"valueBytes"`
}

func (h *Hub) limitsBody() limitsBody {
	l := h.limits
	return limitsBody{
		FrameBytes: l.FrameBytes, FramesPerSecond: l.FramesPerSecond, FrameBurst: l.FrameBurst,
		PingSeconds: l.PingEvery.Seconds(), GraceSeconds: h.grace.Seconds(),
		FullBytes: l.Picture.FullBytes, EvBytes: l.Picture.EventBytes, EvPerSecond: l.EvPerSecond, EvBurst: l.EvBurst,
		EvBytesPerSecond: l.EvBytesPerSecond, ValueBytes: maxValue,
	}
}

// rulesBody are the rules of a deployment, as the settings for the customer's
// script have them too.
type rulesBody struct {
	TextMode             cobrowse.TextMode    `json:"textMode"`
	MaskSelectors        []string             `json:"maskSelectors"`
	ShowSelectors        []string             `json:"showSelectors"`
	BlockSelectors       []string             `json:"blockSelectors"`
	NeverShowSelectors   []string             `json:"neverShowSelectors"`
	ReadonlySelectors    []string             `json:"readonlySelectors"`
	PauseCriteria        []criterionBody      `json:"pauseCriteria"`
	AllowAgentControl    bool                 `json:"allowAgentControl"`
	AllowAgentNavigation bool                 `json:"allowAgentNavigation"`
	AllowDraw            bool                 `json:"allowDraw"`
	AllowAgentSubmit     bool                 `json:"allowAgentSubmit"`
	ControlMode          cobrowse.ControlMode `json:"controlMode"`
	ControlSelectors     []string             `json:"controlSelectors"`
	AllowedOrigins       []string             `json:"allowedOrigins"`
	AssetOrigins         []string             `json:"assetOrigins"`
	PageRules            []pageRuleBody       `json:"pageRules"`
}

type pageRuleBody struct {
	URLPattern        string   `json:"urlPattern"`
	MaskSelectors     []string `json:"maskSelectors"`
	ReadonlySelectors []string `json:"readonlySelectors"`
}

type criterionBody struct {
	URLFragment string                  `json:"urlFragment"`
	Condition   cobrowse.PauseCondition `json:"condition"`
}

func newRulesBody(d cobrowse.Deployment) rulesBody {
	list := func(s []string) []string { return append([]string{}, s...) } // [] and not null
	r := d.Rules
	b := rulesBody{
		TextMode: r.TextMode, MaskSelectors: list(r.MaskSelectors), ShowSelectors: list(r.ShowSelectors), BlockSelectors: list(r.BlockSelectors),
		NeverShowSelectors: list(r.NeverShowSelectors), ReadonlySelectors: list(r.ReadonlySelectors), PauseCriteria: []criterionBody{},
		AllowAgentControl: r.AllowAgentControl, AllowAgentNavigation: r.AllowAgentNavigation, AllowDraw: r.AllowDraw,
		AllowAgentSubmit: r.AllowAgentSubmit, ControlMode: r.ControlMode, ControlSelectors: list(r.ControlSelectors),
		AllowedOrigins: list(d.AllowedOrigins), AssetOrigins: list(r.AssetOrigins),
		PageRules: []pageRuleBody{},
	}
	for _, p := range d.PageRules() {
		b.PageRules = append(b.PageRules, pageRuleBody{URLPattern: p.URLPattern, MaskSelectors: list(p.MaskSelectors), ReadonlySelectors: list(p.ReadonlySelectors)})
	}
	for _, c := range r.PauseCriteria {
		b.PauseCriteria = append(b.PauseCriteria, criterionBody{URLFragment: c.URLFragment, Condition: c.Condition})
	}
	return b
}

type peersFrame struct {
	T    string     `json:"t"`
	List []peerBody `json:"list"`
}

type peerBody struct {
	ID           cobrowse.ParticipantID    `json:"id"`
	Role         cobrowse.Role             `json:"role"`
	CobrowseRole string                    `json:"cobrowseRole"`
	Name         string                    `json:"name,omitempty"`
	State        cobrowse.ParticipantState `json:"state"`
	Connected    bool                      `json:"connected"`
	Quality      string                    `json:"quality,omitempty"`
}

type stateFrame struct {
	T        string `json:"t"`
	State    string `json:"state"`
	Why      string `json:"why,omitempty"`
	Deadline string `json:"deadline,omitempty"`
}

type grantsFrame struct {
	T    string      `json:"t"`
	List []grantBody `json:"list"`
}

type grantBody struct {
	Kind        cobrowse.GrantKind     `json:"kind"`
	Participant cobrowse.ParticipantID `json:"participant"`
	GrantedAt   string                 `json:"grantedAt"`
	ExpiresAt   string                 `json:"expiresAt,omitempty"`
}

type answerFrame struct {
	T    string             `json:"t"`
	N    uint64             `json:"n"`
	Kind cobrowse.GrantKind `json:"kind"`
	OK   bool               `json:"ok"`
	Why  string             `json:"why,omitempty"`
}

// Why a question was answered with no.
const (
	whyDeclined   = "declined"
	whyNotAllowed = "notAllowed"
)

type pageFrame struct {
	T     string `json:"t"`
	URL   string `json:"url"`
	Title string `json:"title"`
}

type errFrame struct {
	T       string        `json:"t"`
	Code    cobridge.Code `json:"code"`
	Message string        `json:"message"`
	Fatal   bool          `json:"fatal"`
}

// Words for a session's state on the stream.
const (
	stateWaiting      = "waiting"      // for the sharer and a viewer to be here for the first time
	stateLive         = "live"         // both were here
	statePaused       = "paused"       // the sharer shows nothing for now
	stateReconnecting = "reconnecting" // the sharer is away
	stateEnded        = "ended"
)

// States returns the words for a session's state, in the order of docs/protocol.md.
func States() []string {
	return []string{stateWaiting, stateLive, statePaused, stateReconnecting, stateEnded}
}

// newStateFrame tells where a session stands; paused is why its sharer shows
// nothing, or empty.
func newStateFrame(s cobrowse.Session, paused string) stateFrame {
	f := stateFrame{T: kindState, State: stateWaiting, Deadline: deadlineOf(s)}
	sharer, ok := s.Participant(s.Sharer())
	switch {
	case s.State() == cobrowse.StateEnded:
		f.State, f.Why = stateEnded, string(s.EndReason)
	case s.State() != cobrowse.StateActive:
	case ok && !sharer.Connection.Open:
		f.State = stateReconnecting
	case paused != "":
		f.State, f.Why = statePaused, paused
	default:
		f.State = stateLive
	}
	return f
}

func cobrowseRole(s cobrowse.Session, id cobrowse.ParticipantID) string {
	if s.Sharer() == id {
		return "sharer"
	}
	return "viewer"
}

func deadlineOf(s cobrowse.Session) string {
	if !s.Live() || s.Deadline.IsZero() {
		return ""
	}
	return web.FormatTime(s.Deadline)
}

func newPeersFrame(s cobrowse.Session, quality func(cobrowse.ParticipantID) string) peersFrame {
	f := peersFrame{T: kindPeers, List: []peerBody{}}
	for _, p := range s.Participants {
		if p.Removed || p.Role == cobrowse.RoleController { // who sees nothing is nobody here
			continue
		}
		peer := peerBody{
			ID: p.ID, Role: p.Role, CobrowseRole: cobrowseRole(s, p.ID), Name: p.Name, State: p.State, Connected: p.Connection.Open,
		}
		if p.Connection.Open {
			peer.Quality = quality(p.ID)
		}
		f.List = append(f.List, peer)
	}
	return f
}

// newGrantsFrame lists the grants in force, and returns when the first of them ends.
func newGrantsFrame(s cobrowse.Session, now time.Time) (f grantsFrame, next time.Time) {
	f = grantsFrame{T: kindGrants, List: []grantBody{}}
	if !s.Live() {
		return f, next
	}
	for _, g := range s.Grants {
		if g.Kind == cobrowse.GrantSharing || !g.InForce(now) {
			continue
		}
		body := grantBody{Kind: g.Kind, Participant: g.To, GrantedAt: web.FormatTime(g.GivenAt)}
		if !g.ExpiresAt.IsZero() {
			body.ExpiresAt = web.FormatTime(g.ExpiresAt)
			if next.IsZero() || g.ExpiresAt.Before(next) {
				next = g.ExpiresAt
			}
		}
		f.List = append(f.List, body)
	}
	return f, next
}

// newPageFrame tells which page the sharer shows now; an empty address is none.
func newPageFrame(s cobrowse.Session) pageFrame {
	f := pageFrame{T: kindPage}
	if n := len(s.Pages); n > 0 && s.Pages[n-1].LeftAt.IsZero() {
		f.URL, f.Title = s.Pages[n-1].URL, s.Pages[n-1].Title
	}
	return f
}

func newErrFrame(err error, fatal bool) errFrame {
	f := errFrame{T: kindErr, Code: cobridge.CodeOf(err), Message: "An unexpected error occurred.", Fatal: fatal}
	if e, ok := asError(err); ok && e.Code != cobridge.CodeInternal && e.Message != "" {
		f.Message = e.Message
	}
	return f
}

func asError(err error) (*cobridge.Error, bool) { return errors.AsType[*cobridge.Error](err) }
