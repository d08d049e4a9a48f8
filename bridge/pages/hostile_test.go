package pages_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// beacon is a server that notes who asks it for what.
type beacon struct {
	base string

	mu   sync.Mutex
	seen []string // who asked, then the path
}

// pixel is a GIF of one pixel.
const pixel = "GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"

func newBeacon(t *testing.T) *beacon {
	t.Helper()
	b := &beacon{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := "viewer"
		switch from := r.Header.Get("Referer"); {
		case strings.Contains(from, "session") || r.Header.Get("Cookie") != "":
			who = "leak"
		case from != "": // the viewer's page sends none, its styles no more than the origin
			who = "other"
		}
		b.mu.Lock()
		b.seen = append(b.seen, who+" "+r.URL.Path)
		b.mu.Unlock()
		w.Header().Set("Content-Type", "image/gif")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		_, _ = w.Write([]byte(pixel))
	}))
	t.Cleanup(server.Close)
	b.base = server.URL
	return b
}

// from returns the paths that somebody asked for.
func (b *beacon) from(who string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var paths []string
	for _, line := range b.seen {
		if path, ok := strings.CutPrefix(line, who+" "); ok {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// tree builds what a forged sharer sends, without a browser.
type tree struct{ next int }

func (b *tree) id() int {
	b.next++
	return b.next
}

func (b *tree) el(name string, attributes map[string]any, children ...any) map[string]any {
	if attributes == nil {
		attributes = map[string]any{}
	}
	return map[string]any{"type": 2, "id": b.id(), "tagName": name, "attributes": attributes, "childNodes": append([]any{}, children...)}
}

func (b *tree) svg(name string, attributes map[string]any, children ...any) map[string]any {
	n := b.el(name, attributes, children...)
	n["isSVG"] = true
	return n
}

func (b *tree) text(text string) map[string]any {
	return map[string]any{"type": 3, "id": b.id(), "textContent": text}
}

func (b *tree) page(head, body []any) []any {
	root := b.el("html", nil, b.el("head", nil, head...), b.el("body", nil, body...))
	document := map[string]any{"type": 0, "id": b.id(), "childNodes": []any{map[string]any{"type": 1, "id": b.id(), "name": "html", "publicId": "", "systemId": ""}, root}}
	return []any{
		map[string]any{"type": 4, "data": map[string]any{"href": "javascript:alert(1)", "width": 900, "height": 600}, "timestamp": 1},
		map[string]any{"type": 2, "data": map[string]any{"node": document, "initialOffset": map[string]any{"left": 0, "top": 0}}, "timestamp": 1},
	}
}

type attrs = map[string]any

// hostile is a page that tries to get out of its frame or to reach a server, each
// thing at a path of its own.
func hostile(base string) (first []any, later []any) {
	b := &tree{}
	at := func(path string) string { return base + "/" + path }
	run := func(how string) string { return fmt.Sprintf("top.ran='%s';fetch('%s')", how, at("script-"+how)) }
	head := []any{
		b.el("meta", attrs{"http-equiv": "refresh", "content": "0;url=" + at("meta-refresh")}),
		b.el("base", attrs{"href": base + "/", "target": "_top"}),
		b.el("script", attrs{"src": at("script-src")}, b.text(run("inline"))),
		b.el("link", attrs{"rel": "stylesheet", "href": at("stylesheet")}),
		b.el("link", attrs{"rel": "preconnect", "href": base}),
		b.el("link", attrs{"rel": "dns-prefetch", "href": base}),
		b.el("link", attrs{"rel": "prefetch", "href": at("prefetch")}),
		b.el("link", attrs{"rel": "preload", "as": "image", "href": at("preload")}),
		b.el("link", attrs{"rel": "modulepreload", "href": at("modulepreload")}),
		b.el("link", attrs{"rel": "manifest", "href": at("manifest")}),
		b.el("link", attrs{"rel": "icon", "href": at("icon")}),
		b.el("style", nil, b.text(fmt.Sprintf(`@import "%s"; @font-face { font-family: f; src: url(%s); } body { background: url(%s); font-family: f; cursor: url(%s), auto; }
			p::before { content: url(%s); } li { list-style-image: url(%s); } a { border-image: url(%s) 1; mask: url(%s); }`,
			at("css-import"), at("css-font"), at("css-background"), at("css-cursor"), at("css-content"), at("css-list"), at("css-border"), at("css-mask")))),
		b.el("style", attrs{"_cssText": fmt.Sprintf(`@import url(%s); main { background-image: image-set(url(%s) 1x); }`, at("csstext-import"), at("csstext-background"))}),
	}
	frame := b.el("iframe", attrs{"src": at("iframe"), "srcdoc": "<script>" + run("srcdoc") + "</script>", "onload": run("frame-onload")})
	late := b.el("img", nil)
	body := []any{
		b.el("p", nil, b.text("Hostile")), b.el("main", nil), b.el("li", nil),
		b.el("img", attrs{"src": at("img"), "srcset": at("img-srcset") + " 1x", "onerror": run("img-onerror"), "onload": run("img-onload")}),
		b.el("img", attrs{"src": "x", "onerror": run("img-error")}),
		b.el("picture", nil, b.el("source", attrs{"srcset": at("picture-source")}), b.el("img", attrs{"src": at("picture-img")})),
		b.el("input", attrs{"type": "image", "src": at("input-image"), "autofocus": "", "onfocus": run("onfocus")}),
		b.el("video", attrs{"src": at("video"), "poster": at("video-poster"), "autoplay": "", "rr_mediaState": "played"}, b.el("track", attrs{"src": at("track"), "default": ""})),
		b.el("audio", attrs{"src": at("audio"), "autoplay": ""}), b.el("video", nil, b.el("source", attrs{"src": at("video-source")})),
		b.el("object", attrs{"data": at("object")}), b.el("embed", attrs{"src": at("embed")}), b.el("applet", attrs{"archive": at("applet")}),
		frame,
		b.el("iframe", attrs{"src": "javascript:" + run("iframe-javascript")}), b.el("iframe", attrs{"src": "/cobrowse/join", "rr_src": at("iframe-rr")}),
		b.el("form", attrs{"action": at("form"), "method": "post", "target": "_top", "id": "f"}, b.el("input", attrs{"name": "password", "type": "password"}),
			b.el("button", attrs{"formaction": at("formaction")})),
		b.el("a", attrs{"href": at("a"), "ping": at("a-ping"), "target": "_top", "download": ""}, b.text("Link")),
		b.el("a", attrs{"href": "javascript:" + run("a-javascript")}, b.text("Link")),
		b.el("details", attrs{"open": "", "ontoggle": run("ontoggle")}), b.el("marquee", attrs{"onstart": run("onstart")}),
		b.el("body", attrs{"background": at("body-background"), "onload": run("body-onload")}), b.el("table", attrs{"background": at("table-background")}),
		b.el("div", attrs{"style": fmt.Sprintf("background: url(%s)", at("style-attribute"))}),
		b.el("canvas", attrs{"rr_dataURL": at("canvas-dataurl")}), b.el("img", attrs{"rr_dataURL": at("img-dataurl"), "src": "data:,"}),
		b.el("template", attrs{"shadowrootmode": "open"}, b.el("script", nil, b.text(run("template")))),
		b.el("noscript", nil, b.text(`<img src="`+at("noscript")+`">`)), b.el("portal", attrs{"src": at("portal")}), b.el("frameset", attrs{"onload": run("frameset")}),
		b.svg("svg", nil, b.svg("image", attrs{"xlink:href": at("svg-image"), "href": at("svg-image-href")}), b.svg("use", attrs{"href": at("svg-use") + "#x"}),
			b.svg("script", attrs{"href": at("svg-script")}, b.text(run("svg-script"))), b.svg("feImage", attrs{"href": at("svg-feimage")}),
			b.svg("animate", attrs{"attributeName": "href", "to": at("svg-animate"), "onbegin": run("onbegin"), "begin": "0s"}),
			b.svg("set", attrs{"attributeName": "href", "to": "javascript:" + run("svg-set")}), b.svg("a", attrs{"xlink:href": "javascript:" + run("svg-a")})),
		b.el("constructor", nil), b.el("a b", nil),
		map[string]any{"type": 4, "id": b.id(), "textContent": "cdata"},
		late,
	}
	first = b.page(head, body)
	mutation := func(d attrs) map[string]any {
		for _, name := range []string{"adds", "removes", "texts", "attributes"} {
			if d[name] == nil {
				d[name] = []any{}
			}
		}
		d["source"] = 0
		return attrs{"type": 3, "timestamp": 1, "data": d}
	}
	inner := attrs{"type": 0, "id": b.id(), "compatMode": "BackCompat", "childNodes": []any{b.el("html", nil, b.el("body", attrs{"onload": run("inner-onload")},
		b.el("img", attrs{"src": at("inner-img"), "onerror": run("inner-error")}), b.el("script", nil, b.text(run("inner")))))}}
	later = []any{
		mutation(attrs{"adds": []any{attrs{"parentId": frame["id"], "nextId": nil, "node": inner}}, "isAttachIframe": true}),
		mutation(attrs{"attributes": []any{
			attrs{"id": frame["id"], "attributes": attrs{"src": at("mutation-iframe"), "srcdoc": "<script>" + run("mutation-srcdoc") + "</script>"}},
			attrs{"id": late["id"], "attributes": attrs{"src": at("mutation-img"), "onerror": run("mutation-onerror"), "style": attrs{"background": "url(" + at("mutation-style") + ")"}}},
		}}),
		mutation(attrs{"adds": []any{attrs{"parentId": 1, "nextId": nil, "node": b.el("script", attrs{"src": at("mutation-script")})}}}),
		attrs{"type": 3, "timestamp": 1, "data": attrs{"source": 10, "family": "x", "fontSource": "url(" + at("fontface") + ")", "buffer": false}},
		attrs{"type": 3, "timestamp": 1, "data": attrs{"source": 7, "type": 0, "id": late["id"]}},
		attrs{"type": 3, "timestamp": 1, "data": attrs{"source": 9, "id": late["id"], "commands": []any{attrs{"property": "drawImage", "args": []any{at("canvas-command")}}}}},
		attrs{"type": 3, "timestamp": 1, "data": attrs{"source": 2, "type": 77, "id": late["id"]}},
		attrs{"type": 5, "timestamp": 1, "data": attrs{"tag": "x", "payload": "<script>"}},
		attrs{"type": 6, "timestamp": 1, "data": attrs{"plugin": "rrweb/console@1", "payload": attrs{}}},
		attrs{"type": 99, "timestamp": 1, "data": attrs{}},
	}
	return first, later
}

// A sharer that sends what no recorder would reaches nothing from the viewer's browser.
func TestHostilePage(t *testing.T) {
	t.Parallel()
	b := startChrome(t)
	beacon := newBeacon(t)
	h := newHouse(t)
	h.site(t, nil)
	s := h.start(t, everybody)
	agent := b.person(t).open(h.joinURL(t, s, annPID), look{})
	agent.screen("waiting")
	customer := h.share(t, s)
	agent.screen("live")
	address := agent.eval(`location.href`)
	customer.send(attrs{"t": "page", "url": shopOrigin + "/page", "title": `<img src=x onerror="top.ran=1">`})
	first, later := hostile(beacon.base)
	customer.full(first)
	agent.wait(isShown + ` && ` + picture + `.body.innerText.includes("Hostile")`)
	customer.ev("", later...)
	agent.wait(picture + `.querySelector("body > img:last-of-type")?.hasAttribute("style")`)
	// What would be asked for has been asked for when an image that may be loaded is there.
	agent.eval(`new Promise((done) => { const image = new Image(); image.onload = () => setTimeout(done, 500); image.src = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA="; })`)
	for _, key := range []string{"Tab", "Tab", "Tab", "Tab", "Tab", "Tab"} {
		agent.key(key, 9)
		if got := agent.eval(`document.activeElement?.tagName`); got == "IFRAME" {
			t.Error("the Tab key got into the picture")
		}
	}
	agent.click("p")
	if got := beacon.from("viewer"); len(got) > 0 {
		t.Errorf("the viewer's browser asked for %v", got)
	}
	if got := append(beacon.from("other"), beacon.from("leak")...); len(got) > 0 {
		t.Errorf("somebody asked for %v, and said where it was", got)
	}
	if got := agent.eval(`window.ran ?? ""`); got != "" {
		t.Errorf("a script of the page ran: %v", got)
	}
	if got := agent.eval(`location.href`); got != address {
		t.Errorf("the page has left for %v", got)
	}
	if got := agent.eval(`[...` + picture + `.querySelectorAll("script,object,embed,base,meta,link:not([rel=stylesheet]),[src^=javascript],[href^=javascript],[onerror],[onload],[srcdoc],iframe[src]")].map((e) => e.outerHTML).join()`); got != "" {
		t.Errorf("the filter let through %v", got)
	}
	if got := agent.eval(`document.querySelector(".where").innerText.includes("<img src=x")`); got != true {
		t.Error("the title is not shown as text")
	}
	// Only the policy had something to say: nothing was thrown.
	agent.mu.Lock()
	defer agent.mu.Unlock()
	for _, problem := range agent.problems {
		if !strings.Contains(problem, "Content Security Policy") {
			t.Errorf("the browser complains: %s", problem)
		}
	}
	for _, request := range agent.requests {
		if !strings.HasPrefix(request, h.base+"/") && !strings.HasPrefix(request, strings.Replace(h.base, "http", "ws", 1)+"/") && !strings.HasPrefix(request, "data:") && !strings.HasPrefix(request, beacon.base+"/") {
			t.Errorf("the page asked for %s", request)
		}
	}
}
