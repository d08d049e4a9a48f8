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
