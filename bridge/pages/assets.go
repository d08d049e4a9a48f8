package pages

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
)

const (
	// assetPath is where assets lie. Their names change with their content, so
	// browsers may keep them for ever.
	assetPath = "/cobrowse/assets/"

	legalName = "LEGAL.txt" // named in the first line of every bundle, hence without a hash

	forEver      = "public, max-age=31536000, immutable"
	fiveMinutes  = "public, max-age=300"
	resourceCORP = "Cross-Origin-Resource-Policy"
)

// asset is a file that a page refers to.
type asset struct {
	contentType string
	data        []byte
	encoded     map[string][]byte // by content coding: gzip, br
	hash        string            // of data, 12 hex digits
}

// contentType names the type of an asset, "" for files that are none. The
// system's table is not asked: what it says depends on the machine.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".txt":
		return fiber.MIMETextPlainCharsetUTF8
	default:
		return ""
	}
}

// readAssets reads the assets among files, by their names there.
func readAssets(files fs.FS) (map[string]asset, error) {
	assets := map[string]asset{}
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, fmt.Errorf("list assets: %w", err)
	}
	for _, entry := range entries {
		a := asset{contentType: contentType(entry.Name()), encoded: map[string][]byte{}}
		if a.contentType == "" {
			continue
		}
		if a.data, err = fs.ReadFile(files, entry.Name()); err != nil {
			return nil, fmt.Errorf("read asset: %w", err)
		}
		for coding, ending := range map[string]string{"br": ".br", "gzip": ".gz"} {
			encoded, err := fs.ReadFile(files, entry.Name()+ending)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("read asset: %w", err)
			}
			// What does not get smaller is sent as it is.
			if err == nil && len(encoded) < len(a.data) {
				a.encoded[coding] = encoded
			}
		}
		sum := sha256.Sum256(a.data)
		a.hash = hex.EncodeToString(sum[:6])
		assets[entry.Name()] = a
	}
	return assets, nil
}

// nameAssets gives the assets that are wanted the names under which they are
// served, and returns their addresses, relative to the join page, by the names of
// the files.
func nameAssets(files map[string]asset, wanted func(file string) bool) (map[string]asset, map[string]string) {
	assets, names := make(map[string]asset, len(files)), make(map[string]string, len(files))
	for file, a := range files {
		if !wanted(file) {
			continue
		}
		ext := path.Ext(file)
		name := strings.TrimSuffix(file, ext) + "." + a.hash + ext
		if file == legalName {
			name = file
		}
		assets[name], names[file] = a, "assets/"+name
	}
	return assets, names
}

// send answers with the asset, in the content coding that the client likes best.
// Caching must be set by then.
func (a asset) send(c *fiber.Ctx) error {
	// Weak, as it stands for all content codings.
	tag := `W/"` + a.hash + `"`
	c.Set(fiber.HeaderETag, tag)
	c.Vary(fiber.HeaderAcceptEncoding)
	if matches(c.Get(fiber.HeaderIfNoneMatch), tag) {
		return c.SendStatus(fiber.StatusNotModified)
	}
	c.Set(fiber.HeaderContentType, a.contentType)
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	if coding := chooseCoding(c.Get(fiber.HeaderAcceptEncoding)); a.encoded[coding] != nil {
		c.Set(fiber.HeaderContentEncoding, coding)
		return c.Send(a.encoded[coding])
	}
	return c.Send(a.data)
}

// matches compares an If-None-Match header with an entity tag (RFC 9110, section 13.1.2).
func matches(header, tag string) bool {
	for candidate := range strings.SplitSeq(header, ",") {
		candidate = strings.TrimSpace(candidate)
		if candidate == "*" || strings.TrimPrefix(candidate, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

// isPageAsset reports whether a file belongs to the join page or the history page.
func isPageAsset(file string) bool {
	return file == legalName || file != legacyScript && !slices.Contains(demoAssets, file) && !slices.Contains(scriptNames, file)
}

// asset answers GET /cobrowse/assets/{name}.
func (p *Pages) asset(c *fiber.Ctx) error {
	name := c.Params("name")
	a, ok := p.assets[name]
	if !ok {
		return &cobridge.Error{Code: cobridge.CodeNotFound}
	}
	c.Set(fiber.HeaderCacheControl, forEver)
	if name == legalName {
		c.Set(fiber.HeaderCacheControl, fiveMinutes)
	}
	c.Set(resourceCORP, "same-origin")
	return a.send(c)
}
