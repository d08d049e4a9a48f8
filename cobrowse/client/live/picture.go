package live

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Picture is what a viewer sees of the shared page at one moment.
type Picture struct {
	URL    string  `json:"url"`
	Title  string  `json:"title"`
	Text   string  `json:"text"` // what a person reads: a line for each block; fields are not in it
	Fields []Field `json:"fields,omitempty"`
	Width  int     `json:"width"` // of the sharer's window, CSS pixels
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
		Adds []struct {
			Parent int      `json:"parentId"`
			Next   *int     `json:"nextId"`
			Node   wireNode `json:"node"`
		} `json:"adds"`
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
		s.tree.root = s.build(*d.Node)
		s.left, s.top = int(d.Offset.Left), int(d.Offset.Top)
	case eventIncremental:
		if s.tree == nil {
			return errBroken
		}
		return s.change(e)
	}
	return nil
}

// build makes nodes; fields hold what their attributes say.
func (s *screen) build(w wireNode) *node {
	n := &node{id: w.ID, kind: w.Type, name: strings.ToLower(w.TagName), text: w.Text}
	if w.Type == kindDoctype {
		n.name = w.Name
	}
	if w.Type == kindElement {
		n.attrs = map[string]string{}
		setAttributes(n, w.Attributes)
	}
	s.tree.byID[n.id] = n
	for _, c := range w.Children {
		child := s.build(c)
		child.parent = n
		n.children = append(n.children, child)
	}
	return n
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
	// Additions may refer to each other, in any order.
	for waiting := d.Adds; len(waiting) > 0; {
		later := waiting[:0:0]
		for _, add := range waiting {
			parent := s.tree.byID[add.Parent]
			next := (*node)(nil)
			if add.Next != nil {
				next = s.tree.byID[*add.Next]
			}
			if parent == nil || add.Next != nil && next == nil {
				later = append(later, add)
				continue
			}
			n := s.build(add.Node)
			n.parent = parent
			at := len(parent.children)
			if next != nil {
				if i := slices.Index(parent.children, next); i >= 0 {
					at = i
				}
			}
			parent.children = slices.Insert(parent.children, at, n)
		}
		if len(later) == len(waiting) {
			return errBroken
		}
		waiting = later
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
		return true
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
