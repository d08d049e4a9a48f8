package pages

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
)

// scriptPath is where the scripts for customers' pages lie, which are on any
// origin: by name, and by a hash and name that stand for this version alone.
const scriptPath = "/cobrowse/js/"

// scriptNames are the files below scriptPath. The customer's page loads the first,
// which loads the others when somebody asks for them.
var scriptNames = []string{"cobridge.js", "cobridge-control.js", "cobridge-lint.js", legalName}

// scripts are what customers' pages load.
type scripts struct {
	files map[string]asset
	hash  string // of all scripts together, so that one finds the other beside it
}

func newScripts(files map[string]asset, names []string) scripts {
	s := scripts{files: map[string]asset{}}
	all := sha256.New()
	for _, name := range names {
		if a, ok := files[name]; ok {
			s.files[name] = a
			_, _ = all.Write(a.data) // a hash never fails
		}
	}
	s.hash = hex.EncodeToString(all.Sum(nil)[:6])
	return s
}

// ScriptPath returns the path of this version of the customer's script, which
// browsers may keep for ever. /cobrowse/js/cobridge.js is the same file under a
// name that follows new versions within five minutes.
func (p *Pages) ScriptPath() string { return scriptPath + p.scripts.hash + "/" + scriptNames[0] }

// script answers GET /cobrowse/js/{name}.
func (p *Pages) script(c *fiber.Ctx) error { return p.scripts.newest(c, c.Params("name")) }

// scriptVersion answers GET /cobrowse/js/{hash}/{name}.
func (p *Pages) scriptVersion(c *fiber.Ctx) error {
	return p.scripts.version(c, c.Params("hash"), c.Params("name"))
}

// newest sends a script under the name that follows new versions, and says where
// this version of it lies.
func (s scripts) newest(c *fiber.Ctx, name string) error {
	a, ok := s.files[name]
	if !ok {
		return &cobridge.Error{Code: cobridge.CodeNotFound}
	}
	c.Set(fiber.HeaderCacheControl, fiveMinutes)
	// RFC 9110, section 8.7: the address of just this version, for whoever pins it.
	// Relative, because a gateway may add a prefix in front of all our paths.
	c.Set(fiber.HeaderContentLocation, s.hash+"/"+name)
	scriptHeaders(c)
	return a.send(c)
}

// version sends a script under the name of one version. A hash of another version
// leads to the one that is here, but not for long: while versions change, a page
// and the node that it asks need not be of the same one.
func (s scripts) version(c *fiber.Ctx, hash, name string) error {
	a, ok := s.files[name]
	if !ok || !isHash(hash) {
		return &cobridge.Error{Code: cobridge.CodeNotFound}
	}
	scriptHeaders(c)
	if hash != s.hash {
		c.Set(fiber.HeaderCacheControl, "no-store")
		// Relative, because a gateway may add a prefix in front of all our paths.
		c.Set(fiber.HeaderLocation, "../"+name)
		return c.SendStatus(fiber.StatusFound)
	}
	c.Set(fiber.HeaderCacheControl, forEver)
	return a.send(c)
}

// scriptHeaders lets pages of any origin load the scripts, those that check their
// integrity (which needs CORS) and those that isolate themselves (CORP) included.
func scriptHeaders(c *fiber.Ctx) {
	c.Set(fiber.HeaderAccessControlAllowOrigin, "*")
	c.Set(resourceCORP, "cross-origin")
}

func isHash(text string) bool {
	_, err := hex.DecodeString(text)
	return err == nil && len(text) == 12
}
