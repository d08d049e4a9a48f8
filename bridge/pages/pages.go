package pages

import (
	"bytes"
	"context"
	"fmt"
	"html/template"
	"log/slog"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/cobrowse/webui"
)

// Service is the part of [cobrowse.Service] that the pages call.
type Service interface {
	Inspect(ctx context.Context, raw string) (cobrowse.Session, cobrowse.Participant, error)
	Look(ctx context.Context, id cobrowse.SessionID) (cobrowse.Session, error)
}

// Config is what Pages are built from. Service and Log are required.
type Config struct {
	Service Service
	Log     *slog.Logger
	// ViewerBaseURL is the origin on which people join, if it is another one than
	// the API's: scheme://host[:port], optionally with a path before /cobrowse. Empty = none.
	ViewerBaseURL string
}

// Pages serves the join page.
type Pages struct {
	service Service
	log     *slog.Logger
	viewer  *url.URL // nil = the pages have no origin of their own
	texts   texts
	pages   *template.Template
	assets  map[string]asset
	names   map[string]string
	scripts scripts
}

// New reads templates, texts and assets. It fails if the ViewerBaseURL is none.
func New(cfg Config) (*Pages, error) {
	files := webui.Files()
	p := &Pages{service: cfg.Service, log: cfg.Log}
	var err error
	if cfg.ViewerBaseURL != "" {
		p.viewer, err = url.Parse(strings.TrimSuffix(cfg.ViewerBaseURL, "/"))
		if err != nil || p.viewer.Host == "" || p.viewer.Scheme != "https" && p.viewer.Scheme != "http" {
			return nil, fmt.Errorf("viewer base URL %q: want http(s)://host[:port]", cfg.ViewerBaseURL)
		}
	}
	if p.pages, err = template.ParseFS(files, "*.html"); err != nil {
		return nil, fmt.Errorf("read pages: %w", err)
	}
	built, err := readAssets(webui.Dist())
	if err != nil {
		return nil, err
	}
	p.assets, p.names = nameAssets(built, isPageAsset)
	p.scripts = newScripts(built)
	if p.texts, err = loadTexts(files); err != nil {
		return nil, err
	}
	return p, nil
}

// Mount adds the routes of the pages to the root of an application.
func (p *Pages) Mount(router fiber.Router) {
	router.Get("/cobrowse/join", p.join)
	router.Get(assetPath+":name", p.asset)
	router.Get(scriptPath+":name", p.script)
	router.Get(scriptPath+":hash/:name", p.scriptVersion)
}

// view is what the templates are given.
type view struct {
	Lang, Icon, Style, Script string

	Setup setup // of join.html

	Screen, Pill, Head, Text, Next string // of message.html

	texts map[string]string
}

// T returns a text.
func (v view) T(key string) string { return v.texts[key] }

// setup is what join.js is given.
type setup struct {
	Texts       map[string]string      `json:"texts"`
	Session     cobrowse.SessionID     `json:"session,omitempty"`
	Participant cobrowse.ParticipantID `json:"participant,omitempty"`
}

func (p *Pages) newView(c *fiber.Ctx) view {
	lang := p.texts.choose(c.Get(fiber.HeaderAcceptLanguage))
	c.Set(fiber.HeaderContentLanguage, lang)
	// Relative, because a gateway may add a prefix in front of all our paths.
	up := ""
	if strings.HasSuffix(c.Path(), "/") {
		up = "../"
	}
	return view{Lang: lang, texts: p.texts[lang], Icon: up + p.names["icon.svg"], Style: up + p.names["join.css"], Script: up + p.names["join.js"]}
}

// join answers GET /cobrowse/join. The token in its query is looked at, never
// used up: previews of links must not burn it.
func (p *Pages) join(c *fiber.Ctx) error {
	token, id, participant := c.Query("token"), c.Query("session"), c.Query("participant")
	var session setup
	switch {
	case token != "":
		s, who, err := p.service.Inspect(c.UserContext(), token)
		if err != nil {
			return p.refuse(c, err)
		}
		if p.isElsewhere(c) {
			return p.handOver(c, "#token="+url.QueryEscape(token))
		}
		session.Session, session.Participant = s.ID, who.ID
	case id != "" && participant != "":
		s, err := p.service.Look(c.UserContext(), cobrowse.SessionID(id))
		if err == nil {
			err = present(s, cobrowse.ParticipantID(participant))
		}
		if err != nil {
			return p.refuse(c, err)
		}
		if p.isElsewhere(c) {
			return p.handOver(c, "?"+url.Values{"session": {id}, "participant": {participant}}.Encode())
		}
	case p.viewer != nil && !p.isElsewhere(c):
		// The token is in the fragment, which only the script sees.
	default:
		return p.message(c, fiber.StatusBadRequest, "missing")
	}
	v := p.newView(c)
	v.Setup = session
	v.Setup.Texts = v.texts
	return p.render(c, fiber.StatusOK, "join.html", v)
}

// present says why a participant cannot be in a session, or nil.
func present(s cobrowse.Session, id cobrowse.ParticipantID) error {
	if !s.Live() {
		return &cobridge.Error{Code: cobridge.CodeSessionEnded}
	}
	if _, ok := s.Participant(id); !ok {
		return &cobridge.Error{Code: cobridge.CodeNotFound}
	}
	return nil
}

// refuse shows the page for a failure.
func (p *Pages) refuse(c *fiber.Ctx, err error) error {
	code := cobridge.CodeOf(err)
	status := web.StatusOf(code)
	if status >= fiber.StatusInternalServerError {
		p.log.ErrorContext(c.UserContext(), "join page failed", "code", string(code), "err", err)
	}
	return p.message(c, status, string(code))
}

// message shows a page that says why there is nothing to join. The key is a code
// or "missing"; what has no texts is a failure of ours.
func (p *Pages) message(c *fiber.Ctx, status int, key string) error {
	v := p.newView(c)
	if v.texts[key+".head"] == "" {
		key = "failed"
	}
	v.Head, v.Text, v.Next = v.texts[key+".head"], v.texts[key+".text"], v.texts[key+".next"]
	v.Screen, v.Pill = "refused", v.texts["state.refused"]
	if key == string(cobridge.CodeSessionEnded) {
		v.Screen, v.Pill = "ended", v.texts["state.ended"]
	}
	return p.render(c, status, "message.html", v)
}

func (p *Pages) render(c *fiber.Ctx, status int, name string, v view) error {
	var page bytes.Buffer
	if err := p.pages.ExecuteTemplate(&page, name, v); err != nil {
		return fmt.Errorf("render page: %w", err)
	}
	pageHeaders(c)
	c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)
	c.Vary(fiber.HeaderAcceptLanguage)
	return c.Status(status).Send(page.Bytes())
}

// pageHeaders keeps the token in the address, and the session on the page, from
// getting anywhere else.
func pageHeaders(c *fiber.Ctx) {
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderXFrameOptions, "DENY")
	c.Set("Cross-Origin-Opener-Policy", "same-origin")
	c.Set("Cross-Origin-Resource-Policy", "same-origin")
	c.Set(fiber.HeaderPermissionsPolicy, permissions)
	c.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'"+streamSource(c)+
		"; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'")
}

// permissions switches off what a page can ask a browser for.
const permissions = "accelerometer=(), autoplay=(), camera=(), display-capture=(), encrypted-media=(), fullscreen=(), geolocation=(), gyroscope=(), " +
	"magnetometer=(), microphone=(), midi=(), payment=(), publickey-credentials-get=(), screen-wake-lock=(), usb=(), xr-spatial-tracking=()"

// streamSource names the WebSocket's origin for browsers to which 'self' does
// not include it (Safari before 15.4). A Host that could break out of the header
// is left out.
func streamSource(c *fiber.Ctx) string {
	host := string(c.Context().Host())
	for _, b := range []byte(host) {
		if (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (b < '0' || b > '9') && !strings.ContainsRune("-._:[]", rune(b)) {
			return ""
		}
	}
	if host == "" {
		return ""
	}
	if web.Secure(c) {
		return " wss://" + host
	}
	return " ws://" + host
}
