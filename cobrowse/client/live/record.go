package live

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
)

// Types of rrweb's events and sources of its incremental ones:
// https://github.com/rrweb-io/rrweb/blob/main/packages/types/src/index.ts
const (
	eventFull        = 2
	eventIncremental = 3
	eventMeta        = 4

	sourceMutation = 0
	sourceMove     = 1
	sourceMouse    = 2
	sourceScroll   = 3
	sourceResize   = 4
	sourceInput    = 5
)

type object map[string]any

// event makes one of rrweb's events.
func event(kind int, at int64, data object) object {
	return object{"type": kind, "data": data, "timestamp": at}
}

// recorder writes a page as viewers may see it.
type recorder struct {
	policy  *policy
	address *url.URL
}

// Attributes that never leave the page, those that do as they are, addresses, texts,
// and those whose values are of the page's making; as in the customer's script.
var (
	attrDropped = regexp.MustCompile(`^(on.*|nonce|integrity|srcdoc|crossorigin|(form)?action|ping|cite|imagesrcset|srcset)$`)
	attrAddress = regexp.MustCompile(`^(href|src|poster|data|background|xlink:href)$`)
	attrTextual = regexp.MustCompile(`^(title|alt|placeholder|label|content|summary|xlink:title|aria-.*(label|description|text|placeholder))$`)
	attrKnown   = regexp.MustCompile(`^(for|form|list|headers|sizes|media|color|bgcolor|autocomplete|rel|part|slot|is|lang|dir|type|role|m(in|ax)(length)?|step|low|high|optimum|span|colspan|rowspan|cols|rows|size|(margin|frame)?(width|height|border)|cell.*|tabindex|start|contenteditable|aria-.*|xml.*)$`)
	attrTelling = regexp.MustCompile(`^aria-(checked|selected|pressed|current|active|value|pos)`)
	attrWord    = regexp.MustCompile(`^([a-z][a-z_-]{0,23})?$`)
	attrCopies  = regexp.MustCompile(`val|text|query|model`)
	cssAddress  = regexp.MustCompile(`(?i)url\([^)]*\)|@import[^;]*;?`)
	dotsAreNone = regexp.MustCompile(`^(number|month|week|time|date.*)$`)
	scheme      = regexp.MustCompile(`(?i)^[a-z][a-z\d+.-]*:`)
)

// node writes a node and all in it; nil for what is never sent.
func (r recorder) node(n *node, f flags) object {
	out := object{"type": n.kind, "id": n.id}
	switch n.kind {
	case kindDocument:
		out["childNodes"] = r.children(n, f)
	case kindDoctype:
		out["name"], out["publicId"], out["systemId"] = n.name, "", ""
	case kindText:
		out["textContent"] = r.text(n, f)
	case kindElement:
		r.element(n, f|r.policy.own(n, r.address), out)
	default:
		return nil
	}
	return out
}

func (r recorder) element(n *node, f flags, out object) {
	out["tagName"] = n.name
	switch {
	case f&blocked != 0:
		out["attributes"], out["childNodes"] = object{"class": "rr-block", "rr_width": "200px", "rr_height": "40px"}, []object{}
		return
	case n.name == "script" || n.name == "noscript" || n.name == "template" || n.name == "iframe":
		out["attributes"], out["childNodes"] = object{}, []object{}
		return
	}
	attrs := object{}
	for name, value := range n.attrs {
		if value, ok := r.attr(n, name, value, f); ok {
			attrs[name] = value
		}
	}
	if value, ok := r.value(n, f); ok {
		attrs["value"] = value
	}
	if n.isBox() && n.checked && f&masked == 0 {
		attrs["checked"] = true
	}
	if n.name == "option" && n.checked && !r.policy.hidesValue(n, f) {
		attrs["selected"] = true
	}
	out["attributes"], out["childNodes"] = attrs, r.children(n, f)
	if n.name == "textarea" { // its value is in the attribute
		out["childNodes"] = []object{}
	}
}

func (r recorder) children(n *node, f flags) []object {
	all := []object{}
	for _, c := range n.children {
		if one := r.node(c, f); one != nil {
			all = append(all, one)
		}
	}
	return all
}

// text is what may be told of a text.
func (r recorder) text(n *node, f flags) string {
	switch up := n.parent; {
	case up != nil && up.name == "style":
		return cssAddress.ReplaceAllString(n.text, "")
	case up != nil && (up.name == "script" || up.name == "noscript" || up.name == "template"):
		return ""
	case r.policy.hidesText(up, f):
		return r.policy.maskText(n.text, f, up.closest("select", "textarea", "datalist") != nil)
	default:
		return n.text
	}
}

// value is what may be told of what a field holds; false = nothing.
func (r recorder) value(n *node, f flags) (string, bool) {
	if !n.isField() {
		return "", false
	}
	switch t := n.fieldType(); {
	case t == "hidden" || t == "image" || t == "file" || n.isBox():
		return "", false
	case n.isCaption():
		if r.policy.hidesText(nil, f) {
			return Mask, true
		}
		return n.attrs["value"], n.attrs["value"] != ""
	case r.policy.hidesValue(n, f):
		return maskValue(n.value), true
	case n.name == "select":
		for _, o := range n.options() {
			if o.checked {
				return o.label(), true
			}
		}
		return "", true
	default:
		return n.value, true
	}
}

// attr is what may be told of an attribute.
func (r recorder) attr(n *node, name, value string, f flags) (any, bool) {
	none := f&masked != 0 || f&edited != 0 && f&shown == 0
	hides := n.isField() && r.policy.hidesValue(n, f)
	switch {
	case name == "value" || name == "checked" || name == "selected" || attrDropped.MatchString(name) || strings.HasPrefix(name, "rr_"):
		return nil, false
	case n.name == "meta" || n.name == "base":
		return value, n.name == "meta" && name == "charset"
	case n.name == "link":
		return nil, false // styles that are elsewhere are not read here
	case name == "class" || name == "id":
		return value, true
	case name == "style":
		return cssAddress.ReplaceAllString(value, ""), !none
	case attrAddress.MatchString(name):
		if n.name == "a" || n.name == "area" {
			return "#", !none // a link stays a link to the eye
		}
		clean := cleanURL(value)
		return clean, clean != "" && !none && n.name != "form" && n.name != "button" && n.name != "frame"
	case name == "type" && hides && dotsAreNone.MatchString(value):
		return "text", true
	case attrTextual.MatchString(name):
		if name == "aria-valuetext" && f&shown == 0 {
			return nil, false
		}
		if value != "" && r.policy.hidesText(nil, f) {
			return Mask, true
		}
		return value, true
	case name == "aria-valuenow" && (f&shown == 0 || f&masked != 0):
		return nil, false
	case attrKnown.MatchString(name):
		return value, !none || !attrTelling.MatchString(name)
	case none:
		return value, value == ""
	default:
		return value, attrWord.MatchString(value) && !attrCopies.MatchString(name)
	}
}

// cleanURL is an address without what may be secret in it: no query, fragment,
// parameters or user; "" for schemes other than http and https and images in themselves.
func cleanURL(address string) string {
	address = strings.TrimSpace(address)
	lower := strings.ToLower(address)
	if strings.HasPrefix(lower, "data:") {
		if strings.HasPrefix(lower, "data:image/") && len(address) <= 200<<10 {
			return address
		}
		return ""
	}
	if scheme.MatchString(address) && !strings.HasPrefix(lower, "http:") && !strings.HasPrefix(lower, "https:") {
		return ""
	}
	if i := strings.IndexAny(address, "?#"); i >= 0 {
		address = address[:i]
	}
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	u.User = nil
	parts := strings.Split(u.Path, "/")
	for i, part := range parts {
		parts[i], _, _ = strings.Cut(part, ";")
	}
	u.Path, u.RawPath = strings.Join(parts, "/"), ""
	return u.String()
}

// full is the whole page: a Meta and a FullSnapshot event.
func (r recorder) full(t *tree, width, height, left, top int, at int64) []object {
	return []object{
		event(eventMeta, at, object{"href": cleanURL(r.address.String()), "width": width, "height": height}),
		event(eventFull, at, object{"node": r.node(t.root, 0), "initialOffset": object{"left": left, "top": top}}),
	}
}

// input tells what a field holds now.
func (r recorder) input(n *node, at int64) object {
	f := r.policy.of(n, r.address)
	value, _ := r.value(n, f)
	return event(eventIncremental, at, object{"source": sourceInput, "id": n.id, "text": value, "isChecked": n.checked && f&masked == 0})
}

// adds writes a node that comes last in its parent, and what is in it: viewers take
// each node by itself.
func (r recorder) adds(n *node, f flags) []object {
	one := r.node(n, f)
	if one == nil {
		return nil
	}
	add := []object{{"parentId": n.parent.id, "nextId": nil, "node": one}}
	inside, _ := one["childNodes"].([]object)
	if len(inside) == 0 {
		return add
	}
	one["childNodes"] = []object{}
	for _, c := range n.children {
		add = append(add, r.adds(c, f|r.policy.own(n, r.address))...)
	}
	return add
}

// mutation tells of nodes that are new or gone.
func (r recorder) mutation(at int64, adds, removes []object) object {
	none := func(list []object) []object {
		if list == nil {
			return []object{}
		}
		return list
	}
	return event(eventIncremental, at, object{
		"source": sourceMutation, "adds": none(adds), "removes": none(removes), "texts": []object{}, "attributes": []object{},
	})
}

func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		return []byte("null") // not with what is encoded here
	}
	return text
}
