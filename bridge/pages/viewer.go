package pages

import (
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
)

// isViewer reports whether a request came to the viewers' own origin. The scheme
// is not compared: a proxy that is not trusted hides it, and the host decides
// whose cookies and storage a page shares.
func (p *Pages) isViewer(c *fiber.Ctx) bool {
	return p.viewer != nil && strings.EqualFold(string(c.Context().Host()), p.viewer.Host)
}

// isElsewhere reports whether people join on another origin than the request's.
func (p *Pages) isElsewhere(c *fiber.Ctx) bool { return p.viewer != nil && !p.isViewer(c) }

// handOver leads to the join page of the viewers' origin. A token goes along in
// the fragment, which no server and no Referer gets to see.
func (p *Pages) handOver(c *fiber.Ctx, rest string) error {
	return p.lead(c, p.viewer.String()+"/cobrowse/join"+rest)
}

// lead leads to another page. A token in its address is in the fragment.
func (p *Pages) lead(c *fiber.Ctx, address string) error {
	pageHeaders(c, messagePolicy)
	c.Set(fiber.HeaderLocation, address)
	return c.SendStatus(fiber.StatusSeeOther)
}

// Guard is a middleware that leaves the viewers' own origin nothing but the join
// page, the history page and the agent's page of the old product, what they are
// made of, and the calls of their scripts: everything else is 404 there. Without an origin of their own, or if it is publicBaseURL's, it lets
// everything pass. It belongs before all routes.
func (p *Pages) Guard(publicBaseURL string) fiber.Handler {
	if p.viewer == nil || sameHost(publicBaseURL, p.viewer.Host) {
		return func(c *fiber.Ctx) error { return c.Next() }
	}
	return func(c *fiber.Ctx) error {
		if p.isViewer(c) && !isForViewers(c.Method(), c.Path()) && !p.slave.isForSlave(c.Method(), strings.TrimSuffix(c.Path(), "/")) {
			return &cobridge.Error{Code: cobridge.CodeNotFound}
		}
		return c.Next()
	}
}

func sameHost(base, host string) bool {
	_, rest, _ := strings.Cut(base, "://")
	name, _, _ := strings.Cut(rest, "/")
	return strings.EqualFold(name, host)
}

func isForViewers(method, path string) bool {
	path = strings.TrimSuffix(path, "/")
	read := method == fiber.MethodGet || method == fiber.MethodHead
	switch {
	case path == "/cobrowse/join", strings.HasPrefix(path, historyPath), strings.HasPrefix(path, assetPath):
		return read
	case path == "/api/v2/cobrowse/join":
		return method == fiber.MethodPost
	}
	rest, ok := strings.CutPrefix(path, "/api/v2/cobrowse/sessions/")
	if !ok || !read {
		return false
	}
	_, rest, _ = strings.Cut(rest, "/")
	return rest == "stream" || rest == "stream/check"
}
