package pages

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
)

// assetPath is where assets lie. Their names change with their content, so
// browsers may keep them for ever.
const assetPath = "/cobrowse/assets/"

// asset is a file that a page refers to.
type asset struct {
	contentType string
	data        []byte
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
	default:
		return ""
	}
}

// loadAssets reads the assets among files: by the name under which they are
// served, and their addresses, relative to the join page, by the names of the files.
func loadAssets(files fs.FS) (map[string]asset, map[string]string, error) {
	assets, names := map[string]asset{}, map[string]string{}
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, nil, fmt.Errorf("list assets: %w", err)
	}
	for _, entry := range entries {
		kind := contentType(entry.Name())
		if kind == "" {
			continue
		}
		data, err := fs.ReadFile(files, entry.Name())
		if err != nil {
			return nil, nil, fmt.Errorf("read asset: %w", err)
		}
		sum := sha256.Sum256(data)
		ext := path.Ext(entry.Name())
		name := strings.TrimSuffix(entry.Name(), ext) + "." + hex.EncodeToString(sum[:6]) + ext
		assets[name], names[entry.Name()] = asset{contentType: kind, data: data}, "assets/"+name
	}
	return assets, names, nil
}

// asset answers GET /cobrowse/assets/{name}.
func (p *Pages) asset(c *fiber.Ctx) error {
	a, ok := p.assets[c.Params("name")]
	if !ok {
		return &cobridge.Error{Code: cobridge.CodeNotFound}
	}
	c.Set(fiber.HeaderContentType, a.contentType)
	c.Set(fiber.HeaderCacheControl, "public, max-age=31536000, immutable")
	c.Set("Cross-Origin-Resource-Policy", "same-origin")
	return c.Send(a.data)
}
