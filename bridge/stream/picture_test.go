package stream_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/cobridge/cobridge/bridge/stream"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/cobrowse/relay"
)

func TestPictureReachesViewersByteForByte(t *testing.T) {
	t.Parallel()
	sc := show(t)
	packed := sc.dialAs(t, benPID, true) // in place of the one before
	for i, frame := range []string{
		full(3, 300), evFrame(3, 2, false, 200), evFrame(3, 3, false, 1500), // not compressed, compressed as one piece,
		evFrame(3, 4, false, 70_000), evFrame(3, 5, false, 500_000), // compressed beside its header, in fragments where it is not
	} {
		sc.sharer.send(t, frame)
		for name, c := range map[string]*client{"plain": sc.agent, "compressed": packed} {
			if i == 0 {
				if f := c.expect(t, "sync"); f["e"] != 3.0 || f["from"] != 1.0 || f["frames"] != 1.0 {
					t.Errorf("%s: sync = %v, want epoch 3, one frame from 1", name, f)
				}
			}
			c.sees(t, frame)
		}
	}
	if ack := sc.sharer.until(t, "ack", func(f map[string]any) bool { return f["s"] == 5.0 }); ack["e"] != 3.0 {
		t.Errorf("ack = %v, want epoch 3", ack)
	}
}

// What does not shrink, larger than a fragment, with pings that want to come between.
func TestLargeFrameAndPings(t *testing.T) {
	t.Parallel()
	sc := show(t, unlimited)
	source := rand.NewChaCha8([32]byte{1})
	noise := make([]byte, 0, 3<<20)
	for range 3 << 20 {
		noise = append(noise, ' '+byte(source.Uint64()%94))
	}
	text := strings.NewReplacer(`\`, "a", `"`, "b").Replace(string(noise))
	epoch := uint32(0)
	for name, compress := range map[string]bool{"plain": false, "compressed": true} {
		epoch++
		frame := strings.Replace(full(epoch, 300), `"pad":"`, `"pad":"`+text, 1)
		viewer := sc.dialAs(t, benPID, compress)
		pongs := 0
		viewer.SetPongHandler(func(string) error { pongs++; return nil })
		var pings sync.WaitGroup
		stop := make(chan struct{})
		pings.Go(func() {
			for range 15 { // within what is allowed
				select {
				case <-stop:
					return
				default:
					_ = viewer.WriteControl(websocket.PingMessage, nil, time.Now().Add(patience))
				}
			}
		})
		sc.sharer.send(t, frame)
		for viewer.frame(t, "ev") != frame { // the one of the round before
			continue
		}
		close(stop)
		pings.Wait()
		viewer.ping(t)
		epoch++
		sc.sharer.send(t, full(epoch, 300))
		viewer.sees(t, full(epoch, 300)) // and the answer to the ping before it
		if pongs == 0 {
			t.Errorf("%s: no ping was answered", name)
		}
	}
}

func TestLateJoin(t *testing.T) {
	t.Parallel()
	sc := show(t)
	frames := []string{full(1, 2000), next(1, 2), next(1, 3)}
	for _, f := range frames {
		sc.sharer.send(t, f)
	}
	for _, f := range frames {
		sc.agent.sees(t, f)
	}
	late := sc.join(t, sc.session, benPID)
	if f := late.expect(t, "sync"); f["frames"] != 3.0 || f["from"] != 1.0 {
		t.Errorf("sync = %v, want three frames from 1", f)
	}
	for _, f := range frames {
		late.sees(t, f)
	}
	// Nothing was asked of the sharer, nor given to the others.
	sc.sharer.send(t, next(1, 4))
	sc.agent.sees(t, next(1, 4))
	late.sees(t, next(1, 4))
	if got := sc.hub.Pictures(); got.Needs != 0 {
		t.Errorf("full frames asked for = %d, want none", got.Needs)
	}
}

func TestSharerComesBack(t *testing.T) {
	t.Parallel()
	sc := show(t)
	sc.sharer.send(t, full(1, 300))
	sc.sharer.send(t, next(1, 2))
	sc.agent.sees(t, full(1, 300))
	sc.agent.sees(t, next(1, 2))
	_ = sc.sharer.NetConn().Close()
	sc.agent.state(t, "reconnecting")
	again := sc.dial(t, dialing{session: sc.session.ID, token: sc.token(t, sc.session, sc.kim)})
	if have := again.expect(t, "welcome")["have"].(map[string]any); have["e"] != 1.0 || have["s"] != 2.0 {
		t.Errorf("have = %v, want epoch 1, sequence 2", have)
	}
	sc.agent.state(t, "live")
	// It agreed before. What the server has already is dropped, the rest goes on.
	again.send(t, next(1, 2))
	again.send(t, next(1, 3))
	sc.agent.sees(t, next(1, 3))
	// The next page begins a new picture.
	again.send(t, full(2, 400))
	if f := sc.agent.expect(t, "sync"); f["e"] != 2.0 {
		t.Errorf("sync = %v, want epoch 2", f)
	}
	sc.agent.sees(t, full(2, 400))
}

func TestGapAsksForFull(t *testing.T) {
	t.Parallel()
	sc := show(t)
	sc.sharer.send(t, full(1, 300))
	sc.agent.sees(t, full(1, 300))
	sc.sharer.send(t, next(1, 3))
	if f := sc.sharer.expect(t, "need"); f["what"] != "full" || f["why"] != "reset" {
		t.Errorf("need = %v, want full, reset", f)
	}
	fresh := evFrame(1, 4, true, 500)
	sc.sharer.send(t, fresh)
	sc.agent.expect(t, "sync")
	sc.agent.sees(t, fresh)
}

func TestPause(t *testing.T) {
	t.Parallel()
	sc := show(t)
	sc.sharer.send(t, full(1, 300))
	sc.agent.sees(t, full(1, 300))
	sc.sharer.send(t, `{"t":"pause","on":true,"why":"customer"}`)
	if f := sc.agent.state(t, "paused"); f["why"] != "customer" {
		t.Errorf("state = %v, want customer", f)
	}
	// Nothing goes through, and nothing is kept for those who come.
	sc.sharer.send(t, next(1, 2))
	sc.sharer.send(t, `{"t":"ptr","x":1,"y":2}`)
	sc.sharer.send(t, `{"t":"focus","e":1,"id":5,"masked":true}`)
	sc.counts.wait(t, "dropped", 1)
	late := sc.join(t, sc.session, benPID)
	late.state(t, "paused")
	sc.sharer.send(t, `{"t":"pause","on":false}`)
	fresh := evFrame(1, 3, true, 300)
	sc.sharer.send(t, fresh)
	for _, c := range []*client{sc.agent, late} {
		var kinds []any
		for len(kinds) == 0 || kinds[len(kinds)-1] != "ev" {
			f, err := c.read()
			if err != nil {
				t.Fatalf("read: %v", err)
			}
			if f["state"] == "live" || f["t"] == "sync" || f["t"] == "ev" {
				kinds = append(kinds, f["t"])
			}
		}
		if got, want := fmt.Sprint(kinds), "[state sync ev]"; got != want {
			t.Errorf("after the pause came %s, want %s", got, want)
		}
	}
	if got := sc.counts.get("paused"); got != 1 {
		t.Errorf("pauses counted = %d, want 1", got)
	}
}

func TestHiddenViewer(t *testing.T) {
	t.Parallel()
	sc := show(t)
	sc.sharer.send(t, full(1, 2000))
	sc.agent.sees(t, full(1, 2000))
	sc.viewer.sees(t, full(1, 2000))
	sc.viewer.send(t, `{"t":"vis","hidden":true}`)
	sc.counts.wait(t, "in vis", 1)
	sc.viewer.undisturbed(t) // it was handled before this
	sc.sharer.send(t, next(1, 2))
	sc.agent.sees(t, next(1, 2))
	sc.viewer.send(t, `{"t":"vis","hidden":false}`)
	if f := sc.viewer.expect(t, "sync"); f["frames"] != 2.0 {
		t.Errorf("sync = %v, want both frames", f)
	}
	sc.viewer.sees(t, full(1, 2000))
	sc.viewer.sees(t, next(1, 2))
	// A broken picture is another reason.
	sc.agent.send(t, `{"t":"need"}`)
	sc.agent.expect(t, "sync")
	sc.agent.sees(t, full(1, 2000))
}

// A viewer whose line stands still costs the others nothing, and has the right
// picture once it moves again.
func TestSlowViewerConverges(t *testing.T) {
	t.Parallel()
	sc := show(t, unlimited, picture(func(l *relay.Limits) { l.QueueFrames, l.ResyncEvery = 16, 10*time.Millisecond }))
	if tcp, ok := sc.viewer.NetConn().(*net.TCPConn); !ok || tcp.SetReadBuffer(4096) != nil {
		t.Fatal("the read buffer was not set")
	}
	sc.sharer.send(t, full(1, 300))
	sc.agent.sees(t, full(1, 300))
	seq := uint64(1)
	for sc.hub.Pictures().Dropped == 0 {
		if seq > 20_000 {
			t.Fatal("nothing was ever dropped")
		}
		seq++
		frame := evFrame(1, seq, false, 3000)
		if seq%100 == 0 { // what the server would ask for
			frame = evFrame(1, seq, true, 3000)
		}
		sc.sharer.send(t, frame)
		if seq%100 == 0 {
			sc.agent.until(t, "skip", func(f map[string]any) bool { return f["s"] == float64(seq) })
			continue
		}
		sc.agent.sees(t, frame)
	}
	last := evFrame(1, seq+1, true, 3000)
	sc.sharer.send(t, last)
	for sc.viewer.frame(t, "ev") != last {
		continue
	}
	if got := sc.counts.get("closed tooSlow"); got != 0 {
		t.Errorf("closed as too slow = %d, want none", got)
	}
}

func TestFocusVisAndPointers(t *testing.T) {
	t.Parallel()
	sc := show(t)
	sc.sharer.send(t, full(1, 300))
	sc.agent.sees(t, full(1, 300))
	sc.sharer.send(t, `{"t":"focus","e":9,"id":4,"masked":true}`) // of another page: nobody's business
	sc.sharer.send(t, `{"t":"focus","e":1,"id":27,"masked":true,"value":"hush"}`)
	want := `{"t":"focus","e":1,"id":27,"masked":true}`
	if got := sc.agent.frame(t, "focus"); got != want {
		t.Errorf("focus = %s, want %s", got, want)
	}
	sc.sharer.send(t, `{"t":"vis","hidden":true}`)
	sc.agent.frame(t, "vis")
	sc.sharer.send(t, `{"t":"ptr","x":10.5,"y":20,"id":3,"fx":0.5,"fy":0.25,"from":"forged"}`)
	want = fmt.Sprintf(`{"t":"ptr","from":%q,"x":10.5,"y":20,"id":3,"fx":0.5,"fy":0.25}`, sc.kim)
	if got := sc.agent.frame(t, "ptr"); got != want {
		t.Errorf("ptr = %s, want %s", got, want)
	}
	// Who comes later hears of both.
	late := sc.join(t, sc.session, benPID)
	late.frame(t, "vis")
	late.frame(t, "focus")
	// A viewer's pointer goes to the sharer and the other viewers.
	sc.agent.send(t, `{"t":"ptr","x":1e300,"y":-7,"down":true}`)
	want = fmt.Sprintf(`{"t":"ptr","from":%q,"x":1000000,"y":-7,"down":true}`, annPID)
	for name, c := range map[string]*client{"sharer": sc.sharer, "viewer": late} {
		if got := c.frame(t, "ptr"); got != want {
			t.Errorf("%s: ptr = %s, want %s", name, got, want)
		}
	}
	for name, text := range map[string]string{
		"focus": `{"t":"focus","e":1,"id":1,"masked":true}`, "pause": `{"t":"pause","on":true}`, "consent": `{"t":"consent","kind":"sharing","ok":true}`,
	} {
		sc.agent.send(t, text)
		if f := sc.agent.expect(t, "err"); f["code"] != "not.authorized" || f["fatal"] != false {
			t.Errorf("a viewer's %s: %v, want not.authorized, not fatal", name, f)
		}
	}
}

func TestDrawingNeedsGrant(t *testing.T) {
	t.Parallel()
	sc := show(t)
	sc.sharer.send(t, full(1, 300))
	line := `{"t":"draw","n":1,"k":"begin","pts":[[1,2],[3,4]],"color":"#ff0000","sx":0,"sy":10}`
	sc.agent.send(t, line)
	sc.counts.wait(t, "dropped", 1)
	sc.grant(t, "draw", 1)
	sc.agent.send(t, line)
	want := fmt.Sprintf(`{"t":"draw","from":%q,"n":1,"k":"begin","pts":[[1,2],[3,4]],"color":"#ff0000","sx":0,"sy":10}`, annPID)
	for name, c := range map[string]*client{"sharer": sc.sharer, "viewer": sc.viewer} {
		if got := c.frame(t, "draw"); got != want {
			t.Errorf("%s: draw = %s, want %s", name, got, want)
		}
	}
}

func TestQualityIsTold(t *testing.T) {
	t.Parallel()
	sc := show(t, func(c *stream.Config) { c.Limits.PingEvery = 50 * time.Millisecond })
	done := make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() { // what reads answers pings
		defer close(done)
		for {
			if _, err := sc.viewer.read(); err != nil {
				return
			}
		}
	})
	sc.agent.until(t, "peers", func(f map[string]any) bool {
		for _, item := range f["list"].([]any) {
			if p := item.(map[string]any); p["id"] == string(benPID) && p["quality"] == "good" {
				return true
			}
		}
		return false
	})
	_ = sc.viewer.Close()
	<-done
	reading.Wait()
}

// Two tabs with one secret, as window.open makes them.
func TestOtherTab(t *testing.T) {
	t.Parallel()
	sc := prepare(t)
	one := sc.dial(t, dialing{session: sc.session.ID})
	one.send(t, map[string]any{"t": "hello", "v": 1, "token": sc.token(t, sc.session, sc.kim), "tab": "one"})
	secret := one.expect(t, "welcome")["resume"].(map[string]any)["token"]
	hello := func(take bool) *client {
		c := sc.dial(t, dialing{session: sc.session.ID})
		c.send(t, map[string]any{
			"t": "hello", "v": 1, "participant": sc.kim, "resume": map[string]any{"token": secret}, "tab": "two", "take": take,
		})
		return c
	}
	hello(false).closed(t, 4409, "otherTab")
	one.send(t, `{"t":"done","to":"nobody","n":1}`) // undisturbed
	sc.counts.wait(t, "dropped", 1)
	hello(true).expect(t, "welcome")
	one.closed(t, 4409, "")
}

func TestPanicWithPicture(t *testing.T) {
	t.Parallel()
	sc := show(t, func(c *stream.Config) {
		in := c.Metrics.FrameIn
		c.Metrics.FrameIn = func(kind string) {
			in(kind)
			if kind == "ev" {
				panic("in the read pump")
			}
		}
	})
	sc.sharer.send(t, full(1, 300))
	sc.sharer.closed(t, 1011, "")
	sc.agent.state(t, "reconnecting")
	sc.agent.undisturbed(t)
}

func TestShutdownWithPicture(t *testing.T) {
	t.Parallel()
	sc := show(t)
	sc.sharer.send(t, full(1, 1<<20))
	sc.agent.sees(t, full(1, 1<<20))
	var closed sync.WaitGroup
	for _, c := range []*client{sc.sharer, sc.agent, sc.viewer} {
		closed.Go(func() {
			for {
				if _, _, err := c.ReadMessage(); err != nil {
					if e, ok := errors.AsType[*websocket.CloseError](err); !ok || e.Code != 1001 {
						t.Errorf("closed with %v, want 1001", err)
					}
					return
				}
			}
		})
	}
	sc.stop()
	closed.Wait()
	if got := sc.hub.Pictures(); got.Viewers != 0 || got.BufferBytes != 0 {
		t.Errorf("pictures = %+v, want nothing kept", got)
	}
}

// The rules of the deployment reach everybody, and what a viewer may ask for.
func TestWelcomeHasRules(t *testing.T) {
	t.Parallel()
	sc := prepare(t)
	for p, want := range map[cobrowse.ParticipantID]string{sc.kim: "[]", annPID: "[control draw navigate]", benPID: "[]"} {
		c := sc.dial(t, dialing{session: sc.session.ID, token: sc.token(t, sc.session, p)})
		welcome := c.expect(t, "welcome")
		if got := fmt.Sprint(welcome["may"]); got != want {
			t.Errorf("%s may = %s, want %s", p, got, want)
		}
		rules, _ := welcome["rules"].(map[string]any)
		if got := fmt.Sprint(rules["maskSelectors"], rules["textMode"], rules["pauseCriteria"], rules["showSelectors"]); got != "[.secret]visible[map[condition:Includes urlFragment:/pay]] []" {
			t.Errorf("%s: rules = %s", p, got)
		}
		const pageRules = "[map[maskSelectors:[.own] readonlySelectors:[] urlPattern:.*/card] map[maskSelectors:[] readonlySelectors:[#file] urlPattern:.*]]"
		if got := fmt.Sprint(rules["pageRules"]); got != pageRules {
			t.Errorf("%s: page rules = %s, want %s", p, got, pageRules)
		}
	}
}
