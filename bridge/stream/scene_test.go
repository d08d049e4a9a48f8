package stream_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/cobridge/cobridge/bridge/stream"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/cobrowse/relay"
)

// scene is a session that is shown: Kim's page, to Ann, who may ask for control,
// and to Ben, who may not.
type scene struct {
	*house
	session cobrowse.Session
	kim     cobrowse.ParticipantID
	sharer  *client
	agent   *client
	viewer  *client
}

const siteID cobrowse.DeploymentID = "0a1b2c3d-0000-4000-8000-0000000000dd"

// prepare starts the session of a scene; nobody is in yet.
func prepare(t *testing.T, changes ...change) *scene {
	t.Helper()
	h := newHouse(t, changes...)
	err := h.store.PutDeployment(t.Context(), cobrowse.Deployment{
		ID: siteID, OrgID: org, Name: "Shop", AllowedOrigins: []string{shop}, DefaultFor: []cobrowse.Role{cobrowse.RoleCustomer},
		Rules: cobrowse.SharingRules{
			AllowAgentControl: true, AllowAgentNavigation: true, AllowDraw: true, MaskSelectors: []string{".secret"},
			PauseCriteria: []cobrowse.PauseCriterion{{URLFragment: "/pay", Condition: cobrowse.PauseIncludes}},
			PageRules:     []cobrowse.PageRule{{URLPattern: ".*/card", MaskSelectors: []string{".own"}}},
		},
		Restrictions: []cobrowse.PageRule{{URLPattern: ".*", ReadonlySelectors: []string{"#file"}}},
	})
	if err != nil {
		t.Fatalf("PutDeployment: %v", err)
	}
	sc := &scene{house: h, session: h.start(t, everybody)}
	sc.kim = sc.session.Sharer()
	return sc
}

// show has everybody come in and Kim agree to share.
func show(t *testing.T, changes ...change) *scene {
	t.Helper()
	sc := prepare(t, changes...)
	sc.sharer = sc.share(t)
	sc.agent, sc.viewer = sc.join(t, sc.session, annPID), sc.join(t, sc.session, benPID)
	sc.agent.state(t, "live")
	sc.viewer.state(t, "live")
	return sc
}

// share lets Kim in, who agrees.
func (sc *scene) share(t *testing.T) *client {
	t.Helper()
	c := sc.join(t, sc.session, sc.kim)
	c.send(t, `{"t":"consent","kind":"sharing","ok":true,"text":"7"}`)
	return c
}

// frame reads the text of the next frame of this kind.
func (c *client) frame(t *testing.T, kind string) string {
	t.Helper()
	for {
		_, data, err := c.ReadMessage()
		if err != nil {
			t.Fatalf("read: %v, want a frame %q", err, kind)
		}
		if strings.HasPrefix(string(data), `{"t":"`+kind+`"`) {
			return string(data)
		}
	}
}

// sees reads until this frame comes, byte for byte.
func (c *client) sees(t *testing.T, want string) {
	t.Helper()
	if got := c.frame(t, "ev"); got != want {
		t.Errorf("frame = %.200s (%d bytes), want %.200s (%d bytes)", got, len(got), want, len(want))
	}
}

// undisturbed checks that a client is still served: what it sends is answered.
func (c *client) undisturbed(t *testing.T) {
	t.Helper()
	c.send(t, `{"t":"done","to":"nobody","n":1,"ok":true}`) // a viewer's is refused
	c.expect(t, "err")
}

// grant has the agent ask for something and Kim agree.
func (sc *scene) grant(t *testing.T, kind string, n int) {
	t.Helper()
	sc.agent.send(t, fmt.Sprintf(`{"t":"ask","n":%d,"kind":%q}`, n, kind))
	sc.sharer.until(t, "ask", func(f map[string]any) bool { return f["kind"] == kind })
	sc.sharer.send(t, fmt.Sprintf(`{"t":"consent","kind":%q,"ok":true,"to":%q,"n":%d}`, kind, annPID, n))
	sc.agent.until(t, "answer", func(f map[string]any) bool { return f["kind"] == kind && f["ok"] == true })
}

func full(epoch uint32, size int) string { return evFrame(epoch, 1, true, size) }

func next(epoch uint32, seq uint64) string { return evFrame(epoch, seq, false, 200) }

// evFrame returns an ev frame of at least this size.
func evFrame(epoch uint32, seq uint64, full bool, size int) string {
	mark, events := "", `{"type":3,"data":{"source":1,"positions":[]},"timestamp":1}`
	if full {
		mark = `"k":"full",`
		events = `{"type":4,"data":{"href":"https://shop.example/","width":800,"height":600},"timestamp":1},` +
			`{"type":2,"data":{"node":{"type":0,"childNodes":[],"id":1},"initialOffset":{"left":0,"top":0}},"timestamp":1}`
	}
	frame := fmt.Sprintf(`{"t":"ev","e":%d,"s":%d,"c":1732200000000,%s"b":[%s`, epoch, seq, mark, strings.TrimSuffix(events, "}"))
	return frame + `,"pad":"` + strings.Repeat("x", max(0, size-len(frame)-11)) + `"}]}`
}

// unlimited lets a sharer send as fast as a test can.
func unlimited(c *stream.Config) {
	c.Limits.EvPerSecond, c.Limits.EvBurst, c.Limits.EvBytesPerSecond, c.Limits.EvBytesBurst = 1e9, 1e9, 1e12, 1e12
}

// picture changes the limits of the picture.
func picture(change func(*relay.Limits)) change {
	return func(c *stream.Config) {
		c.Limits.Picture = relay.DefaultLimits()
		change(&c.Limits.Picture)
	}
}

// dialAs opens a stream for a participant, with or without compression.
func (sc *scene) dialAs(t *testing.T, p cobrowse.ParticipantID, compress bool) *client {
	t.Helper()
	c := sc.dial(t, dialing{session: sc.session.ID, token: sc.token(t, sc.session, p), compress: compress})
	c.expect(t, "welcome")
	return c
}

// ping sends a ping; its answer is read with whatever comes next.
func (c *client) ping(t *testing.T) {
	t.Helper()
	if err := c.WriteControl(websocket.PingMessage, []byte("are you there"), time.Now().Add(patience)); err != nil {
		t.Fatalf("ping: %v", err)
	}
}
