package pages

import (
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
)

// slaveName is the agent's page of the old product, below the base path of the old
// application.
const slaveName = "/slave.html"

// slave is where the agent's page of the old product lies, and who may frame it.
type slave struct {
	base       string // path of the old application, without a slash at its end
	desks      []string
	deployment cobrowse.DeploymentID // whose sessions are expected
}

// MountSlave adds the agent's page of the old product, which [Pages.MountLegacy] does
// as well; the other parts of cfg play no role. From then on Guard lets the page and
// its call through. Both must be done before the application serves anything.
func (p *Pages) MountSlave(router fiber.Router, cfg LegacyConfig) {
	base := strings.TrimSuffix(cfg.BasePath, "/")
	if cfg.BasePath == "" {
		base = defaultBase
	}
	p.slave = &slave{base: base, deployment: cfg.Deployment}
	for _, origin := range cfg.DeskOrigins {
		if isOrigin(origin) {
			p.slave.desks = append(p.slave.desks, origin)
		}
	}
	router.Get(base+slaveName, p.slavePage)
}

// defaultBase is where the old application lies unless somebody moved it.
const defaultBase = "/cobrowse"

// slaveView is what slave.html is given.
type slaveView struct {
	view

	Setup slaveSetup
}

// slaveSetup is what slave.js is given.
type slaveSetup struct {
	Texts     map[string]string `json:"texts"`
	Languages []string          `json:"languages"`
	Base      string            `json:"base"`
	// Policy is that of the page as it was sent: the script compares it with that of
	// the session that its digits lead to.
	Policy  string             `json:"policy"`
	Session cobrowse.SessionID `json:"session,omitempty"` // that Policy is for
}

// slavePage answers GET …/slave.html. It knows nothing of the session that somebody
// will join, unless the script has joined one and names it: pictures come from the
// origins of that session's deployment then, and else of the one of the old pages.
func (p *Pages) slavePage(c *fiber.Ctx) error {
	if p.isElsewhere(c) {
		// The digits are in the fragment, which browsers take along by themselves.
		p.slaveHeaders(c, messagePolicy)
		c.Set(fiber.HeaderLocation, p.slaveAddress(c))
		return c.SendStatus(fiber.StatusSeeOther)
	}
	deployment, id := p.slave.deployment, cobrowse.SessionID(c.Query("session"))
	if id != "" {
		s, err := p.service.Look(c.UserContext(), id)
		switch {
		case err == nil:
			deployment = s.DeploymentID
		case cobridge.CodeOf(err) == cobridge.CodeNotFound:
			id = "" // as if nobody had named any: whether it exists is not told
		default:
			return p.refuse(c, err)
		}
	}
	site, err := p.deployment(c.UserContext(), cobrowse.Session{DeploymentID: deployment})
	if err != nil {
		return p.refuse(c, err)
	}
	policy := p.slave.framed(viewerPolicy(c, site.Rules.AssetOrigins))
	v := slaveView{view: p.newView(c)}
	if lang := c.Query("lang"); p.ofSlave[lang] != nil {
		v.Lang = strings.Clone(lang)
		c.Set(fiber.HeaderContentLanguage, v.Lang)
	}
	v.texts = p.ofSlave[v.Lang]
	v.Styles, v.Data, v.Script = p.slaveStyles, p.icon, p.upToAssets(c)+p.names["slave.js"]
	v.Setup = slaveSetup{Texts: v.texts, Languages: p.ofSlave.languages(), Base: p.slave.base, Policy: policy, Session: id}
	if err := p.execute(c, fiber.StatusOK, "slave.html", policy, v); err != nil {
		return err
	}
	p.slaveHeaders(c, policy)
	return nil
}

// slaveHeaders are those of all pages, but for who may frame it: X-Frame-Options knows
// no list of origins, the policy does. Browsers look at it on the way to a page, too.
func (p *Pages) slaveHeaders(c *fiber.Ctx, policy string) {
	pageHeaders(c, p.slave.framed(policy))
	if len(p.slave.desks) > 0 {
		c.Response().Header.Del(fiber.HeaderXFrameOptions)
	}
}

// slaveAddress is the page's address on the viewers' origin.
func (p *Pages) slaveAddress(c *fiber.Ctx) string {
	address := p.viewer.String() + p.slave.base + slaveName
	query := url.Values{}
	for _, name := range []string{"session", "lang"} {
		if value := c.Query(name); value != "" {
			query.Set(name, value)
		}
	}
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	return address
}

// framed puts those who may frame a page into its policy.
func (s *slave) framed(policy string) string {
	if len(s.desks) == 0 {
		return policy
	}
	return strings.Replace(policy, "frame-ancestors 'none'", "frame-ancestors "+strings.Join(s.desks, " "), 1)
}

// isForSlave reports whether the viewers' origin needs a request for the agent's page.
// An OPTIONS is that of a desk which asks whether it may call.
func (s *slave) isForSlave(method, path string) bool {
	if s == nil {
		return false
	}
	rest, ok := strings.CutPrefix(path, s.base)
	if !ok {
		return false
	}
	if rest == slaveName {
		return method == fiber.MethodGet || method == fiber.MethodHead
	}
	rest, ok = strings.CutPrefix(rest, "/rest/live/sessions/")
	if !ok || method != fiber.MethodPost && method != fiber.MethodOptions {
		return false
	}
	digits, call, _ := strings.Cut(rest, "/")
	return digits != "" && call == "join"
}
