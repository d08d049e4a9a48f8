package pages

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"html/template"
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/cobrowse/webui"
)

// DemoConfig is what the pages of the demonstration are built from. All are required.
type DemoConfig struct {
	// BaseURL is the API's origin, from which the pages load the script. Its host
	// has the agent's desktop.
	BaseURL string
	// ShopURL is the shop's origin, which has another host than BaseURL:
	// scheme://host[:port]. The same listener answers for both.
	ShopURL string
	// ShopDeployment and DeskDeployment are what the pages of the shop, and the
	// agent's desktop, belong to.
	ShopDeployment, DeskDeployment cobrowse.DeploymentID
}

// Paths of the demonstration's pages.
const (
	DemoShopPath       = "/shop/"           // on the shop's origin
	DemoPlaygroundPath = "/demo/playground" // on the shop's origin
	DemoDesktopPath    = "/demo/desktop"    // on the API's origin
	DemoLegacyPath     = "/shop/legacy"     // on the shop's origin

	shopAssetPath    = "/shop/assets/"
	desktopAssetPath = "/demo/assets/"
)

// demoAssets are the assets of the demonstration alone.
var demoAssets = []string{
	"shop.js", "shop.css", "playground.js", "playground.css", "desktop.js", "desktop.css",
	"lamp.svg", "mug.svg", "blanket.svg", "clock.svg", "pot.svg", "notebook.svg",
}

// demo serves the pages of the demonstration: a shop that customers share, and a
// desktop that agents share.
type demo struct {
	cfg       DemoConfig
	host      string // of the shop
	templates *template.Template
	assets    map[string]asset
	names     map[string]string
	products  []product
}

// demoView is what the templates of the demonstration are given.
type demoView struct {
	Title, Page        string
	Script, Deployment string
	Products           []product
	Product            product
	App, Nonce         string // of a page with the old product's script

	path  string // where the assets are
	names map[string]string
}

// Asset returns the address of an asset.
func (v demoView) Asset(file string) string { return v.path + v.names[file] }

// MountDemo adds the pages of the demonstration: the shop and the masking
// playground on the shop's origin, the agent's desktop on the API's. It must be
// called before other routes are added, as the shop's origin has nothing but the
// shop. It fails if the ShopURL is none or its host is that of the BaseURL.
func (p *Pages) MountDemo(router fiber.Router, cfg DemoConfig) error {
	shop, err := url.Parse(cfg.ShopURL)
	if err != nil || shop.Host == "" || shop.Path != "" || sameHost(cfg.BaseURL, shop.Host) {
		return fmt.Errorf("shop URL %q: want scheme://host[:port], and another host than %s has", cfg.ShopURL, cfg.BaseURL)
	}
	templates, err := template.ParseFS(webui.Files(), "demo/*.html")
	if err != nil {
		return fmt.Errorf("read pages of the demo: %w", err)
	}
	built, err := readAssets(webui.Dist())
	if err != nil {
		return err
	}
	assets, names := nameAssets(built, func(file string) bool { return slices.Contains(demoAssets, file) || file == "icon.svg" })
	for file, name := range names {
		names[file] = strings.TrimPrefix(name, "assets/")
	}
	d := &demo{cfg: cfg, host: shop.Host, templates: templates, assets: assets, names: names, products: products(names)}
	router.Use(d.divide)
	router.Get("/demo/desktop", d.desktop)
	router.Get(desktopAssetPath+":name", d.asset)
	router.Get(shopAssetPath+":name", d.asset)
	router.Get("/demo/playground", d.page("playground.html", "Masking playground", "playground"))
	for path, title := range map[string]string{
		"home": "Products", "basket": "Basket", "checkout": "Checkout", "payment": "Confirm with your bank", "thanks": "Thank you",
		"account": "Account", "help": "Help", "designer": "Make your own mug", "sizes": "Sizes",
	} {
		address := "/shop/" + path
		if path == "home" {
			address = "/shop"
		}
		router.Get(address, d.page(path+".html", title, path))
	}
	router.Get("/shop/product/:id", d.product)
	router.Get(DemoLegacyPath, d.legacy)
	// What is sent is thrown away. The answer makes a page load of its own, as in
	// any shop.
	for _, path := range []string{"/shop/payment", "/shop/thanks"} {
		router.Post(path, func(c *fiber.Ctx) error { return c.Redirect(path, fiber.StatusSeeOther) })
	}
	return nil
}

// divide keeps the shop's origin and the API's apart: the shop has its own pages
// alone, which elsewhere lead to it.
func (d *demo) divide(c *fiber.Ctx) error {
	path := c.Path()
	theirs := path == "/shop" || strings.HasPrefix(path, "/shop/") || strings.TrimSuffix(path, "/") == DemoPlaygroundPath
	here := strings.EqualFold(string(c.Context().Host()), d.host)
	switch {
	case here && path == "/":
		return c.Redirect(DemoShopPath, fiber.StatusSeeOther)
	case here && !theirs:
		return &cobridge.Error{Code: cobridge.CodeNotFound}
	case !here && theirs:
		return c.Redirect(strings.TrimSuffix(d.cfg.ShopURL, "/")+path, fiber.StatusSeeOther)
	}
	return c.Next()
}

// asset answers GET /shop/assets/{name} and /demo/assets/{name}.
func (d *demo) asset(c *fiber.Ctx) error {
	a, ok := d.assets[c.Params("name")]
	if !ok {
		return &cobridge.Error{Code: cobridge.CodeNotFound}
	}
	c.Set(fiber.HeaderCacheControl, forEver)
	// Viewers see the shop's pictures where they are, from another origin.
	c.Set(resourceCORP, "cross-origin")
	return a.send(c)
}

// page answers with one of the shop's pages.
func (d *demo) page(name, title, page string) fiber.Handler {
	return func(c *fiber.Ctx) error {
		return d.render(c, name, demoView{Title: title, Page: page, Deployment: string(d.cfg.ShopDeployment), path: shopAssetPath})
	}
}

// product answers GET /shop/product/{id}.
func (d *demo) product(c *fiber.Ctx) error {
	id := c.Params("id")
	i := slices.IndexFunc(d.products, func(p product) bool { return p.ID == id })
	if i < 0 {
		return &cobridge.Error{Code: cobridge.CodeNotFound}
	}
	v := demoView{Title: d.products[i].Name, Page: "product", Product: d.products[i], Deployment: string(d.cfg.ShopDeployment), path: shopAssetPath}
	return d.render(c, "product.html", v)
}

// legacy answers GET /shop/legacy: a page as the old product's customers have it,
// with its options and its snippet inside. What the snippet does, Trusted Types forbid.
func (d *demo) legacy(c *fiber.Ctx) error {
	v := demoView{
		Title: "Old page", Page: "legacy", Deployment: string(d.cfg.ShopDeployment), path: shopAssetPath,
		App: d.cfg.BaseURL + strings.TrimSuffix(scriptPath, "/js/"), Nonce: rand.Text(),
	}
	if err := d.render(c, "legacy.html", v); err != nil {
		return err
	}
	policy := string(c.Response().Header.Peek(fiber.HeaderContentSecurityPolicy))
	policy = strings.Replace(policy, "script-src 'self'", "script-src 'self' 'nonce-"+v.Nonce+"'", 1)
	c.Set(fiber.HeaderContentSecurityPolicy, strings.Replace(policy, "; require-trusted-types-for 'script'", "", 1))
	return nil
}

// desktop answers GET /demo/desktop.
func (d *demo) desktop(c *fiber.Ctx) error {
	return d.render(c, "desktop.html", demoView{Deployment: string(d.cfg.DeskDeployment), path: desktopAssetPath})
}

func (d *demo) render(c *fiber.Ctx, name string, v demoView) error {
	v.Script, v.Products, v.names = d.cfg.BaseURL+scriptPath+scriptNames[0], d.products, d.names
	var page bytes.Buffer
	if err := d.templates.ExecuteTemplate(&page, name, v); err != nil {
		return fmt.Errorf("render page of the demo: %w", err)
	}
	d.headers(c, name == "sizes.html")
	c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)
	return c.Send(page.Bytes())
}

// headers sets what careful sites set. The customer's script must work under the
// strictest policy there is.
func (d *demo) headers(c *fiber.Ctx, framed bool) {
	ancestors, frame := "'none'", "DENY"
	if framed {
		ancestors, frame = "'self'", "SAMEORIGIN"
	}
	c.Set(fiber.HeaderXFrameOptions, frame)
	c.Set(fiber.HeaderCacheControl, "no-cache")
	c.Set(fiber.HeaderReferrerPolicy, "strict-origin-when-cross-origin")
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; script-src 'self' "+d.cfg.BaseURL+"; style-src 'self'; img-src 'self'; connect-src "+d.cfg.BaseURL+
		" "+strings.Replace(d.cfg.BaseURL, "http", "ws", 1)+"; frame-src 'self'; frame-ancestors "+ancestors+"; base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'")
}
