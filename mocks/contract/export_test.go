package contract

import "strings"

// Harms returns the names that reasons are given for; of those that end in a star,
// what stands before it.
func Harms() []string {
	var names []string
	for _, h := range harms() {
		for _, name := range h.cases {
			names = append(names, strings.TrimSuffix(name, "*"))
		}
	}
	return names
}
