package config

import (
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	Path string // dotted path of the key; empty when it is about no key
	Text string // what is there, and what is wanted
}

// String returns path and text.
func (p Problem) String() string {
	if p.Path == "" {
		return p.Text
	}
	return p.Path + ": " + p.Text
}

// Error is everything that is wrong with a configuration. No secret stands in it.
type Error struct {
	Problems []Problem // at least one
}

// Error returns one line for each problem.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return "configuration: " + strings.Join(lines, "\n")
}

// problems collects.
type problems []Problem

func (p *problems) add(path, format string, args ...any) {
	*p = append(*p, Problem{Path: path, Text: fmt.Sprintf(format, args...)})
}

// err returns nil if there are none.
func (p *problems) err() error {
	if len(*p) == 0 {
		return nil
	}
	return &Error{Problems: *p}
}

// has reports whether something is wrong with a key already.
func (p *problems) has(path string) bool {
	return slices.ContainsFunc(*p, func(known Problem) bool { return known.Path == path })
}
