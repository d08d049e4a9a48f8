package live

import (
	"fmt"
	"net/url"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Page is a page that is shared, written in HTML. Scripts in it do not run.
type Page struct {
	URL    string // absolute, http or https
	Title  string // "" = that of the HTML
	HTML   string // whole page or what stands in its body
	Width  int    // of the window, CSS pixels; 0 = 1280
	Height int    // 0 = 800
}

func (p Page) size() (width, height int) {
	width, height = p.Width, p.Height
	if width == 0 {
		width = 1280
	}
	if height == 0 {
		height = 800
	}
	return width, height
}

// build reads a page. The address and the title are as they may be told.
func (p Page) build() (*tree, *url.URL, error) {
	address, err := url.Parse(p.URL)
	if err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" {
		return nil, nil, fmt.Errorf("page %q: want an absolute address, http or https", p.URL)
	}
	parsed, err := html.Parse(strings.NewReader(p.HTML))
	if err != nil {
		return nil, nil, fmt.Errorf("page %s: %w", p.URL, err)
	}
	t := newTree()
	t.root = convert(parsed)
	t.add(t.root)
	t.root.each(func(n *node) bool {
		n.setDefaults()
		return true
	})
	return t, address, nil
}

// convert makes nodes of what the parser has read.
func convert(from *html.Node) *node {
	n := &node{}
	switch from.Type {
	case html.DocumentNode:
		n.kind = kindDocument
	case html.DoctypeNode:
		n.kind, n.name = kindDoctype, from.Data
	case html.TextNode:
		n.kind, n.text = kindText, from.Data
	case html.ElementNode:
		n.kind, n.name, n.attrs = kindElement, strings.ToLower(from.Data), map[string]string{}
		for _, a := range from.Attr {
			n.attrs[strings.ToLower(a.Key)] = a.Val
		}
	default:
		n.kind = kindComment
	}
	for c := from.FirstChild; c != nil; c = c.NextSibling {
		n.children = append(n.children, convert(c))
	}
	return n
}

// setDefaults gives a field what it holds at first.
func (n *node) setDefaults() {
	if n.kind != kindElement {
		return
	}
	switch n.name {
	case "input":
		_, n.checked = n.attrs["checked"]
		n.value = n.attrs["value"]
		if n.isBox() && n.value == "" {
			n.value = "on"
		}
	case "textarea":
		n.value = strings.TrimPrefix(n.rawText(), "\n")
	case "select":
		n.value = ""
		if options := n.options(); len(options) > 0 {
			chosen := options[0]
			for _, o := range options {
				if _, ok := o.attrs["selected"]; ok {
					chosen = o
				}
			}
			n.choose(chosen)
		}
	}
}

func (n *node) options() []*node {
	var all []*node
	n.each(func(c *node) bool {
		if c.kind == kindElement && c.name == "option" {
			all = append(all, c)
		}
		return true
	})
	return all
}

// label is what people read of an option.
func (n *node) label() string { return strings.Join(strings.Fields(n.rawText()), " ") }

// choose selects one option of a select.
func (n *node) choose(option *node) {
	for _, o := range n.options() {
		o.checked = o == option
	}
	if value, ok := option.attrs["value"]; ok {
		n.value = value
	} else {
		n.value = option.label()
	}
}

func (t *tree) title() string {
	title := ""
	t.root.each(func(n *node) bool {
		if n.kind == kindElement && n.name == "title" {
			title = n.label()
			return false
		}
		return true
	})
	return title
}

// fragment reads HTML that stands in an element.
func fragment(in, text string) ([]*node, error) {
	around := &html.Node{Type: html.ElementNode, Data: in, DataAtom: atom.Lookup([]byte(in))}
	parsed, err := html.ParseFragment(strings.NewReader(text), around)
	if err != nil {
		return nil, fmt.Errorf("read HTML: %w", err)
	}
	var all []*node
	for _, one := range parsed {
		all = append(all, convert(one))
	}
	return all, nil
}
