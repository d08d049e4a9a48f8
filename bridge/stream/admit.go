package stream

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
)

// subprotocol is what clients offer and get. A token may stand beside it, after
// tokenPrefix: a JWT has only characters that are allowed there, and so it is in
// no URL and no log.
const (
	subprotocol = "cobridge.v1"
	tokenPrefix = "cobridge.token."
)

// entry is what a connection brings along. Everything in it was copied out of
// the request, which is gone when the connection begins.
type entry struct {
	session cobrowse.SessionID
	network string
	origin  string
	own     bool // origin is that of our own pages
	deflate bool // the client takes compressed frames
	joined  *cobrowse.Joined
	byCaller
}

// byCaller is what the caller shows before the upgrade.
type byCaller struct {
	token       string                 // join token, from the subprotocols
	participant cobrowse.ParticipantID // of the resume cookie
	secret      cobrowse.ResumeSecret  // from the cookie
	tab         string
	take        bool // its other tab shall stop
}

func formatTime(t time.Time) string { return web.FormatTime(t) }

func notAllowed(message string) error {
	return &cobridge.Error{Code: cobridge.CodeNotAuthorized, Message: message}
}

func errFrameRefused() error {
	return &cobridge.Error{Code: cobridge.CodeBadRequest, Message: "This is not a frame of the protocol, or not the one that comes first."}
}

// open answers GET …/stream. What can be refused before the upgrade is an HTTP
// answer; what the caller shows only in its first frame is checked afterwards.
func (h *Hub) open(c *fiber.Ctx) error {
	err := h.tryOpen(c)
	if err != nil {
		callWith(h.metrics.Refused, string(cobridge.CodeOf(err)))
	}
	return err
}

func (h *Hub) tryOpen(c *fiber.Ctx) error {
	e, err := h.entryOf(c)
	if err != nil {
		return err
	}
	if err := checkHandshake(c); err != nil {
		return err
	}
	if h.owned != nil {
		if relayed, err := h.owned.Relay(c, e.session); relayed || err != nil {
			return err
		}
	}
	if err := h.reserve(e.network, e.token == "" && e.secret == ""); err != nil {
		return err
	}
	opened := false
	defer func() {
		if !opened {
			h.giveBack(e.network, e.joined == nil)
		}
	}()
	ctx := c.UserContext()
	s, err := h.liveSession(ctx, e.session)
	if err != nil {
		return err
	}
	if !h.originAllowed(ctx, e, s, true) {
		return notAllowed("Pages of this origin may not open the stream of this session.")
	}
	if e.token != "" || e.secret != "" {
		joined, err := h.connect(ctx, e, s, e.byCaller)
		if err != nil {
			return err
		}
		e.joined = &joined
		h.known(e.network)
		h.setCookie(c, &e, &joined)
		e.byCaller = byCaller{} // used up; nobody needs it any longer
	}
	// From here on the connection gives back its place and reports its end: in the
	// handler if that is ever called, which it is not when the answer cannot be written.
	started := &sync.Once{}
	watchdog := time.AfterFunc(2*h.limits.Handshake, func() { started.Do(func() { h.abandon(e) }) })
	err = h.upgrader.Upgrade(c.Context(), func(ws *websocket.Conn) {
		mine := false
		started.Do(func() { mine = true })
		if !mine {
			_ = ws.Close() // it came so late that it was given up
			return
		}
		watchdog.Stop()
		own, err := h.own(ws, e.deflate)
		if err != nil {
			_ = ws.Close() // it was not one of ours
			h.abandon(e)
			return
		}
		// In a goroutine of its own, so that the request and all its buffers go back.
		go h.serve(own, &e)
	})
	opened = true
	if err != nil {
		watchdog.Stop()
		h.abandon(e)
		return &cobridge.Error{Code: cobridge.CodeBadRequest, Message: "This is not a WebSocket handshake.", Err: err}
	}
	return nil
}

// abandon undoes what was done for a connection that never began.
func (h *Hub) abandon(e entry) {
	if e.joined != nil {
		h.disconnected(member{session: e.session, participant: e.joined.Participant.ID, number: e.joined.Participant.Connection.Number})
	}
	h.giveBack(e.network, e.joined == nil)
}

// check answers GET …/stream/check: whether the cookie would let in, without
// using it up. A browser cannot read why a WebSocket was refused.
func (h *Hub) check(c *fiber.Ctx) error {
	e, err := h.entryOf(c)
	if err != nil {
		return err
	}
	s, err := h.service.Look(c.UserContext(), e.session)
	if err != nil {
		return err
	}
	if e.origin != "" && !e.own {
		// The sharer's page is on the customer's site, whose script reads the answer.
		if !h.originAllowed(c.UserContext(), e, s, true) {
			return notAllowed("Pages of this origin may not ask this.")
		}
		c.Set(fiber.HeaderAccessControlAllowOrigin, e.origin)
		c.Vary(fiber.HeaderOrigin)
	}
	if !s.Live() {
		return sessionEnded()
	}
	if e.participant != "" {
		p, ok := s.Participant(e.participant)
		if !ok || !p.Resumes(e.secret, e.tab, h.clock.Now()) {
			return resumeInvalid()
		}
	}
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.SendStatus(fiber.StatusNoContent)
}

func resumeInvalid() error {
	return &cobridge.Error{Code: cobridge.CodeResumeInvalid, Message: "This connection cannot be resumed; open a new join link."}
}

// entryOf copies what matters out of a request.
func (h *Hub) entryOf(c *fiber.Ctx) (entry, error) {
	e := entry{
		session: cobrowse.SessionID(strings.Clone(c.Params("sessionId"))), network: web.ClientNetwork(c),
		origin: strings.Clone(c.Get(fiber.HeaderOrigin)),
	}
	e.own, e.deflate = h.isOwn(c, e.origin), inflates(c)
	e.participant, e.tab = cobrowse.ParticipantID(strings.Clone(c.Query("participant"))), strings.Clone(c.Query("tab"))
	for _, f := range []struct {
		name  string
		value string
		limit int
	}{{"participant", string(e.participant), maxID}, {"tab", e.tab, maxTab}} {
		if len(f.value) > f.limit {
			return entry{}, &cobridge.Error{
				Code: cobridge.CodeInvalidQueryParam, Message: fmt.Sprintf("The parameter %s has at most %d characters.", f.name, f.limit),
				Details: []cobridge.Detail{{FieldName: f.name}},
			}
		}
	}
	if len(e.session) > maxID {
		return entry{}, &cobridge.Error{Code: cobridge.CodeNotFound}
	}
	for _, offer := range offers(c) {
		if token, ok := strings.CutPrefix(offer, tokenPrefix); ok {
			e.token = strings.Clone(token)
		}
	}
	if e.token == "" && e.participant != "" {
		e.secret = cobrowse.ResumeSecret(strings.Clone(c.Cookies(h.cookie.Name(string(e.participant)))))
		if e.secret == "" || len(e.secret) > maxToken {
			return entry{}, resumeInvalid()
		}
	}
	return e, nil
}

// offers returns the subprotocols that the client offers.
func offers(c *fiber.Ctx) []string {
	var all []string
	for offer := range strings.SplitSeq(c.Get("Sec-WebSocket-Protocol"), ",") {
		if offer = strings.TrimSpace(offer); offer != "" {
			all = append(all, offer)
		}
	}
	return all
}

// inflates reports whether a client takes compressed frames: it offers
// permessage-deflate, which the upgrader then agrees to, and not a smaller window
// than ours, which the upgrader does not look at.
func inflates(c *fiber.Ctx) bool {
	for offer := range strings.SplitSeq(c.Get("Sec-WebSocket-Extensions"), ",") {
		name, parameters, _ := strings.Cut(offer, ";")
		if strings.TrimSpace(name) == "permessage-deflate" {
			return !strings.Contains(parameters, "server_max_window_bits")
		}
	}
	return false
}

// checkHandshake finds what the upgrader would refuse, before a token or secret
// is used up on it.
func checkHandshake(c *fiber.Ctx) error {
	key, err := base64.StdEncoding.DecodeString(c.Get("Sec-WebSocket-Key"))
	switch {
	case !websocket.FastHTTPIsWebSocketUpgrade(c.Context()) || err != nil || len(key) != 16:
		c.Set(fiber.HeaderUpgrade, "websocket")
		return &cobridge.Error{Code: cobridge.CodeBadRequest, Message: "This address speaks WebSocket only."}
	case c.Get("Sec-WebSocket-Version") != "13":
		c.Set("Sec-WebSocket-Version", "13")
		return &cobridge.Error{Code: cobridge.CodeBadRequest, Message: "This version of WebSocket is not supported; it must be 13."}
	case !slices.Contains(offers(c), subprotocol):
		return &cobridge.Error{Code: cobridge.CodeBadRequest, Message: "The client must offer the WebSocket subprotocol " + subprotocol + "."}
	}
	return nil
}

func (h *Hub) liveSession(ctx context.Context, id cobrowse.SessionID) (cobrowse.Session, error) {
	s, err := h.service.Look(ctx, id)
	if err != nil {
		return cobrowse.Session{}, err
	}
	if !s.Live() {
		return cobrowse.Session{}, sessionEnded()
	}
	return s, nil
}

func sessionEnded() error {
	return &cobridge.Error{Code: cobridge.CodeSessionEnded, Message: "The cobrowse session has ended."}
}

// isOwn reports whether the origin is that of our own pages.
func (h *Hub) isOwn(c *fiber.Ctx, origin string) bool {
	if len(h.ownOrigins) > 0 {
		return slices.Contains(h.ownOrigins, origin)
	}
	scheme := "http://"
	if web.Secure(c) {
		scheme = "https://"
	}
	return origin == scheme+strings.ToLower(string(c.Context().Host()))
}

// originAllowed tells who may come from where: anybody from our own pages, the
// sharer also from the web site on which the session was started. A program
// without an origin, which no browser is, shows a token instead; the cookie is
// for our own pages alone.
func (h *Hub) originAllowed(ctx context.Context, e entry, s cobrowse.Session, sharer bool) bool {
	switch {
	case e.own:
		return true
	case e.secret != "":
		return false
	case e.origin == "":
		return true
	case !sharer || s.DeploymentID == "" || h.deployments == nil:
		return false
	}
	d, err := h.deployments.Deployment(ctx, s.DeploymentID)
	if err != nil {
		if cobridge.CodeOf(err) != cobridge.CodeNotFound {
			h.log.ErrorContext(ctx, "deployment not read", "sessionId", string(s.ID), "err", err)
		}
		return false
	}
	return d.OrgID == s.OrgID && d.Allows(e.origin)
}

// connect lets a participant in. The token or secret is used up only if the
// origin fits the participant.
func (h *Hub) connect(ctx context.Context, e entry, s cobrowse.Session, by byCaller) (cobrowse.Joined, error) {
	participant := by.participant
	if by.token != "" {
		of, p, err := h.service.Inspect(ctx, by.token)
		if err != nil {
			return cobrowse.Joined{}, err
		}
		if of.ID != s.ID {
			return cobrowse.Joined{}, &cobridge.Error{Code: cobridge.CodeJoinTokenInvalid, Message: "This join token is for another session."}
		}
		participant = p.ID
	}
	if !h.originAllowed(ctx, e, s, participant == s.Sharer()) {
		return cobrowse.Joined{}, notAllowed("Pages of this origin may not join as this participant.")
	}
	r := cobrowse.ConnectRequest{SessionID: s.ID, Tab: by.tab, Take: by.take}
	if by.token != "" {
		r.Token = by.token
	} else {
		r.ParticipantID, r.Secret = by.participant, by.secret
	}
	if h.owned == nil {
		return h.service.Connect(ctx, r)
	}
	if by.token == "" { // nobody takes a room with a secret that does not fit
		if p, ok := s.Participant(by.participant); !ok || !p.Resumes(by.secret, by.tab, h.clock.Now()) {
			return cobrowse.Joined{}, resumeInvalid()
		}
	}
	// The room before the token or secret is used up: who is sent on needs it there.
	if err := h.owned.Hold(ctx, s.ID); err != nil {
		return cobrowse.Joined{}, err
	}
	joined, err := h.service.Connect(ctx, r)
	if err != nil {
		h.owned.Drop(s.ID)
	}
	return joined, err
}

// byCookie reports whether the participant's next secret goes into a cookie:
// that of a viewer in a browser, where no script shall see it.
func (e *entry) byCookie(joined *cobrowse.Joined) bool {
	return e.origin != "" && joined.Session.Sharer() != joined.Participant.ID
}

// setCookie gives a viewer its next secret with the answer that opens the stream.
func (h *Hub) setCookie(c *fiber.Ctx, e *entry, joined *cobrowse.Joined) {
	if !e.byCookie(joined) {
		return
	}
	h.cookie.Set(c, string(e.session), string(joined.Participant.ID), string(joined.Secret))
}

// introduce lets a stranger in, or closes the connection.
func (l *link) introduce(ctx context.Context, hello hello) {
	by := byCaller{token: hello.Token, participant: hello.Participant, tab: hello.Tab, take: hello.Take}
	if hello.Resume != nil {
		by.secret = cobrowse.ResumeSecret(hello.Resume.Token)
	}
	s, err := l.hub.liveSession(ctx, l.entry.session)
	if err == nil && by.token == "" && (by.secret == "" || by.participant == "") {
		err = &cobridge.Error{Code: cobridge.CodeAuthRequired, Message: "The first frame must bring a join token or a resume secret."}
	}
	var joined cobrowse.Joined
	if err == nil {
		joined, err = l.hub.connect(ctx, *l.entry, s, by)
	}
	if err != nil {
		l.report(ctx, err)
		code, reason := closeFor(err)
		l.fail(newErrFrame(err, true), code, reason)
		return
	}
	l.hub.known(l.entry.network)
	l.welcome(ctx, &joined)
}

// welcome makes a member of a link that was let in. Without the rules that hold
// here nobody shares, nor looks.
func (l *link) welcome(ctx context.Context, joined *cobrowse.Joined) {
	var with admission
	if !l.entry.byCookie(joined) {
		with.secret = &resumeBody{Token: joined.Secret}
	}
	l.member = memberOf(joined) // from here on its end is reported
	var err error
	if with.rules, err = l.hub.service.Sharing(ctx, joined.Session); err == nil {
		with.may, err = l.hub.service.MayAsk(ctx, joined.Session, joined.Participant.ID)
	}
	if err != nil {
		l.report(ctx, err)
		code, reason := closeFor(err)
		l.fail(newErrFrame(err, true), code, reason)
		return
	}
	l.hub.join(l, joined, &with)
	l.entry.joined = nil // the session as it was is of no use any more
	_ = l.alive()        // a failure shows at the next read
	// What happened since joined was read was told to those who were in the room by
	// then: this link may have been removed, or its session ended.
	l.hub.refresh(ctx, joined.Session.ID)
}
