package pages

import (
	"bytes"
	"context"
	"encoding/base64"
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
	InspectHistory(ctx context.Context, raw string) (cobrowse.Session, error)
}

// Deployments is the part of [cobrowse.DeploymentStore] that the pages call.
type Deployments interface {
	// Deployment fails with CodeNotFound.
	Deployment(ctx context.Context, id cobrowse.DeploymentID) (cobrowse.Deployment, error)
}

// Config is what Pages are built from. Service, Log and Clock are required.
type Config struct {
	Service Service
	Log     *slog.Logger
	// Clock says until when the history of a live session goes.
	Clock cobridge.Clock
	// Deployments say where a sharer starts and where a viewer's pictures may come
	// from. Nil = no session has one.
	Deployments Deployments
	// ViewerBaseURL is the origin on which people join, if it is another one than
	// the API's: scheme://host[:port], optionally with a path before /cobrowse. Empty = none.
	ViewerBaseURL string
}

// Pages serves the join page, the history page and the scripts of customers' pages.
type Pages struct {
	service     Service
	deployments Deployments
	log         *slog.Logger
	clock       cobridge.Clock
	viewer      *url.URL // nil = the pages have no origin of their own
	texts       texts
	ofHistory   texts // by themselves, as the others go to the join page's script
	pages       *template.Template
	assets      map[string]asset
	names       map[string]string
	scripts     scripts
	styles      template.CSS // of the join page
	ofSlave     texts        // those of the join page with some of its own
	slaveStyles template.CSS
	slave       *slave       // nil = it is not mounted
	icon        template.URL // of the join page
}

// New reads templates, texts and assets. It fails if the ViewerBaseURL is none.
func New(cfg Config) (*Pages, error) {
	files := webui.Files()
	p := &Pages{service: cfg.Service, deployments: cfg.Deployments, log: cfg.Log, clock: cfg.Clock}
	var err error
	if cfg.ViewerBaseURL != "" {
		p.viewer, err = url.Parse(strings.TrimSuffix(cfg.ViewerBaseURL, "/"))
		if err != nil || p.viewer.Host == "" || p.viewer.Scheme != "https" && p.viewer.Scheme != "http" {
			return nil, fmt.Errorf("viewer base URL %q: want http(s)://host[:port]", cfg.ViewerBaseURL)
		}
	}
	if p.pages, err = template.ParseFS(files, "*.html", "history/*.html", "slave/*.html"); err != nil {
		return nil, fmt.Errorf("read pages: %w", err)
	}
	built, err := readAssets(webui.Dist())
	if err != nil {
		return nil, err
	}
	p.assets, p.names = nameAssets(built, isPageAsset)
	p.scripts = newScripts(built, scriptNames)
	p.styles = template.CSS(built["join.css"].data)       //nolint:gosec // a file of ours
	p.slaveStyles = template.CSS(built["slave.css"].data) //nolint:gosec // the same
	icon := base64.StdEncoding.EncodeToString(built["icon.svg"].data)
	p.icon = template.URL("data:image/svg+xml;base64," + icon) //nolint:gosec // the same
	if p.texts, err = loadTexts(files, "texts"); err != nil {
		return nil, err
	}
	if p.ofHistory, err = loadTexts(files, "texts/history"); err != nil {
		return nil, err
	}
	own, err := loadTexts(files, "texts/slave")
	if err != nil {
		return nil, err
	}
	p.ofSlave = p.texts.with(own)
	return p, nil
}

// Mount adds the routes of the pages to the root of an application.
func (p *Pages) Mount(router fiber.Router) {
	router.Get("/cobrowse/join", p.join)
	router.Get(historyPath+":id", p.history)
	router.Get(assetPath+":name", p.asset)
	router.Get(scriptPath+":name", p.script)
	router.Get(scriptPath+":hash/:name", p.scriptVersion)
}

// view is what the templates are given.
type view struct {
	Lang, Icon, Style, Script string

	Setup  setup        // of join.html
	Styles template.CSS // of join.html
	Data   template.URL // the icon of join.html

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
	up := p.upToAssets(c)
	return view{Lang: lang, texts: p.texts[lang], Icon: up + p.names["icon.svg"], Style: up + p.names["join.css"], Script: up + p.names["join.js"]}
}

// upToAssets returns the way from the join page, or from the agent's page of the old
// product, to where the addresses of assets begin. It is relative, because a gateway
// may add a prefix in front of all our paths.
func (p *Pages) upToAssets(c *fiber.Ctx) string {
	path, up := strings.TrimSuffix(c.Path(), "/"), ""
	if path != c.Path() {
		up = "../"
	}
	if p.slave != nil && path == p.slave.base+slaveName && p.slave.base != defaultBase {
		up += strings.Repeat("../", strings.Count(p.slave.base, "/")) + strings.TrimPrefix(defaultBase, "/") + "/"
	}
	return up
}

// join answers GET /cobrowse/join. The token in its query is looked at, never
// used up: previews of links must not burn it.
func (p *Pages) join(c *fiber.Ctx) error {
	token, id, participant := c.Query("token"), c.Query("session"), c.Query("participant")
	var (
		session setup
		site    cobrowse.Deployment
	)
	switch {
	case token != "":
		s, who, err := p.service.Inspect(c.UserContext(), token)
		if err == nil {
			site, err = p.deployment(c.UserContext(), s)
		}
		if err != nil {
			return p.refuse(c, err)
		}
		if start := startPage(site); start != "" && who.ID == s.Sharer() {
			return p.lead(c, start+"#cobridge="+url.QueryEscape(token))
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
		if err == nil {
			site, err = p.deployment(c.UserContext(), s)
		}
		if err != nil {
			return p.refuse(c, err)
		}
		if p.isElsewhere(c) {
			return p.handOver(c, "?"+url.Values{"session": {id}, "participant": {participant}}.Encode())
		}
		session.Session, session.Participant = s.ID, cobrowse.ParticipantID(participant)
	case p.viewer != nil && !p.isElsewhere(c):
		// The token is in the fragment, which only the script sees. It comes again when
		// it knows the session, for the session's policy.
	default:
		return p.message(c, fiber.StatusBadRequest, "missing")
	}
	v := p.newView(c)
	v.Setup, v.Styles, v.Data = session, p.styles, p.icon
	v.Setup.Texts = v.texts
	return p.render(c, fiber.StatusOK, "join.html", viewerPolicy(c, site.Rules.AssetOrigins), v)
}

// deployment returns the deployment of a session, the zero one if it has none any more.
func (p *Pages) deployment(ctx context.Context, s cobrowse.Session) (cobrowse.Deployment, error) {
	if s.DeploymentID == "" || p.deployments == nil {
		return cobrowse.Deployment{}, nil
	}
	d, err := p.deployments.Deployment(ctx, s.DeploymentID)
	if cobridge.CodeOf(err) == cobridge.CodeNotFound {
		return cobrowse.Deployment{}, nil
	}
	if err != nil {
		return cobrowse.Deployment{}, fmt.Errorf("look up deployment: %w", err)
	}
	return d, nil
}

// startPage returns the page on which a deployment's sharers start, without a
// fragment; empty if there is none, or none on an origin that the deployment allows.
func startPage(d cobrowse.Deployment) string {
	u, err := url.Parse(d.StartURL)
	if err != nil || !d.Allows(u.Scheme+"://"+strings.ToLower(u.Host)) {
		return ""
	}
	u.Fragment, u.RawFragment = "", ""
	return u.String()
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
	return p.render(c, status, "message.html", messagePolicy, v)
}

func (p *Pages) render(c *fiber.Ctx, status int, name, policy string, v view) error {
	return p.execute(c, status, name, policy, v)
}

// execute answers with the template that is called name.
func (p *Pages) execute(c *fiber.Ctx, status int, name, policy string, v any) error {
	var page bytes.Buffer
	if err := p.pages.ExecuteTemplate(&page, name, v); err != nil {
		return fmt.Errorf("render page: %w", err)
	}
	pageHeaders(c, policy)
	c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)
	c.Vary(fiber.HeaderAcceptLanguage)
	return c.Status(status).Send(page.Bytes())
}
