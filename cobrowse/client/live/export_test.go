package live

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Outline lists the elements below the body that a viewer has, with all that it was
// told of them.
func (v *Viewer) Outline() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var b strings.Builder
	inBody := false
	v.screen.tree.root.each(func(n *node) bool {
		switch {
		case n.kind == kindElement && n.name == "body":
			inBody = true
		case !inBody || n.name == "script" || strings.Contains(n.name, "-") || n.kind == kindText && strings.TrimSpace(n.text) == "" || n.kind == kindComment:
		case n.kind == kindText:
			fmt.Fprintf(&b, "%q\n", strings.TrimSpace(n.text))
		default:
			b.WriteString(n.name)
			for _, name := range slices.Sorted(maps.Keys(n.attrs)) {
				if !strings.HasPrefix(name, "rr_") { // sizes: there are none here
					fmt.Fprintf(&b, " %s=%q", name, n.attrs[name])
				}
			}
			b.WriteString("\n")
		}
		return true
	})
	return b.String()
}

// Matches tells which elements of a page a selector names, by their ids.
func Matches(page Page, text string) ([]string, error) {
	s, err := parseSelector(text)
	if err != nil {
		return nil, err
	}
	t, _, err := page.build()
	if err != nil {
		return nil, err
	}
	var ids []string
	t.root.each(func(n *node) bool {
		if s.matches(n) {
			ids = append(ids, n.attrs["id"])
		}
		return true
	})
	return ids, nil
}

// Apply applies events to an empty screen, and shows what came of it.
func Apply(batches ...[]byte) (Picture, error) {
	var s screen
	for _, events := range batches {
		if err := s.apply(events); err != nil {
			return Picture{}, err
		}
	}
	return s.picture(), nil
}

// Recorded is what the sharer sends of a page first, without rules.
func Recorded(page Page) ([]byte, error) {
	t, address, err := page.build()
	if err != nil {
		return nil, err
	}
	p, err := newPolicy(rules{})
	if err != nil {
		return nil, err
	}
	return encode(recorder{policy: p, address: address}.full(t, 1, 1, 0, 0, 1)), nil
}
