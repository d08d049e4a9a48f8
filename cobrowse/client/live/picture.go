package live

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fasthttp/websocket"
)

// Picture is what a viewer sees of the shared page at one moment.
type Picture struct {
	URL    string  `json:"url"`
	Title  string  `json:"title"`
	Text   string  `json:"text"`             // what a person reads: a line for each block; fields are not in it
	Fields []Field `json:"fields,omitempty"` // the first 2,000
	Width  int     `json:"width"`            // of the sharer's window, CSS pixels
	Height int     `json:"height"`
	Left   int     `json:"left,omitempty"` // scrolled by
	Top    int     `json:"top,omitempty"`
	Epoch  uint32  `json:"epoch"` // grows with each page
}

// Field is a form field in a picture.
type Field struct {
	Selector string `json:"selector"` // names it to Fill and Click
	Name     string `json:"name,omitempty"`
	Type     string `json:"type"` // of an input; else textarea or select
	Value    string `json:"value,omitempty"`
	Masked   bool   `json:"masked,omitempty"` // there is a value, which viewers do not see
	Checked  bool   `json:"checked,omitempty"`
}

// Field returns the field with this name, id or selector.
func (p Picture) Field(name string) (Field, bool) {
	i := slices.IndexFunc(p.Fields, func(f Field) bool { return f.Name == name || f.Selector == name || f.Selector == "#"+name })
	if i < 0 {
		return Field{}, false
	}
	return p.Fields[i], true
}

// Bounds of a picture, far beyond those of pages that people can use. A hostile sharer's
// would otherwise take all memory, or the stack.
const (
	mostNodes  = 200_000
	mostDepth  = 2_000
	mostFields = 2_000
)

func tooLarge() error {
	return &Error{Code: "tooLarge", Reason: "the shared page is", Status: websocket.CloseMessageTooBig}
}

// errBroken is a picture that the next event does not fit: it is asked for again.
var errBroken = errors.New("the picture is broken")

// wireNode is a node as rrweb writes it.
type wireNode struct {
	Type       int            `json:"type"`
	ID         int            `json:"id"`
	Name       string         `json:"name"`
	TagName    string         `json:"tagName"`
	Text       string         `json:"textContent"`
	Attributes map[string]any `json:"attributes"`
	Children   []wireNode     `json:"childNodes"`
}

// wireEvent is one of rrweb's events, as much of it as is read here.
type wireEvent struct {
	Type int `json:"type"`
	Data struct {
		// Meta
		Href   string `json:"href"`
		Width  int    `json:"width"`
		Height int    `json:"height"`
		// FullSnapshot
		Node   *wireNode `json:"node"`
		Offset struct {
			Left float64 `json:"left"`
			Top  float64 `json:"top"`
		} `json:"initialOffset"`
		// Incremental
		Source  int `json:"source"`
		Removes []struct {
			ID int `json:"id"`
		} `json:"removes"`
		Adds  []wireAdd `json:"adds"`
		Texts []struct {
			ID    int     `json:"id"`
			Value *string `json:"value"`
		} `json:"texts"`
		Attributes []struct {
			ID         int            `json:"id"`
			Attributes map[string]any `json:"attributes"`
		} `json:"attributes"`
		ID        int     `json:"id"`
		X         float64 `json:"x"`
		Y         float64 `json:"y"`
		Text      string  `json:"text"`
		IsChecked bool    `json:"isChecked"`
	} `json:"data"`
}

// wireAdd is a node that is new.
type wireAdd struct {
	Parent int      `json:"parentId"`
	Next   *int     `json:"nextId"`
	Node   wireNode `json:"node"`
}

// screen is the picture as it is rebuilt.
type screen struct {
	tree          *tree
	href          string
	width, height int
	left, top     int
}

// apply applies the events of one ev frame.
func (s *screen) apply(events json.RawMessage) error {
	var all []wireEvent
	if err := json.Unmarshal(events, &all); err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	for i := range all {
		if err := s.event(&all[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *screen) event(e *wireEvent) error {
	d := &e.Data
	switch e.Type {
	case eventMeta:
		s.href, s.width, s.height = d.Href, d.Width, d.Height
	case eventFull:
		if d.Node == nil {
			return errBroken
		}
		s.tree = newTree()
		var err error
		if s.tree.root, err = s.build(*d.Node, nil, nil); err != nil {
			return err
		}
		s.left, s.top = int(d.Offset.Left), int(d.Offset.Top)
	case eventIncremental:
		if s.tree == nil {
			return errBroken
		}
		return s.change(e)
	}
	return nil
}

// build makes nodes; fields hold what their attributes say. It calls made, if that is
// not nil, with the number of each.
func (s *screen) build(w wireNode, parent *node, made func(id int)) (*node, error) {
	n := &node{id: w.ID, kind: w.Type, name: strings.ToLower(w.TagName), text: w.Text, parent: parent}
	if parent != nil {
		n.depth = parent.depth + 1
	}
	if s.tree.size++; s.tree.size > mostNodes || n.depth > mostDepth {
		return nil, tooLarge()
	}
	if w.Type == kindDoctype {
		n.name = w.Name
	}
	if w.Type == kindElement {
		n.attrs = map[string]string{}
		setAttributes(n, w.Attributes)
	}
	s.tree.byID[n.id] = n
	if made != nil {
		made(n.id)
	}
	for _, c := range w.Children {
		child, err := s.build(c, n, made)
		if err != nil {
			return nil, err
		}
		n.children = append(n.children, child)
	}
	return n, nil
}

func setAttributes(n *node, attributes map[string]any) {
	for name, value := range attributes {
		name = strings.ToLower(name)
		switch value := value.(type) {
		case nil:
			delete(n.attrs, name)
		case string:
			n.attrs[name] = value
		case bool:
			if delete(n.attrs, name); value {
				n.attrs[name] = ""
			}
		case float64:
			n.attrs[name] = fmt.Sprint(value)
		}
		switch _, there := n.attrs[name]; name {
		case "value":
			if n.isField() && !n.isBox() {
				n.value = n.attrs[name]
			}
		case "checked", "selected":
			n.checked = there
		}
	}
}

func (s *screen) change(e *wireEvent) error {
	d := &e.Data
	switch d.Source {
	case sourceMutation:
		return s.mutate(e)
	case sourceInput:
		n := s.tree.byID[d.ID]
		if n == nil {
			return errBroken
		}
		n.checked = d.IsChecked
		if !n.isBox() {
			n.value = d.Text
		}
	case sourceScroll:
		if d.ID == s.tree.root.id {
			s.left, s.top = int(d.X), int(d.Y)
		}
	case sourceResize:
		s.width, s.height = d.Width, d.Height
	}
	return nil
}

func (s *screen) mutate(e *wireEvent) error {
	d := &e.Data
	for _, r := range d.Removes {
		if n := s.tree.byID[r.ID]; n != nil {
			s.tree.remove(n)
		}
	}
	if err := s.adds(d.Adds); err != nil {
		return err
	}
	for _, t := range d.Texts {
		if n := s.tree.byID[t.ID]; n != nil && t.Value != nil {
			n.text = *t.Value
		}
	}
	for _, a := range d.Attributes {
		if n := s.tree.byID[a.ID]; n != nil && n.kind == kindElement {
			setAttributes(n, a.Attributes)
		}
	}
	return nil
}

// adds puts new nodes where they belong. They may refer to each other, in any order: one
// whose parent or neighbour is not there yet waits for it.
func (s *screen) adds(all []wireAdd) error {
	waiting, waits := map[int][]wireAdd{}, 0
	for _, first := range all {
		for ready := []wireAdd{first}; len(ready) > 0; {
			add := ready[0]
			ready = ready[1:]
			if id, missing := s.missing(add); missing {
				waiting[id] = append(waiting[id], add)
				waits++
				continue
			}
			parent, next := s.tree.byID[add.Parent], (*node)(nil)
			if add.Next != nil {
				next = s.tree.byID[*add.Next]
			}
			n, err := s.build(add.Node, parent, func(id int) {
				ready = append(ready, waiting[id]...)
				waits -= len(waiting[id])
				delete(waiting, id)
			})
			if err != nil {
				return err
			}
			at := len(parent.children)
			if next != nil {
				if i := slices.Index(parent.children, next); i >= 0 {
					at = i
				}
			}
			parent.children = slices.Insert(parent.children, at, n)
		}
	}
	if waits > 0 {
		return errBroken
	}
	return nil
}

// missing returns a node that must be there before another can be added.
func (s *screen) missing(add wireAdd) (id int, missing bool) {
	if s.tree.byID[add.Parent] == nil {
		return add.Parent, true
	}
	if add.Next != nil && s.tree.byID[*add.Next] == nil {
		return *add.Next, true
	}
	return 0, false
}

// picture is what is seen now.
func (s *screen) picture() Picture {
	p := Picture{URL: s.href, Width: s.width, Height: s.height, Left: s.left, Top: s.top}
	if s.tree == nil {
		return p
	}
	p.Title, p.Text = s.tree.title(), s.tree.root.readText()
	s.tree.root.each(func(n *node) bool {
		if n.isField() && n.fieldType() != "hidden" {
			p.Fields = append(p.Fields, fieldOf(n))
		}
		return len(p.Fields) < mostFields
	})
	return p
}

func fieldOf(n *node) Field {
	f := Field{Name: n.attrs["name"], Type: n.fieldType(), Value: n.value, Checked: n.checked, Selector: n.path()}
	if f.Name == "" {
		f.Name = n.attrs["id"]
	}
	if f.Value == Mask {
		f.Value, f.Masked = "", true
	}
	return f
}
