package mocks

import (
	"net/http"
	"slices"
	"strings"
)

// route is one of the service's own.
type route struct {
	name     string // METHOD /path/{parameter}
	method   string
	segments []string // of the path; {name} matches any one, * all that follow
}

// routes are those that the service has.
type routes []route

func newRoutes(names []string) routes {
	all := make(routes, len(names))
	for i, name := range names {
		all[i] = parseRoute(name)
	}
	return all
}

func parseRoute(name string) route {
	method, path, _ := strings.Cut(name, " ")
	return route{name: name, method: method, segments: segmentsOf(path)}
}

// segmentsOf splits a path. A slash at its end means nothing, as to the service.
func segmentsOf(path string) []string {
	return strings.Split(strings.Trim(path, "/"), "/")
}

func parameter(segment string) bool { return strings.HasPrefix(segment, "{") }

// fits reports whether the path has the form of the route.
func (r route) fits(path []string) bool {
	if n := len(r.segments); n != len(path) && r.segments[n-1] != "*" {
		return false // as of most routes
	}
	for i, segment := range r.segments {
		switch {
		case segment == "*":
			return true
		case i >= len(path) || segment != path[i] && (!parameter(segment) || path[i] == ""):
			return false
		}
	}
	return true
}

// match returns the route that a request is for: of several the one with the
// fewest parameters.
func (all routes) match(method, path string) (found route, ok bool) {
	segments := segmentsOf(path)
	least := 0
	for _, r := range all {
		if r.method != method || !r.fits(segments) {
			continue
		}
		n := 0
		for _, segment := range r.segments {
			if parameter(segment) || segment == "*" {
				n++
			}
		}
		if !ok || n < least {
			found, least, ok = r, n, true
		}
	}
	return found, ok
}

// named returns the route of this name, whatever its parameters are called.
func (all routes) named(name string) (route, bool) {
	wanted := parseRoute(name)
	for _, r := range all {
		if r.method == wanted.method && slices.EqualFunc(r.segments, wanted.segments, func(a, b string) bool {
			return a == b || parameter(a) && parameter(b)
		}) {
			return r, true
		}
	}
	return route{}, false
}

// What it costs to mean something else: another method, and to leave out or put in a
// part of the path, a literal one or a parameter. A letter costs 1.
const (
	otherMethod  = 4
	wholeSegment = 3
	anyText      = 1
)

// nearest says which route somebody may have meant who asked for one that is not there.
func (all routes) nearest(method, path string) string {
	segments := segmentsOf(path)
	var methods []string
	for _, r := range all {
		if r.fits(segments) && !slices.Contains(methods, r.method) {
			methods = append(methods, r.method)
		}
	}
	if len(methods) > 0 {
		return "the service has this path for " + strings.Join(methods, ", ")
	}
	best, least := "", -1
	for _, r := range all {
		if r.method == http.MethodHead && method != http.MethodHead {
			continue // they come with each GET
		}
		cost := apart(segments, r.segments)
		if r.method != method {
			cost += otherMethod
		}
		if least < 0 || cost < least {
			best, least = r.name, cost
		}
	}
	return "the nearest route is " + best
}

// apart is the edit distance between a path and the form of a route: what has to be
// typed differently. A parameter is any text.
func apart(path, form []string) int {
	row := make([]int, len(form)+1)
	for j, segment := range form {
		row[j+1] = row[j] + size(segment)
	}
	for _, segment := range path {
		diagonal := row[0]
		row[0] += size(segment)
		for j, want := range form {
			replaced := diagonal
			if want != "*" && (!parameter(want) || segment == "") {
				replaced += distance(segment, want)
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+size(want), diagonal+size(segment))
		}
	}
	return row[len(form)]
}

// size is what it costs to leave a segment out.
func size(segment string) int {
	if parameter(segment) || segment == "*" {
		return anyText
	}
	return wholeSegment
}

// distance is the edit distance of two texts, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
