package bayeux

import (
	"bytes"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/web"
)

// Request is what is known of the request that a message came with; over a
// WebSocket that is the one that opened it. It is a value and may be kept.
type Request struct {
	Transport     Transport
	Origin        string     // as the browser says it; with callback-polling it may be taken from Referer. "" = none
	Authorization string     // the header, as it came; a secret
	Address       netip.Addr // of the caller, as in web.ClientAddr
	Network       string     // what limits per address count by, as in web.ClientNetwork
	Host          string     // that the request is for
	Secure        bool       // as in web.Secure

	cookies string
}

// Cookie returns the value of a cookie of the request, "" without it.
func (r Request) Cookie(name string) string {
	cookies, err := http.ParseCookie(r.cookies)
	if err != nil {
		return ""
	}
	for _, cookie := range cookies {
		if cookie.Name == name {
			return cookie.Value
		}
	}
	return ""
}

// Mount adds the routes, for instance at "/cobrowse/cometd": that path, and
// everything below it, since clients append what the first message is. What a
// message is stands in the message alone.
func (s *Server) Mount(router fiber.Router, path string) {
	for _, at := range []string{path, path + "/*"} {
		// Add and not Get, which would bring HEAD along.
		router.Add(fiber.MethodPost, at, s.post)
		router.Add(fiber.MethodGet, at, s.get)
		router.Add(fiber.MethodOptions, at, s.preflight)
	}
}

// post answers a request of long-polling.
func (s *Server) post(c *fiber.Ctx) error {
	request := requestOf(c, LongPolling)
	if err := s.admit(c, &request); err != nil {
		return err
	}
	if coding := c.Request().Header.Peek(fiber.HeaderContentEncoding); len(coding) > 0 {
		return &cobridge.Error{Code: cobridge.CodeUnsupportedMediaType, Message: "The body must not be compressed."}
	}
	// Not c.Body(): that would unpack a compressed one, however large it becomes.
	return s.poll(c, request, bytes.Clone(c.Request().Body()), "")
}

// get answers a request of callback-polling, and opens a WebSocket.
func (s *Server) get(c *fiber.Ctx) error {
	if isUpgrade(c) {
		return s.upgrade(c)
	}
	query := c.Request().URI().QueryArgs()
	callback := string(query.Peek("jsonp"))
	if callback == "" || !s.offers(CallbackPolling) {
		return &cobridge.Error{Code: cobridge.CodeBadRequest, Message: "This address takes Bayeux messages: POST them, or open a WebSocket."}
	}
	if len(callback) > maxCallback || !callbackName.MatchString(callback) {
		return &cobridge.Error{Code: cobridge.CodeInvalidQueryParam, Message: "The parameter jsonp must be the name of a function."}
	}
	request := requestOf(c, CallbackPolling)
	if request.Origin == "" {
		request.Origin = originOf(string(c.Request().Header.Peek(fiber.HeaderReferer)))
	}
	// No browser asks before it runs a script, so a page that does not say who it
	// is may be any.
	if request.Origin == "" {
		return errOrigin()
	}
	if err := s.admit(c, &request); err != nil {
		return err
	}
	return s.poll(c, request, bytes.Clone(query.Peek("message")), callback)
}

// callbackName is what a callback may be called: nothing that could be more than
// a name in a script.
var callbackName = regexp.MustCompile(`^[A-Za-z0-9_.$-]+$`)

// poll handles the messages of a request over HTTP. The answer of a connect may
// come later, over a connection that was taken out of the HTTP server.
func (s *Server) poll(c *fiber.Ctx, request Request, body []byte, callback string) error {
	if s.isDraining() {
		return &cobridge.Error{Code: cobridge.CodeUnavailable, Message: "The service is about to stop."}
	}
	if !s.offers(request.Transport) {
		return &cobridge.Error{Code: cobridge.CodeBadRequest, Message: "This transport is switched off."}
	}
	messages, err := decodeEnvelope(body, &s.limits)
	if err != nil {
		return err
	}
	if id := s.stranger(messages); id != "" {
		if forwarded, err := s.cfg.Forward(c, id); forwarded || err != nil {
			return err
		}
	}
	head := &c.Response().Header
	head.Set(fiber.HeaderCacheControl, "no-store")
	head.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	head.SetContentType("application/json;charset=UTF-8")
	if callback != "" {
		head.SetContentType("text/javascript;charset=UTF-8")
	}
	x := &exchange{server: s, request: request, park: func() *line { return s.newLine(c, callback) }}
	x.run(c.UserContext(), messages)
	if x.line != nil {
		c.Context().HijackSetNoResponse(true)
		c.Context().Hijack(x.line.arrive)
		return nil
	}
	answer := join(x.out)
	if callback != "" {
		answer = wrap(callback, answer)
	}
	c.Response().SetBodyRaw(answer)
	return nil
}

// stranger returns the id of the client that sends messages if it is not known here and
// may be elsewhere. All messages of a request are of one client.
func (s *Server) stranger(messages []message) ClientID {
	if s.cfg.Forward == nil {
		return ""
	}
	for i := range messages {
		if id := messages[i].clientID; id != "" {
			if s.client(id) == nil {
				return id
			}
			return ""
		}
	}
	return ""
}

// preflight tells a browser what a page of another origin may send.
func (s *Server) preflight(c *fiber.Ctx) error {
	request := requestOf(c, LongPolling)
	if err := s.admit(c, &request); err != nil {
		return err
	}
	allowed := append([]string{fiber.HeaderContentType, fiber.HeaderAuthorization}, s.cfg.AllowHeaders...)
	c.Set(fiber.HeaderAccessControlAllowMethods, "GET, POST")
	c.Set(fiber.HeaderAccessControlAllowHeaders, strings.Join(allowed, ", "))
	c.Set(fiber.HeaderAccessControlMaxAge, "600")
	c.Status(fiber.StatusNoContent)
	return nil
}

// admit refuses requests of pages that may not speak to us, before anything is
// done for them, and lets the others read the answer.
func (s *Server) admit(c *fiber.Ctx, request *Request) error {
	if !c.App().Server().KeepHijackedConns {
		return &cobridge.Error{Code: cobridge.CodeInternal, Message: "The HTTP server must keep hijacked connections."}
	}
	c.Vary(fiber.HeaderOrigin)
	if request.Origin == "" {
		return nil
	}
	if !s.allowed(request) {
		return errOrigin()
	}
	if c.Get(fiber.HeaderOrigin) != "" {
		c.Set(fiber.HeaderAccessControlAllowOrigin, request.Origin)
		c.Set(fiber.HeaderAccessControlAllowCredentials, "true")
	}
	return nil
}

func errOrigin() error {
	return &cobridge.Error{Code: cobridge.CodeNotAuthorized, Message: "This origin is not allowed."}
}

func (s *Server) allowed(request *Request) bool {
	if s.cfg.AllowOrigin != nil {
		return s.cfg.AllowOrigin(request.Origin)
	}
	from, err := url.Parse(request.Origin)
	return err == nil && from.Host != "" && strings.EqualFold(from.Host, request.Host)
}

// originOf returns the origin of an address, "" if it has none.
func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// requestOf copies what is kept of a request.
func requestOf(c *fiber.Ctx, transport Transport) Request {
	head := &c.Request().Header
	peek := func(name string) string { return string(head.Peek(name)) }
	return Request{
		Transport: transport, Origin: peek(fiber.HeaderOrigin), Authorization: peek(fiber.HeaderAuthorization),
		Address: web.ClientAddr(c), Network: strings.Clone(web.ClientNetwork(c)),
		Host: string(head.Host()), Secure: web.Secure(c), cookies: peek(fiber.HeaderCookie),
	}
}
