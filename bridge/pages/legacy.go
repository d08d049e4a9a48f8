package pages

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/cobrowse/webui"
)

const (
	// legacyScript is the script of the old product's pages, which know it by this name.
	legacyScript = "gcb.min.js"
	// legacyStart tells the script where it belongs: its pages know the address of
	// the old application alone.
	legacyStart = "gcb.json"
)

// LegacyConfig is what the scripts of the old product's pages are served from. BaseURL
// and Deployment are required.
type LegacyConfig struct {
	// BasePath is where the old application lies. Empty = /cobrowse.
	BasePath string
	// BaseURL is the API's public address, with a gateway's prefix.
	BaseURL string
	// Deployment is what sessions that begin on such a page belong to.
	Deployment cobrowse.DeploymentID
	// DeskOrigins are the agent desktops that may frame slave.html.
	DeskOrigins []string
}

// MountLegacy adds what pages and desktops of the old product load, below
// BasePath. It must be called before [Pages.Mount], whose routes would take these
// for files that they do not have. It fails if BaseURL is no address, or no
// deployment is named.
func (p *Pages) MountLegacy(router fiber.Router, cfg LegacyConfig) error {
	base, err := url.Parse(cfg.BaseURL)
	if err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http" {
		return fmt.Errorf("base URL %q: want http(s)://host[:port]", cfg.BaseURL)
	}
	if cfg.Deployment == "" {
		return fmt.Errorf("deployment of %s: missing", legacyScript)
	}
	start, err := json.Marshal(map[string]string{"deployment": string(cfg.Deployment), "base": strings.TrimSuffix(cfg.BaseURL, "/")})
	if err != nil {
		return fmt.Errorf("write %s: %w", legacyStart, err)
	}
	built, err := readAssets(webui.Dist())
	if err != nil {
		return err
	}
	path := strings.TrimSuffix(cfg.BasePath, "/") + "/js/"
	if cfg.BasePath == "" {
		path = scriptPath
	}
	names := append([]string{legacyScript}, scriptNames[1:]...)
	s := newScripts(built, names)
	if path == scriptPath {
		names = names[:1] // the others lie there anyway
	}
	router.Get(path+legacyStart, func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderCacheControl, fiveMinutes)
		c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
		c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
		scriptHeaders(c)
		return c.Send(start)
	})
	for _, name := range names {
		router.Get(path+name, func(c *fiber.Ctx) error { return s.newest(c, name) })
		router.Get(path+":hash/"+name, func(c *fiber.Ctx) error { return s.version(c, c.Params("hash"), name) })
	}
	p.MountSlave(router, cfg)
	return nil
}
