package mocks

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// FaultSpec is a [Fault] in words, for command lines and the admin API of a [Server].
type FaultSpec struct {
	Route string `json:"route"` // one of the service's, such as "POST /api/v2/cobrowse/sessions", or "*" for all
	// Fault is what goes wrong; see [FaultNames].
	Fault      string  `json:"fault"`
	RetryAfter float64 `json:"retryAfter,omitempty"` // seconds, of 429 and 503; default 1
	Seconds    float64 `json:"seconds,omitempty"`    // of delay
	Times      int     `json:"times,omitempty"`      // how often it happens; default 1
	After      int     `json:"after,omitempty"`      // requests that are let through before
}

// faultMakers are the faults by name.
func faultMakers() map[string]func(FaultSpec) Fault {
	html := func(status int) func(FaultSpec) Fault {
		return func(FaultSpec) Fault { return GatewayError(status) }
	}
	return map[string]func(FaultSpec) Fault{
		"401": func(FaultSpec) Fault { return TokenExpired() },
		"429": func(s FaultSpec) Fault { return TooManyRequests(seconds(s.RetryAfter)) },
		"500": func(FaultSpec) Fault { return InternalError() },
		"503": func(s FaultSpec) Fault { return Unavailable(seconds(s.RetryAfter)) },
		"504": func(FaultSpec) Fault { return TimedOut() },

		"html502": html(http.StatusBadGateway), "html503": html(http.StatusServiceUnavailable), "html504": html(http.StatusGatewayTimeout),

		"delay":           func(s FaultSpec) Fault { return Delay(seconds(s.Seconds)) },
		"cutBody":         func(FaultSpec) Fault { return CutBody() },
		"malformedJson":   func(FaultSpec) Fault { return MalformedJSON() },
		"connectionReset": func(FaultSpec) Fault { return ConnectionRefused() }, // where somebody listens this is what it looks like
		"answerLost":      func(FaultSpec) Fault { return AnswerLost() },
	}
}

// FaultNames returns what FaultSpec.Fault may be, in alphabetical order.
func FaultNames() []string {
	var names []string
	for name := range faultMakers() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// longest is what a fault may wait for, in seconds.
const longest = 24 * 60 * 60

// build returns the fault. Whether the service has the route is not looked at.
func (s FaultSpec) build() (Fault, error) {
	maker, ok := faultMakers()[s.Fault]
	switch {
	case s.Route == "":
		return Fault{}, fmt.Errorf("the fault %q has no route", s.Fault)
	case !ok:
		return Fault{}, fmt.Errorf("there is no fault %q; there are %s", s.Fault, strings.Join(FaultNames(), ", "))
	case s.RetryAfter < 0 || s.RetryAfter > longest || s.Seconds < 0 || s.Seconds > longest || math.IsNaN(s.RetryAfter+s.Seconds):
		return Fault{}, fmt.Errorf("a time is out of range: want 0 to %d seconds", longest)
	case s.RetryAfter != 0 && s.Fault != "429" && s.Fault != "503":
		return Fault{}, fmt.Errorf("the fault %s has no retryAfter", s.Fault)
	case s.Fault == "delay" && s.Seconds == 0 || s.Fault != "delay" && s.Seconds != 0:
		return Fault{}, fmt.Errorf("the fault %q with %g seconds: a delay has seconds, others have not", s.Fault, s.Seconds)
	case s.Times < 0 || s.After < 0:
		return Fault{}, fmt.Errorf("times is %d and after is %d: want none below 0", s.Times, s.After)
	}
	f := maker(s).Times(s.Times).After(s.After)
	f.spec = s
	return f, nil
}

// ParseFault reads a fault as it is written on a command line:
// "POST /api/v2/cobrowse/sessions=429;retryAfter=2;times=1".
func ParseFault(text string) (FaultSpec, error) {
	route, rest, ok := strings.Cut(text, "=")
	if !ok {
		return FaultSpec{}, fmt.Errorf("fault %q: want ROUTE=FAULT, for instance \"POST /api/v2/cobrowse/sessions=429;retryAfter=2\"", text)
	}
	parts := strings.Split(rest, ";")
	s := FaultSpec{Route: strings.TrimSpace(route), Fault: strings.TrimSpace(parts[0])}
	for _, part := range parts[1:] {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		var err error
		switch name {
		case "retryAfter":
			s.RetryAfter, err = strconv.ParseFloat(value, 64)
		case "seconds":
			s.Seconds, err = strconv.ParseFloat(value, 64)
		case "times":
			if s.Times, err = strconv.Atoi(value); err == nil && s.Times < 1 {
				return s, fmt.Errorf("fault %q: times is %d: want 1 or more", text, s.Times)
			}
		case "after":
			s.After, err = strconv.Atoi(value)
		default:
			return s, fmt.Errorf("fault %q: there is no %q; there are retryAfter, seconds, times and after", text, name)
		}
		if err != nil {
			return s, fmt.Errorf("fault %q: %s is no number: %q", text, name, value)
		}
	}
	if _, err := s.build(); err != nil {
		return s, fmt.Errorf("fault %q: %w", text, err)
	}
	return s, nil
}

// PendingFault is a fault that has not happened as often as it shall.
type PendingFault struct {
	FaultSpec

	Left int `json:"left"` // how often it is still to happen; 0 = its time is not over yet
}

// list returns what is still to go wrong, by route, each in its order.
func (f *faults) list() []PendingFault {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := []PendingFault{}
	for _, queue := range f.queues {
		for _, p := range queue {
			if p.left == 0 && p.closed != nil && p.closed.over() {
				continue
			}
			one := PendingFault{FaultSpec: p.spec, Left: p.left}
			one.After = p.after
			all = append(all, one)
		}
	}
	slices.SortStableFunc(all, func(a, b PendingFault) int { return strings.Compare(a.Route, b.Route) })
	return all
}

// clear forgets what is still to go wrong with a route; "" = with all.
func (f *faults) clear(route string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if route == "" {
		clear(f.queues)
		return
	}
	delete(f.queues, route)
}
