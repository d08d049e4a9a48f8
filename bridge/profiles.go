package bridge

import (
	"fmt"
	"io"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
)

// Profiles as package net/http/pprof serves them. It is not used itself because it adds
// its handlers to a server of the whole process, also where this package is only a part
// of somebody's tests.

// maxProfileSeconds bounds a profile that takes its time.
const maxProfileSeconds = 120

// timed are the profiles that watch for a while.
func timed() map[string]func(io.Writer, time.Duration) error {
	return map[string]func(io.Writer, time.Duration) error{
		"profile": func(w io.Writer, d time.Duration) error {
			if err := pprof.StartCPUProfile(w); err != nil {
				return err
			}
			defer pprof.StopCPUProfile()
			watch(d)
			return nil
		},
		"trace": func(w io.Writer, d time.Duration) error {
			if err := trace.Start(w); err != nil {
				return err
			}
			defer trace.Stop()
			watch(d)
			return nil
		},
	}
}

func watch(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}

func profileNames() []string {
	names := []string{"profile", "trace"}
	for _, p := range pprof.Profiles() {
		names = append(names, p.Name())
	}
	slices.Sort(names)
	return names
}

// listProfiles answers GET /debug/pprof.
func listProfiles(c *fiber.Ctx) error {
	return c.SendString(strings.Join(profileNames(), "\n") + "\n")
}

// serveProfile answers GET /debug/pprof/{profile}: with seconds for profile and trace, and
// with debug=1 or 2, and gc=1, for the others.
func serveProfile(c *fiber.Ctx) error {
	name := c.Params("profile")
	w := c.Response().BodyWriter()
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderContentType, fiber.MIMEOctetStream)
	if run := timed()[name]; run != nil {
		seconds := c.QueryInt("seconds", map[string]int{"profile": 30, "trace": 1}[name])
		if seconds < 1 || seconds > maxProfileSeconds {
			return &cobridge.Error{Code: cobridge.CodeInvalidQueryParam, Message: fmt.Sprintf("seconds must be 1 to %d.", maxProfileSeconds)}
		}
		if err := run(w, time.Duration(seconds)*time.Second); err != nil {
			return &cobridge.Error{Code: cobridge.CodeConflict, Message: "Another such profile is being taken.", Err: err}
		}
		return nil
	}
	p := pprof.Lookup(name)
	if p == nil {
		return &cobridge.Error{Code: cobridge.CodeNotFound, Message: "There is no such profile.", EntityID: name, EntityName: "profile"}
	}
	if c.QueryInt("gc") > 0 && name == "heap" {
		runtime.GC()
	}
	debug := c.QueryInt("debug")
	if debug > 0 {
		c.Set(fiber.HeaderContentType, fiber.MIMETextPlainCharsetUTF8)
	}
	return p.WriteTo(w, debug)
}
