package live

import (
	"slices"
	"strconv"
	"strings"
)

// Kinds of nodes, as rrweb numbers them.
const (
	kindDocument = 0
	kindDoctype  = 1
	kindElement  = 2
	kindText     = 3
	kindComment  = 5
)

// node is one node of a page; the sharer's of its own page, the viewer's of what it
// was shown of one.
type node struct {
	id       int
	kind     int
	name     string // of an element or doctype, in lower case
	attrs    map[string]string
	text     string
	parent   *node
	children []*node
	depth    int // nodes above it; of the viewer's alone

	value   string // what a field holds
	checked bool   // a box, a choice
}

// tree is a page: its nodes by id.
type tree struct {
	root *node
	byID map[int]*node
	last int // id
	size int // nodes
}

func newTree() *tree { return &tree{byID: map[int]*node{}} }

// add gives a node its number, and those in it theirs.
func (t *tree) add(n *node) {
	t.last++
	n.id = t.last
	t.byID[n.id] = n
	t.size++
	for _, c := range n.children {
		c.parent = n
		t.add(c)
	}
}

// forget takes a node and what is in it out of the index.
func (t *tree) forget(n *node) {
	delete(t.byID, n.id)
	t.size--
	for _, c := range n.children {
		t.forget(c)
	}
}

// remove takes a node out of its parent.
func (t *tree) remove(n *node) {
	if n.parent != nil {
		n.parent.children = slices.DeleteFunc(n.parent.children, func(c *node) bool { return c == n })
		n.parent = nil
	}
	t.forget(n)
}

// each calls f for a node and all below it, in document order, until f returns false.
func (n *node) each(f func(*node) bool) bool {
	if n == nil {
		return true
	}
	if !f(n) {
		return false
	}
	for _, c := range n.children {
		if !c.each(f) {
			return false
		}
	}
	return true
}

// closest returns n or the nearest element around it with one of the names; nil if
// there is none.
func (n *node) closest(names ...string) *node {
	for ; n != nil; n = n.parent {
		if n.kind == kindElement && slices.Contains(names, n.name) {
			return n
		}
	}
	return nil
}

func (n *node) isField() bool {
	return n.kind == kindElement && (n.name == "input" || n.name == "textarea" || n.name == "select")
}

// fieldType is the type of an input, in lower case; else the name of the element.
func (n *node) fieldType() string {
	if n.name != "input" {
		return n.name
	}
	if t := strings.ToLower(strings.TrimSpace(n.attrs["type"])); t != "" {
		return t
	}
	return "text"
}

// isBox tells whether a field is on or off.
func (n *node) isBox() bool {
	t := n.fieldType()
	return n.name == "input" && (t == "checkbox" || t == "radio")
}

// isCaption tells whether a field is a button, whose value is what stands on it.
func (n *node) isCaption() bool {
	t := n.fieldType()
	return n.name == "input" && (t == "submit" || t == "button" || t == "reset")
}

// isText tells whether people type into a field.
func (n *node) isText() bool {
	switch n.fieldType() {
	case "textarea":
		return true
	case "checkbox", "radio", "range", "color", "file", "submit", "image", "button", "reset", "hidden", "select":
		return false
	default:
		return n.name == "input"
	}
}

// rawText is all text below a node.
func (n *node) rawText() string {
	var b strings.Builder
	n.each(func(c *node) bool {
		if c.kind == kindText {
			b.WriteString(c.text)
		}
		return true
	})
	return b.String()
}

// Elements that start a line, and elements in which nothing is read.
func isBlock(name string) bool {
	switch name {
	case "address", "article", "aside", "blockquote", "body", "br", "dd", "div", "dl", "dt", "fieldset", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6",
		"header", "hr", "li", "main", "nav", "ol", "p", "pre", "section", "table", "tr", "ul", "dialog", "details", "summary":
		return true
	default:
		return false
	}
}

func isUnread(name string) bool {
	switch name {
	case "head", "script", "style", "template", "noscript", "title", "select", "textarea":
		return true
	default:
		return false
	}
}

// readText is what a person reads: a line for each block, single spaces.
func (n *node) readText() string {
	var b strings.Builder
	var walk func(*node)
	walk = func(c *node) {
		switch {
		case c.kind == kindText:
			b.WriteString(strings.NewReplacer("\n", " ", "\t", " ", "\r", " ").Replace(c.text))
			return
		case c.kind == kindElement && isUnread(c.name):
			return
		}
		block := c.kind == kindElement && isBlock(c.name)
		if block {
			b.WriteByte('\n')
		} else if c.kind == kindElement && (c.name == "td" || c.name == "th") {
			b.WriteByte(' ')
		}
		for _, child := range c.children {
			walk(child)
		}
		if block {
			b.WriteByte('\n')
		}
	}
	if n != nil {
		walk(n)
	}
	var lines []string
	for line := range strings.Lines(b.String()) {
		if words := strings.Fields(line); len(words) > 0 {
			lines = append(lines, strings.Join(words, " "))
		}
	}
	return strings.Join(lines, "\n")
}

// path is the CSS path of an element, as the customer's script gives it: never text,
// at most 300 characters.
func (n *node) path() string {
	path, join := "", ""
	for at := n; at != nil && at.kind == kindElement && len(path) < 250; at = at.parent {
		if id := at.attrs["id"]; isPlainID(id) {
			return cut("#"+id+join+path, 300)
		}
		step := at.name
		if at.parent != nil {
			nth, same := 0, 0
			for _, c := range at.parent.children {
				if c.kind == kindElement && c.name == at.name {
					same++
					if c == at {
						nth = same
					}
				}
			}
			if same > 1 {
				step += ":nth-of-type(" + strconv.Itoa(nth) + ")"
			}
		}
		path, join = step+join+path, ">"
	}
	return cut(path, 300)
}

// isPlainID tells whether an id may stand in a path: one with a long number may be
// somebody's.
func isPlainID(id string) bool {
	if id == "" || len(id) > 41 {
		return false
	}
	digits := 0
	for i, r := range id {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		digit := r >= '0' && r <= '9'
		if i == 0 && !letter || !letter && !digit && r != '-' && r != '_' {
			return false
		}
		if digits++; !digit {
			digits = 0
		}
		if digits == 4 {
			return false
		}
	}
	return true
}

func cut(text string, most int) string { return text[:min(len(text), most)] }
