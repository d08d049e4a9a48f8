package stream

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
)

// The kinds of frames.
const (
	kindHello   = "hello"
	kindWelcome = "welcome"
	kindPeers   = "peers"
	kindState   = "state"
	kindAct     = "act"
	kindPage    = "page"
	kindEnd     = "end"
	kindErr     = "err"

	// kindUnknown stands for all others, so that a metric has a closed set of labels.
	kindUnknown = "unknown"
)

// Inbound and Outbound return the kinds of frames that clients send and get, in
// the order of docs/protocol.md.
func Inbound() []string { return []string{kindHello, kindAct, kindPage, kindEnd} }

// Outbound returns the kinds of frames that clients get.
func Outbound() []string { return []string{kindWelcome, kindPeers, kindState, kindPage, kindErr} }

// version is the protocol's, in hello and welcome.
const version = 1

// frame is a frame from a client. Only the members of its kind are set.
type frame struct {
	kind  string // one of Inbound() or kindUnknown
	hello hello
	page  pageVisit
}

// hello is how a client says who it is: with a join token, or with the secret of
// the link it had before.
type hello struct {
	Version     int                    `json:"v"`
	Token       string                 `json:"token"`
	Participant cobrowse.ParticipantID `json:"participant"`
	Tab         string                 `json:"tab"`
	Resume      *struct {
		Token string `json:"token"`
	} `json:"resume"`
}

// pageVisit is the page that the sharer shows.
type pageVisit struct {
	URL   string `json:"url"`
	Title string `json:"title"`
}

var errBadFrame = errors.New("not a frame")

// decodeFrame reads one frame: a JSON object in UTF-8 whose first member is "t".
// Other members that the kind does not have are ignored, as are all of those of
// an unknown kind.
func decodeFrame(data []byte) (frame, error) {
	kind, ok := kindOf(data)
	if !ok || !utf8.Valid(data) || web.TooDeep(data, maxDepth) || !json.Valid(data) {
		return frame{}, errBadFrame
	}
	f := frame{kind: kind}
	var err error
	switch kind {
	case kindHello:
		err = json.Unmarshal(data, &f.hello)
		if err == nil && !f.hello.sound() {
			err = errBadFrame
		}
	case kindPage:
		err = json.Unmarshal(data, &f.page)
	case kindAct, kindEnd:
	default:
		f.kind = kindUnknown
	}
	if err != nil {
		return frame{}, errBadFrame
	}
	return f, nil
}

func (h hello) sound() bool {
	secret := ""
	if h.Resume != nil {
		secret = h.Resume.Token
	}
	return h.Version == version && len(h.Token) <= maxToken && len(secret) <= maxToken && len(h.Participant) <= maxID && len(h.Tab) <= maxTab
}

// kindOf returns the value of the first member if that is called t. Kinds have
// lower-case letters only, so that nothing needs to be unescaped.
func kindOf(data []byte) (string, bool) {
	const space = " \t\r\n"
	rest := bytes.TrimLeft(data, space)
	for _, want := range []string{"{", `"t"`, ":"} {
		after, ok := bytes.CutPrefix(rest, []byte(want))
		if !ok {
			return "", false
		}
		rest = bytes.TrimLeft(after, space)
	}
	rest, ok := bytes.CutPrefix(rest, []byte{'"'})
	if !ok {
		return "", false
	}
	end := bytes.IndexAny(rest, `"\`)
	if end < 0 || rest[end] != '"' {
		return "", false
	}
	return string(rest[:end]), true
}

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
	Limits       limitsBody             `json:"limits"`
}

type resumeBody struct {
	Token cobrowse.ResumeSecret `json:"token"`
}

type limitsBody struct {
	FrameBytes      int     `json:"frameBytes"`
	FramesPerSecond float64 `json:"framesPerSecond"`
	FrameBurst      int     `json:"frameBurst"`
	PingSeconds     float64 `json:"pingSeconds"`
	GraceSeconds    float64 `json:"graceSeconds"`
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
}

type stateFrame struct {
	T        string             `json:"t"`
	State    string             `json:"state"`
	Why      cobrowse.EndReason `json:"why,omitempty"`
	Deadline string             `json:"deadline,omitempty"`
}

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
	stateWaiting = "waiting"
	stateLive    = "live"
	stateEnded   = "ended"
)

func stateOf(s cobrowse.Session) string {
	switch s.State() {
	case cobrowse.StateActive:
		return stateLive
	case cobrowse.StateEnded:
		return stateEnded
	default:
		return stateWaiting
	}
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

func newPeersFrame(s cobrowse.Session) peersFrame {
	f := peersFrame{T: kindPeers, List: []peerBody{}}
	for _, p := range s.Participants {
		if p.Removed {
			continue
		}
		f.List = append(f.List, peerBody{
			ID: p.ID, Role: p.Role, CobrowseRole: cobrowseRole(s, p.ID), Name: p.Name, State: p.State, Connected: p.Connection.Open,
		})
	}
	return f
}

func newStateFrame(s cobrowse.Session) stateFrame {
	return stateFrame{T: kindState, State: stateOf(s), Why: s.EndReason, Deadline: deadlineOf(s)}
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
