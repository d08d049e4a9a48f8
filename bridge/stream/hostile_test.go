package stream_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cobridge/cobridge/bridge/stream"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/cobrowse/relay"
)

// Whatever a sharer sends that is no picture ends its connection and reaches nobody.
func TestHostileSharer(t *testing.T) {
	t.Parallel()
	deep := func(levels int) string {
		return fmt.Sprintf(`{"t":"ev","e":1,"s":2,"c":1,"b":[{"type":6,"x":%s1%s}]}`, strings.Repeat("[", levels), strings.Repeat("]", levels))
	}
	for name, tt := range map[string]struct {
		text     string
		compress bool
		code     int
	}{
		"another order of members":  {text: `{"t":"ev","s":2,"e":1,"c":1,"b":[]}`, code: 4400},
		"spaces":                    {text: `{"t": "ev","e":1,"s":2,"c":1,"b":[{"type":3,"data":{},"timestamp":1}]}`, code: 4400},
		"no events":                 {text: `{"t":"ev"}`, code: 4400},
		"of a later version":        {text: `{"t":"ev","v":"of a later version","b":[{}]}`, code: 4400},
		"broken JSON":               {text: `{"t":"ev","e":1,"s":2,"c":1,"b":[{"type":3}`, code: 4400},
		"something after it":        {text: next(1, 2) + `{}`, code: 4400},
		"broken UTF-8":              {text: strings.Replace(next(1, 2), "xxx", "\xff\xfe\xfd", 1), code: 4400},
		"an earlier page":           {text: next(0, 2), code: 4400},
		"a negative sequence":       {text: strings.Replace(next(1, 2), `"s":2`, `"s":-2`, 1), code: 4400},
		"too deep":                  {text: deep(200), code: 4400},
		"far too deep":              {text: deep(100_000), code: 4400},
		"above the limit":           {text: evFrame(1, 2, true, 4<<20+1), code: 1009},
		"above it, compressed":      {text: evFrame(1, 2, true, 4<<20+1), compress: true, code: 1009},
		"12 MiB from 12 KiB":        {text: evFrame(1, 2, true, 12<<20), compress: true, code: 1009},
		"another frame above 16 K":  {text: `{"t":"page","url":"https://shop.example/","title":"` + strings.Repeat("x", 16<<10) + `"}`, code: 1009},
		"another one, compressed":   {text: `{"t":"act","x":"` + strings.Repeat("x", 15<<20) + `"}`, compress: true, code: 1009},
		"an ev that is another one": {text: ` {"t":"ev","x":"` + strings.Repeat("x", 20<<10) + `"}`, code: 1009},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sc := show(t)
			if tt.compress {
				sc.sharer = sc.dialAs(t, sc.kim, true)
			}
			sc.sharer.send(t, full(1, 300))
			sc.agent.sees(t, full(1, 300))
			sc.sharer.send(t, tt.text)
			sc.sharer.closed(t, tt.code, "")
			for {
				f, err := sc.agent.read()
				if err != nil {
					t.Fatalf("the viewer was closed: %v", err)
				}
				if f["t"] == "ev" || f["t"] == "sync" {
					t.Fatalf("the viewer got %.100v", f)
				}
				if f["state"] == "reconnecting" {
					break
				}
			}
			sc.agent.undisturbed(t)
		})
	}
}

func TestNothingBeforeConsent(t *testing.T) {
	t.Parallel()
	sc := prepare(t)
	sharer, agent := sc.join(t, sc.session, sc.kim), sc.join(t, sc.session, annPID)
	sharer.send(t, `{"t":"ptr","x":1,"y":1}`)
	sc.counts.wait(t, "dropped", 1)
	sharer.send(t, full(1, 300))
	before := sharer.closed(t, 4428, "")
	if last := before[len(before)-1]; last["t"] != "err" || last["fatal"] != true {
		t.Errorf("last frame = %v, want a fatal err", last)
	}
	agent.undisturbed(t)
	if got := sc.hub.Pictures(); got.FramesIn != 0 {
		t.Errorf("frames taken = %d, want none", got.FramesIn)
	}
	// A consent that is taken back is none.
	sharer = sc.share(t)
	sharer.send(t, full(1, 300))
	agent.sees(t, full(1, 300))
	sharer.send(t, `{"t":"consent","kind":"sharing","ok":false}`)
	sharer.send(t, next(1, 2))
	sharer.closed(t, 4428, "")
}

func TestViewerSendsPicture(t *testing.T) {
	t.Parallel()
	sc := show(t)
	sc.viewer.send(t, full(1, 300))
	sc.viewer.closed(t, 4400, "")
	sc.agent.undisturbed(t)
	sc.sharer.send(t, full(1, 400))
	sc.agent.sees(t, full(1, 400))
}

// A private field with a value ends the session, whoever made the frame.
func TestMaskingViolation(t *testing.T) {
	t.Parallel()
	sc := show(t)
	sc.sharer.send(t, full(1, 300))
	sc.agent.sees(t, full(1, 300))
	sc.sharer.send(t, `{"t":"ev","e":1,"s":2,"c":1,"k":"full","b":[{"type":4,"data":{"href":"https://shop.example/","width":1,"height":1},"timestamp":1},`+
		`{"type":2,"data":{"node":{"type":0,"id":1,"childNodes":[{"type":2,"id":2,"tagName":"input","attributes":{"type":"password","value":"hunter2"},`+
		`"childNodes":[]}]},"initialOffset":{"left":0,"top":0}},"timestamp":1}]}`)
	for name, c := range map[string]*client{"sharer": sc.sharer, "agent": sc.agent, "viewer": sc.viewer} {
		for _, f := range c.closed(t, 1000, "maskingViolation") {
			if strings.Contains(fmt.Sprint(f), "hunter2") {
				t.Errorf("%s got the value", name)
			}
		}
	}
	s, err := sc.Record(t.Context(), org, sc.session.ID)
	if err != nil || s.EndReason != cobrowse.EndMaskingViolation || s.Violation.Path == "" {
		t.Fatalf("record = %s, %+v, %v, want a violation with its path", s.EndReason, s.Violation, err)
	}
	sc.stop()
	if log := sc.log.String(); !strings.Contains(log, s.Violation.Path) || strings.Contains(log, "hunter2") {
		t.Errorf("the log must have the path %q and not the value", s.Violation.Path)
	}
	if got := sc.counts.get("violated"); got != 1 {
		t.Errorf("violations counted = %d, want 1", got)
	}
}

func TestFloods(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		limit func(*stream.Limits)
		frame func(i int) string
		who   func(*scene) *client
	}{
		"ev frames": {
			func(l *stream.Limits) { l.EvPerSecond, l.EvBurst = 0.001, 20 },
			func(i int) string { return next(1, uint64(i+2)) },
			func(sc *scene) *client { return sc.sharer },
		},
		"ev bytes": {
			func(l *stream.Limits) { l.EvBytesPerSecond, l.EvBytesBurst = 0.001, 100_000 },
			func(i int) string { return evFrame(1, uint64(i+2), false, 10_000) },
			func(sc *scene) *client { return sc.sharer },
		},
		"pointers": {
			func(l *stream.Limits) { l.PtrPerSecond, l.Excess = 0.001, 50 },
			func(int) string { return `{"t":"ptr","x":1,"y":1}` },
			func(sc *scene) *client { return sc.viewer },
		},
		"drawings": {
			func(l *stream.Limits) { l.DrawPerSecond, l.Excess = 0.001, 50 },
			func(int) string { return `{"t":"draw","n":1,"k":"clear"}` },
			func(sc *scene) *client { return sc.viewer },
		},
		"needs": {
			func(l *stream.Limits) { l.FramesPerSecond = 0.001 },
			func(int) string { return `{"t":"need"}` },
			func(sc *scene) *client { return sc.viewer },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sc := show(t, func(c *stream.Config) { tt.limit(&c.Limits) })
			sc.sharer.send(t, full(1, 300))
			sc.agent.sees(t, full(1, 300))
			c := tt.who(sc)
			for i := range 200 {
				if c.WriteMessage(1, []byte(tt.frame(i))) != nil {
					break // closed already
				}
			}
			c.closed(t, 4429, "")
			sc.agent.undisturbed(t)
		})
	}
}

// Pointers that come too often are dropped, no more.
func TestPointersAreThinned(t *testing.T) {
	t.Parallel()
	sc := show(t, func(c *stream.Config) { c.Limits.PtrPerSecond = 0.001 })
	sc.sharer.send(t, full(1, 300))
	sc.agent.sees(t, full(1, 300))
	for range 100 {
		sc.viewer.send(t, `{"t":"ptr","x":1,"y":1}`)
	}
	sc.counts.wait(t, "dropped", 99)
	sc.viewer.undisturbed(t)
}

// What the page shows, what is typed into it, and what lets in stays out of the
// log, also when it was refused.
func TestNoContentInLog(t *testing.T) {
	t.Parallel()
	sc := show(t)
	tokens := []string{sc.token(t, sc.session, annPID), sc.token(t, sc.session, benPID)}
	agent := sc.dial(t, dialing{session: sc.session.ID, token: tokens[0]})
	agent.expect(t, "welcome")
	sc.agent = agent
	secret := strings.Replace(full(1, 300), "xxxx", "CONTENT", 1)
	sc.sharer.send(t, secret)
	agent.sees(t, secret)
	sc.grant(t, "control", 1)
	agent.send(t, `{"t":"ctl","n":1,"e":1,"k":"text","id":3,"v":"TYPED"}`)
	sc.sharer.expect(t, "ctl")
	sc.sharer.send(t, fmt.Sprintf(`{"t":"done","to":%q,"n":1,"ok":true,"path":"html>PATH"}`, annPID))
	agent.expect(t, "done")
	sc.sharer.send(t, `{"t":"page","url":"https://shop.example/WHERE?q=QUERY","title":"TITLE"}`)
	agent.until(t, "page", func(f map[string]any) bool { return f["title"] == "TITLE" })
	sc.viewer.send(t, `{"t":"ctl","n":1,"e":1,"k":"text","id":3,"v":"REFUSED"}`)
	sc.viewer.expect(t, "done")
	sc.sharer.send(t, strings.Replace(next(1, 2), "xxxx", "BROKEN\x01", 1))
	sc.sharer.closed(t, 4400, "")
	sc.stop()
	log := sc.log.String()
	for _, hidden := range slices.Concat(tokens, []string{"CONTENT", "TYPED", "PATH", "WHERE", "QUERY", "TITLE", "REFUSED", "BROKEN", "Ann"}) {
		if strings.Contains(log, hidden) {
			t.Errorf("the log has %q in it", hidden)
		}
	}
}

// A store that is away does not keep masked content in sight.
func TestViolationThatCannotBeStored(t *testing.T) {
	t.Parallel()
	sc := show(t, func(c *stream.Config) { c.Service = brokenViolate{c.Service} },
		picture(func(l *relay.Limits) { l.QueueFrames = 64 }))
	sc.sharer.send(t, `{"t":"ev","e":1,"s":1,"c":1,"k":"full","b":[{"type":4,"data":{"href":"https://shop.example/","width":1,"height":1},"timestamp":1},`+
		`{"type":2,"data":{"node":{"type":0,"id":1,"childNodes":[{"type":2,"id":2,"tagName":"input","attributes":{"type":"password","value":"hunter2"},`+
		`"childNodes":[]}]},"initialOffset":{"left":0,"top":0}},"timestamp":1}]}`)
	sc.sharer.closed(t, 1011, "")
	sc.agent.state(t, "reconnecting")
	if got := sc.hub.Pictures(); got.Deliveries != 0 {
		t.Errorf("deliveries = %d, want none", got.Deliveries)
	}
}

var errStore = errors.New("store is away")
