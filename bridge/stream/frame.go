package stream

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"unicode/utf8"

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

	// The picture.
	kindEv    = "ev"
	kindSync  = "sync"
	kindSkip  = "skip"
	kindAck   = "ack"
	kindNeed  = "need"
	kindFocus = "focus"
	kindVis   = "vis"
	kindPause = "pause"

	// What a viewer may do in it.
	kindAsk     = "ask"
	kindAnswer  = "answer"
	kindConsent = "consent"
	kindRevoke  = "revoke"
	kindGrants  = "grants"
	kindCtl     = "ctl"
	kindDone    = "done"
	kindPtr     = "ptr"
	kindDraw    = "draw"

	// kindUnknown stands for all others, so that a metric has a closed set of labels.
	kindUnknown = "unknown"
)

// Inbound returns the kinds of frames that clients send, in the order of docs/protocol.md.
func Inbound() []string {
	return []string{
		kindHello, kindAct, kindPage, kindEnd, kindEv, kindFocus, kindVis, kindPause, kindConsent, kindRevoke, kindDone, kindNeed,
		kindPtr, kindDraw, kindAsk, kindCtl,
	}
}

// Outbound returns the kinds of frames that clients get, in the order of docs/protocol.md.
func Outbound() []string {
	return []string{
		kindWelcome, kindPeers, kindState, kindGrants, kindPage, kindErr, kindSync, kindEv, kindSkip, kindFocus, kindVis, kindPtr,
		kindDraw, kindAsk, kindAnswer, kindCtl, kindDone, kindNeed, kindAck,
	}
}

// ControlKinds returns what a ctl frame may ask for, in the order of docs/protocol.md.
func ControlKinds() []string {
	return []string{"click", "dbl", "text", "set", "key", "scroll", "back", "forward", "reload", "goto"}
}

// Refusals returns the words for why something in the page was not done, in the
// order of docs/protocol.md.
func Refusals() []string {
	return []string{
		whyStale, whyGone, whyMasked, whyReadonly, whySubmit, whyOffsite, whyUnsafe, whyBusy, whyDenied, whyError,
	}
}

// Why something in the page was not done.
const (
	whyStale    = "stale"    // the page is another one by now
	whyGone     = "gone"     // the element is
	whyMasked   = "masked"   // it is private
	whyReadonly = "readonly" // by configuration
	whySubmit   = "submit"   // viewers submit no forms
	whyOffsite  = "offsite"  // leads to another site
	whyUnsafe   = "unsafe"   // a script, a file
	whyBusy     = "busy"     // the customer types there, or there was too much at once
	whyDenied   = "denied"   // no grant in force
	whyError    = "error"
)

// version is the protocol's, in hello and welcome.
const version = 1

// hello is how a client says who it is: with a join token, or with the secret of
// the link it had before.
type hello struct {
	Version     int                    `json:"v"`
	Token       string                 `json:"token"`
	Participant cobrowse.ParticipantID `json:"participant"`
	Tab         string                 `json:"tab"`
	Take        bool                   `json:"take"`
	Resume      *struct {
		Token string `json:"token"`
	} `json:"resume"`
}

// pageVisit is the page that the sharer shows.
type pageVisit struct {
	URL   string `json:"url"`
	Title string `json:"title"`
}

// focus tells that the sharer is in a private field, or has left it.
type focus struct {
	T      string `json:"t"`
	Epoch  uint32 `json:"e"`
	ID     int64  `json:"id"`
	Masked bool   `json:"masked"`
}

// vis tells whether a page is visible.
type vis struct {
	T      string `json:"t"`
	Hidden bool   `json:"hidden"`
}

type pause struct {
	On  bool   `json:"on"`
	Why string `json:"why"`
}

// consent is the sharer's answer to a question, or its will without one.
type consent struct {
	Kind cobrowse.GrantKind     `json:"kind"`
	OK   bool                   `json:"ok"`
	To   cobrowse.ParticipantID `json:"to"`
	N    uint64                 `json:"n"`
	TTL  int64                  `json:"ttl"` // seconds
	Text string                 `json:"text"`
}

type revoke struct {
	Kind        cobrowse.GrantKind     `json:"kind"`
	Participant cobrowse.ParticipantID `json:"participant"`
}

// ask is a viewer's question; From, Name and Role are set on the way to the sharer.
type ask struct {
	T    string                 `json:"t"`
	N    uint64                 `json:"n"`
	From cobrowse.ParticipantID `json:"from"`
	Name string                 `json:"name,omitempty"`
	Role cobrowse.Role          `json:"role"`
	Kind cobrowse.GrantKind     `json:"kind"`
}

// ctl is what a viewer wants done; From and Name are set on the way to the sharer.
type ctl struct {
	T     string                 `json:"t"`
	N     uint64                 `json:"n"`
	Epoch uint32                 `json:"e"`
	Kind  string                 `json:"k"`
	ID    *int64                 `json:"id,omitempty"`
	Value *string                `json:"v,omitempty"`
	Key   string                 `json:"key,omitempty"`
	X     *float64               `json:"x,omitempty"`
	Y     *float64               `json:"y,omitempty"`
	URL   string                 `json:"url,omitempty"`
	From  cobrowse.ParticipantID `json:"from"`
	Name  string                 `json:"name,omitempty"`
}

// done is the sharer's answer to a ctl. To and Path do not reach the viewer.
type done struct {
	T    string                 `json:"t"`
	To   cobrowse.ParticipantID `json:"to,omitempty"`
	N    uint64                 `json:"n"`
	OK   bool                   `json:"ok"`
	Why  string                 `json:"why,omitempty"`
	Path string                 `json:"path,omitempty"`
}

// ptr is where somebody points; From is set on the way to the others.
type ptr struct {
	T    string                 `json:"t"`
	From cobrowse.ParticipantID `json:"from"`
	X    float64                `json:"x"`
	Y    float64                `json:"y"`
	ID   *int64                 `json:"id,omitempty"`
	FX   *float64               `json:"fx,omitempty"`
	FY   *float64               `json:"fy,omitempty"`
	Down bool                   `json:"down,omitempty"`
}

// draw is a part of a drawing; From is set on the way to the others.
type draw struct {
	T       string                 `json:"t"`
	From    cobrowse.ParticipantID `json:"from"`
	N       uint64                 `json:"n"`
	Kind    string                 `json:"k"`
	Points  [][2]float64           `json:"pts,omitempty"`
	Color   string                 `json:"color,omitempty"`
	ScrollX *float64               `json:"sx,omitempty"`
	ScrollY *float64               `json:"sy,omitempty"`
}

var errBadFrame = errors.New("not a frame")

// decodeFrame reads one frame: a JSON object in UTF-8 whose first member is "t".
// It returns its kind, one of [Inbound] or kindUnknown, and what was read of it: a
// pointer to the type of its kind, or nil for those without members. Other members
// that the kind does not have are ignored, as are all of those of an unknown kind.
// It does not read ev frames, which are nobody's business but the viewers'.
func decodeFrame(data []byte) (kind string, body any, err error) {
	kind, ok := kindOf(data)
	if !ok || !utf8.Valid(data) || web.TooDeep(data, maxDepth) || !json.Valid(data) {
		return "", nil, errBadFrame
	}
	sound := func() bool { return true }
	switch kind {
	case kindHello:
		f := new(hello)
		body, sound = f, f.sound
	case kindPage:
		body = new(pageVisit)
	case kindFocus:
		body = new(focus)
	case kindVis:
		body = new(vis)
	case kindPause:
		f := new(pause)
		body, sound = f, func() bool { return len(f.Why) <= maxID }
	case kindConsent:
		f := new(consent)
		body, sound = f, func() bool { return len(f.To) <= maxID && f.TTL >= 0 && f.TTL <= 1<<31 }
	case kindRevoke:
		f := new(revoke)
		body, sound = f, func() bool { return len(f.Kind) <= maxID && len(f.Participant) <= maxID }
	case kindAsk:
		body = new(ask)
	case kindCtl:
		f := new(ctl)
		body, sound = f, f.sound
	case kindDone:
		f := new(done)
		body, sound = f, func() bool { return len(f.To) <= maxID }
	case kindPtr:
		f := new(ptr)
		body, sound = f, f.sound
	case kindDraw:
		f := new(draw)
		body, sound = f, f.sound
	case kindAct, kindEnd, kindNeed:
		return kind, nil, nil
	default:
		return kindUnknown, nil, nil
	}
	if err := json.Unmarshal(data, body); err != nil || !sound() {
		return "", nil, errBadFrame
	}
	return kind, body, nil
}

func (h *hello) sound() bool {
	secret := ""
	if h.Resume != nil {
		secret = h.Resume.Token
	}
	return h.Version == version && len(h.Token) <= maxToken && len(secret) <= maxToken && len(h.Participant) <= maxID && len(h.Tab) <= maxTab
}

func (f *ctl) sound() bool {
	bounded(f.X, f.Y)
	return slices.Contains(ControlKinds(), f.Kind) && (f.Value == nil || len(*f.Value) <= maxValue) && len(f.Key) <= maxKey && len(f.URL) <= maxURL
}

func (f *ptr) sound() bool {
	bounded(&f.X, &f.Y, f.FX, f.FY)
	return true
}

func (f *draw) sound() bool {
	f.Points = f.Points[:min(len(f.Points), maxPoints)]
	for i := range f.Points {
		bounded(&f.Points[i][0], &f.Points[i][1])
	}
	bounded(f.ScrollX, f.ScrollY)
	return slices.Contains([]string{"begin", "pts", "end", "clear"}, f.Kind) && len(f.Color) <= maxColor && plain(f.Color)
}

// bounded brings coordinates into a range in which nobody's arithmetic fails.
func bounded(values ...*float64) {
	for _, v := range values {
		if v != nil {
			*v = max(-maxPixel, min(*v, maxPixel))
		}
	}
}

// plain reports whether a colour has nothing in it but what those of CSS are made of.
func plain(color string) bool {
	for _, c := range []byte(color) {
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') && !bytes.ContainsRune([]byte("#(),.% "), rune(c)) {
			return false
		}
	}
	return true
}

// evHead is how every ev frame begins: the order of its members is part of the protocol.
const evHead = `{"t":"ev",`

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
