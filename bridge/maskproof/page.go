package maskproof

import (
	"bytes"
	_ "embed" // of the page and the report
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	ttemplate "text/template"
)

//go:embed page.html
var pageText string

// typed is a secret that is typed, key by key, into a field of the page.
type typed struct{ field, where string }

// keyed are the fields into which the driver types.
func keyed() []typed {
	return []typed{
		{"typed", "text field, typed"},
		{"search", "search field, typed"},
		{"password", "password field, typed, then shown by the page"},
		{"swapped", "password field, typed, then swapped for a text field"},
		{"card", "card number, typed, on a page that asks to show it"},
		{"otp", "one-time code, typed, on a page that asks to show it"},
		{"notes", "textarea, typed"},
		{"rich", "editable element, typed"},
	}
}

const secretLength = 16 // characters; 80 bits

// Page is the page of one proof, with secrets of its own. It serves itself.
type Page struct {
	mux     *http.ServeMux
	secrets []Secret
	typed   map[string]Secret // by the id of the field
	control string            // what is not masked, and has to be found
	site    string            // its origin
}

// MaskSelector is a mask selector that the deployment of a [Page] must have.
const MaskSelector = ".by-rule"

// AddressPattern and AddressSelector are a mask rule for some pages that the
// deployment of a [Page] must have.
const (
	AddressPattern  = `.*/(proof/paying|frame\?.*)`
	AddressSelector = ".by-address"
)

// NewPage draws the secrets of a page that is served on an origin of its own and
// loads the customer script from an address, for a deployment.
func NewPage(site, script, deployment string) (*Page, error) {
	p := &Page{site: site, mux: http.NewServeMux(), typed: map[string]Secret{}, control: "seen" + draw(secretLength)}
	text, err := ttemplate.New("page").Funcs(ttemplate.FuncMap{
		"secret": func(where string) string { return p.plant(where).text }, "control": func() string { return p.control },
	}).Parse(pageText)
	if err != nil {
		return nil, fmt.Errorf("read page: %w", err)
	}
	var page bytes.Buffer
	if err := text.Execute(&page, struct{ Script, Deployment string }{template.HTMLEscapeString(script), template.HTMLEscapeString(deployment)}); err != nil {
		return nil, fmt.Errorf("write page: %w", err)
	}
	for _, k := range keyed() {
		p.typed[k.field] = p.plant(k.where)
	}
	answer := func(path, kind string, body []byte) {
		p.mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.Header().Set("Cache-Control", "no-store")
			_, _ = w.Write(body) // a browser that has gone
		})
	}
	answer("/proof", "text/html; charset=utf-8", page.Bytes())
	answer("/frame", "text/html; charset=utf-8", []byte(`<!doctype html><title>frame</title><body>`))
	answer("/proof.css", "text/css", []byte(`section { border: 1px solid; }`))
	answer("/pixel.svg", "image/svg+xml", []byte(`<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>`))
	answer("/nothing", "text/plain", nil)
	return p, nil
}

func (p *Page) plant(where string) Secret {
	s := Secret{ID: "S" + strconv.Itoa(len(p.secrets)+1), Where: where, text: draw(secretLength)}
	p.secrets = append(p.secrets, s)
	return s
}

// ServeHTTP serves the page at /proof and what it is made of.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.mux.ServeHTTP(w, r) }
