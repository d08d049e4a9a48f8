package live

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/fasthttp/websocket"
)

const (
	subprotocol = "cobridge.v1"
	sdkVersion  = "cobridge-live"

	callTimeout  = 10 * time.Second
	writeTimeout = 10 * time.Second
	deadAfter    = 45 * time.Second // without a ping or a frame, as the server has it
	firstPause   = 250 * time.Millisecond
	longestPause = 10 * time.Second
	laterPause   = 5 * time.Second
	maxFrame     = 16 << 20 // bytes; the server's limits are far below
	maxAnswer    = 64 << 10
)

// welcome is the frame that lets a participant in.
type welcome struct {
	Session      string   `json:"session"`
	Participant  string   `json:"participant"`
	Role         string   `json:"role"`
	CobrowseRole string   `json:"cobrowseRole"`
	State        string   `json:"state"`
	Rules        *rules   `json:"rules"`
	May          []string `json:"may"`
	Resume       struct {
		Token string `json:"token"`
	} `json:"resume"`
	Have struct {
		E uint32 `json:"e"`
		S uint64 `json:"s"`
	} `json:"have"`
	Limits struct {
		GraceSeconds int `json:"graceSeconds"`
	} `json:"limits"`
}

// peer is somebody in the session.
type peer struct {
	ID           string `json:"id"`
	Role         string `json:"role"`
	CobrowseRole string `json:"cobrowseRole"`
	Name         string `json:"name"`
	State        string `json:"state"`
	Connected    bool   `json:"connected"`
}

// grant is what a participant may do.
type grant struct {
	Kind        string    `json:"kind"`
	Participant string    `json:"participant"`
	ExpiresAt   time.Time `json:"expiresAt"`
}

// stream is one participant's connection, and the ones that follow it when it is lost.
type stream struct {
	opts Options
	tab  string
	side side

	mu           sync.Mutex
	changed      chan struct{} // closed and replaced when anything below changes
	conn         *websocket.Conn
	in           bool // the server has said welcome on conn
	address      string
	session      string
	participant  string
	secret       string
	role         string
	state        string
	peers        []peer
	grants       []grant
	may          []string
	graceSeconds int
	queued       []Event // to be told when the lock is free
	err          error   // why it is over

	done   chan struct{} // closed when it is over
	cancel context.CancelFunc
}

// side is the half that the sharer and the viewer do not have in common. Its methods
// are called one at a time, with the stream's lock held.
type side interface {
	// hello adds to the first frame.
	hello(map[string]any)
	// welcomed begins, or goes on after a loss.
	welcomed(welcome) error
	// frame takes a frame that is not everybody's.
	frame(kind string, text []byte) error
	// gone forgets what belongs to the participant.
	gone(participant string)
}

func newStream(o Options, s side) *stream {
	if o.Clock == nil {
		o.Clock = time.Now //nolint:forbidigo // the default where nothing else is told
	}
	return &stream{opts: o, tab: rand.Text(), side: s, changed: make(chan struct{}), done: make(chan struct{})}
}

// open gets in for the first time: what fails now is told at once.
func (s *stream) open(ctx context.Context) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	ctx, s.cancel = context.WithCancel(ctx)
	conn, err := s.dial(ctx, true)
	if err != nil {
		s.cancel()
		return err
	}
	go s.run(ctx, conn)
	return nil
}

// enter finds the stream's address and redeems the join token, unless the session
// is known, in which case the stream takes it.
func (s *stream) enter(ctx context.Context) error {
	base, token := strings.TrimRight(s.opts.BaseURL, "/"), s.opts.Token
	if s.opts.JoinURL != "" {
		var ok bool
		if base, token, ok = split(s.opts.JoinURL); !ok {
			return &Error{Code: "join.url.invalid", Reason: "it does not end with /cobrowse/join?token=…"}
		}
	}
	if base == "" || token == "" {
		return &Error{Code: "join.url.invalid", Reason: "JoinURL, or BaseURL and Token, are required"}
	}
	if s.opts.SessionID != "" {
		s.session, s.address = s.opts.SessionID, base+"/api/v2/cobrowse/sessions/"+url.PathEscape(s.opts.SessionID)+"/stream"
		return nil
	}
	u, err := url.Parse(base)
	if err != nil {
		return &Error{Code: "join.url.invalid", Reason: "it is no address"}
	}
	var joined struct {
		SessionID     string `json:"sessionId"`
		ParticipantID string `json:"participantId"`
		StreamURI     string `json:"streamUri"`
		Resume        string `json:"resume"`
	}
	cookies, err := s.call(ctx, base+"/api/v2/cobrowse/join", map[string]string{"token": token, "tab": s.tab}, &joined)
	if err != nil {
		return err
	}
	s.session, s.participant, s.secret = joined.SessionID, joined.ParticipantID, joined.Resume
	s.address = u.Scheme + "://" + u.Host + joined.StreamURI
	for _, cookie := range cookies { // a viewer's; a program shows it in its first frame
		if s.secret == "" {
			s.secret = cookie.Value
		}
	}
	s.opts.Token = ""
	return nil
}

// call posts JSON and reads JSON.
func (s *stream) call(ctx context.Context, address string, in, out any) ([]*http.Cookie, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(encode(in)))
	if err != nil {
		return nil, &Error{Code: "join.url.invalid", Reason: "it is no address"}
	}
	req.Header.Set("Content-Type", "application/json")
	transport := s.opts.Transport
	if transport == nil {
		own := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: s.opts.TLS, DisableKeepAlives: true}
		defer own.CloseIdleConnections()
		transport = own
	}
	// The token is for the service, wherever that says that it would like it sent.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := (&http.Client{Transport: transport, CheckRedirect: stay}).Do(req)
	if err != nil {
		return nil, unreachable(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, unreachable(err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, answerError(resp.StatusCode, text)
	}
	if err := json.Unmarshal(text, out); err != nil {
		return nil, &Error{Code: "unexpected.answer", Reason: "the answer is not the service's", Status: resp.StatusCode}
	}
	return resp.Cookies(), nil
}

// unreachable is a failure of the network. The addresses in it have no secrets: the
// token is never in one.
func unreachable(err error) error { return &Error{Code: "unreachable", Reason: err.Error()} }

// answerError reads a refusal of the API.
func answerError(status int, text []byte) error {
	var body struct{ Code, Message string }
	if json.Unmarshal(text, &body) != nil || body.Code == "" {
		return &Error{Code: "unexpected.answer", Reason: http.StatusText(status), Status: status}
	}
	return &Error{Code: body.Code, Reason: body.Message, Status: status}
}

// dial opens the stream and says hello. At the first time the welcome is waited for.
func (s *stream) dial(ctx context.Context, first bool) (*websocket.Conn, error) {
	dialer := websocket.Dialer{
		Subprotocols: []string{subprotocol}, HandshakeTimeout: callTimeout, EnableCompression: true, TLSClientConfig: s.opts.TLS, Proxy: http.ProxyFromEnvironment,
	}
	conn, resp, err := dialer.DialContext(ctx, "ws"+strings.TrimPrefix(s.address, "http"), nil)
	if resp != nil {
		defer func() { _ = resp.Body.Close() }()
	}
	if err != nil {
		if resp != nil && errors.Is(err, websocket.ErrBadHandshake) {
			text, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // the first kilobyte is there
			return nil, answerError(resp.StatusCode, text)
		}
		return nil, unreachable(err)
	}
	conn.SetReadLimit(maxFrame)
	alive := func() error { return conn.SetReadDeadline(time.Now().Add(deadAfter)) } //nolint:forbidigo // of a socket
	conn.SetPingHandler(func(text string) error {
		_ = conn.WriteControl(websocket.PongMessage, []byte(text), time.Now().Add(writeTimeout)) //nolint:forbidigo // of a socket; the next read tells
		return alive()
	})
	if err := alive(); err != nil {
		_ = conn.Close()
		return nil, unreachable(err)
	}
	s.mu.Lock()
	hello := map[string]any{"v": 1, "tab": s.tab}
	if s.secret != "" {
		hello["participant"], hello["resume"] = s.participant, map[string]string{"token": s.secret}
	} else {
		hello["token"] = s.opts.Token
		if s.opts.JoinURL != "" {
			_, hello["token"], _ = split(s.opts.JoinURL)
		}
	}
	s.side.hello(hello)
	s.conn, s.in = conn, false
	err = s.write("hello", hello)
	s.mu.Unlock()
	if err != nil {
		_ = conn.Close()
		return nil, unreachable(err)
	}
	if !first {
		return conn, nil
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	for {
		if err := s.read(conn); err != nil {
			_ = conn.Close()
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, closeError(err)
		}
		s.mu.Lock()
		in := s.in
		s.mu.Unlock()
		if in {
			return conn, nil
		}
	}
}

// run reads until the session is over, and connects again when a connection is lost.
func (s *stream) run(ctx context.Context, conn *websocket.Conn) {
	defer close(s.done)
	defer s.cancel()
	for {
		err := s.follow(ctx, conn)
		if s.over(ctx, err) {
			return
		}
		s.tell(Event{Kind: EventLost, Why: err.Error()})
		if conn, err = s.again(ctx, err); err != nil {
			s.over(ctx, err)
			return
		}
	}
}

// follow reads one connection to its end.
func (s *stream) follow(ctx context.Context, conn *websocket.Conn) error {
	stop := context.AfterFunc(ctx, func() {
		// The server need not wait for somebody who does not come back.
		_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseGoingAway, ""), time.Now().Add(time.Second)) //nolint:forbidigo // of a socket
		_ = conn.Close()
	})
	defer stop()
	for {
		if err := s.read(conn); err != nil {
			_ = conn.Close()
			s.mu.Lock()
			s.conn, s.in = nil, false
			s.bump()
			s.mu.Unlock()
			return closeError(err)
		}
	}
}

// over ends the stream if the error, or the context, says so for good.
func (s *stream) over(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		err = ctx.Err()
	} else if e, ok := errors.AsType[*Error](err); ok && (e.mayComeBack() || e.Status == 0 && e.Code != "lost") {
		return false
	}
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	err = s.err
	s.state = "ended"
	s.bump()
	s.mu.Unlock()
	why := err.Error()
	if e, ok := errors.AsType[*EndedError](err); ok {
		why = e.Why
	}
	s.tell(Event{Kind: EventEnded, Why: why})
	return true
}

// again connects anew, with pauses that grow, for as long as the server waits.
func (s *stream) again(ctx context.Context, err error) (*websocket.Conn, error) {
	s.mu.Lock()
	grace := s.grace()
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	for attempt := 0; ; attempt++ {
		pause := min(longestPause, firstPause<<min(attempt, 10))
		pause = pause*3/4 + mathrand.N(pause/2+1) //nolint:gosec // so that not all come back at once
		if e, ok := errors.AsType[*Error](err); ok {
			pause = max(pause, e.pause())
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, &Error{Code: "lost", Reason: err.Error()}
		}
		var conn *websocket.Conn
		if conn, err = s.dial(ctx, false); err == nil {
			return conn, nil
		}
		if e, ok := errors.AsType[*Error](err); ok && e.Status != 0 && !e.mayComeBack() {
			return nil, err
		}
	}
}

// grace is how long the server waits for somebody; the lock is held.
func (s *stream) grace() time.Duration {
	if s.graceSeconds > 0 {
		return time.Duration(s.graceSeconds) * time.Second
	}
	return 2 * time.Minute
}

// read takes one frame.
func (s *stream) read(conn *websocket.Conn) error {
	_, r, err := conn.NextReader()
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(r, maxFrame+1)) // the library's limit is one of compressed bytes
	if err != nil {
		return err
	}
	if len(text) > maxFrame {
		return &Error{Code: "tooLarge", Reason: "a frame of the service is", Status: websocket.CloseMessageTooBig}
	}
	if err := conn.SetReadDeadline(time.Now().Add(deadAfter)); err != nil { //nolint:forbidigo // of a socket
		return err
	}
	var head struct {
		T string `json:"t"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return fmt.Errorf("a frame that is no JSON: %w", err)
	}
	s.mu.Lock()
	var events []Event
	events, err = s.take(head.T, text)
	events = append(events, s.queued...)
	s.queued = nil
	s.bump()
	s.mu.Unlock()
	for _, e := range events {
		s.tell(e)
	}
	return err
}

// bump wakes those who wait; the lock is held.
func (s *stream) bump() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// tell reports an event; the lock is not held.
func (s *stream) tell(e Event) {
	if s.opts.OnEvent != nil {
		s.opts.OnEvent(e)
	}
}

// later has an event told when the lock is free; it is held.
func (s *stream) later(e Event) { s.queued = append(s.queued, e) }

// write sends one frame, t first; the lock is held.
func (s *stream) write(kind string, members map[string]any) error {
	head := `{"t":"` + kind + `"`
	if len(members) == 0 {
		return s.writeText([]byte(head + "}"))
	}
	return s.writeText(append([]byte(head+","), encode(members)[1:]...))
}

// writeText sends a frame as it is; the lock is held.
func (s *stream) writeText(frame []byte) error {
	if s.conn == nil {
		return &Error{Code: "lost", Reason: "there is no connection at the moment"}
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil { //nolint:forbidigo // of a socket
		return unreachable(err)
	}
	s.conn.EnableWriteCompression(len(frame) > 1<<10)
	if err := s.conn.WriteMessage(websocket.TextMessage, frame); err != nil {
		return unreachable(err)
	}
	return nil
}

// send sends a frame of somebody who is in.
func (s *stream) send(kind string, members map[string]any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sendLocked(kind, members)
}

func (s *stream) sendLocked(kind string, members map[string]any) error {
	if s.err != nil {
		return s.err
	}
	if !s.in {
		return &Error{Code: "lost", Reason: "there is no connection at the moment"}
	}
	return s.write(kind, members)
}

// wait waits until cond holds, with the lock held.
func (s *stream) wait(ctx context.Context, what string, cond func() (bool, error)) error {
	for {
		s.mu.Lock()
		ok, err := cond()
		over, changed := s.err, s.changed
		s.mu.Unlock()
		switch {
		case err != nil:
			return err
		case ok:
			return nil
		case over != nil:
			return fmt.Errorf("wait for %s: %w", what, over)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, ctx.Err())
		}
	}
}

// SessionID returns the id of the session.
func (s *stream) SessionID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.session
}

// ParticipantID returns the id of this participant.
func (s *stream) ParticipantID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.participant
}

// Role returns agent, customer or supervisor.
func (s *stream) Role() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.role
}

// State returns the state of the session: waiting, live, paused, reconnecting or ended.
func (s *stream) State() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// WaitState waits until the session is in a state.
func (s *stream) WaitState(ctx context.Context, state string) error {
	return s.wait(ctx, "the state "+state, func() (bool, error) { return s.state == state, nil })
}

// WaitPeer waits until somebody with a role (agent, customer or supervisor) is
// connected, and returns the participant's id.
func (s *stream) WaitPeer(ctx context.Context, role string) (string, error) {
	id := ""
	err := s.wait(ctx, "the "+role, func() (bool, error) {
		for _, p := range s.peers {
			if p.Role == role && p.Connected && p.ID != s.participant {
				id = p.ID
			}
		}
		return id != "", nil
	})
	return id, err
}

// Point tells the others where this participant points, in CSS pixels of the page's window.
func (s *stream) Point(x, y int) error { return s.send("ptr", map[string]any{"x": x, "y": y}) }

// Act tells that somebody is there: the time-out of inactivity starts anew.
func (s *stream) Act() error { return s.send("act", nil) }

// Cut breaks the connection as a network would, without a word. It is tried again at once.
func (s *stream) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		_ = s.conn.UnderlyingConn().Close()
	}
}

// End is the exit button: of the customer and the agent it ends the session, a
// supervisor leaves. It waits until the server has closed.
func (s *stream) End(ctx context.Context) error {
	if err := s.send("end", nil); err != nil {
		return err
	}
	select {
	case <-s.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if _, ok := errors.AsType[*EndedError](s.Err()); ok {
		return nil
	}
	return s.Err()
}

// Done is closed when nothing follows any more.
func (s *stream) Done() <-chan struct{} { return s.done }

// Err returns why it is over: an [*EndedError], an [*Error], or the context's error. Nil
// while it is not.
func (s *stream) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Close goes away without ending the session, and waits until nothing is left behind.
func (s *stream) Close() {
	s.cancel()
	<-s.done
}
