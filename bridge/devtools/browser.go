package devtools

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/fasthttp/websocket"
)

// closeTimeout is how long a browser may take to go when it is asked to.
const closeTimeout = 10 * time.Second

// Find returns the path of a Chromium or Chrome on this machine.
func Find() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no Chromium or Chrome on the PATH: install one, or name it")
}

// Browser is a running Chromium.
type Browser struct {
	conn    *websocket.Conn
	cmd     *exec.Cmd
	dir     string
	drained chan struct{}
	reading sync.WaitGroup

	mu      sync.Mutex
	nextID  int
	waiting map[int]chan message
	pages   map[string]*Page // by session of the protocol
	closed  error
}

// message is an answer, or an event if it has no ID.
type message struct {
	ID        int             `json:"id"`
	Method    string          `json:"method"`
	SessionID string          `json:"sessionId"`
	Params    json.RawMessage `json:"params"`
	Result    json.RawMessage `json:"result"`
	Error     *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// Start runs the browser at path with a profile of its own, headless and talking
// to nobody by itself.
func Start(ctx context.Context, path string, flags ...string) (*Browser, error) {
	dir, err := os.MkdirTemp("", "chromium")
	if err != nil {
		return nil, fmt.Errorf("make profile: %w", err)
	}
	args := append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-port=0", "--user-data-dir=" + dir,
	}, flags...)
	b := &Browser{cmd: exec.Command(path, append(args, "about:blank")...), dir: dir, drained: make(chan struct{}), waiting: map[int]chan message{}, pages: map[string]*Page{}} //nolint:gosec,noctx // Close ends it
	stderr, err := b.cmd.StderrPipe()
	if err == nil {
		err = b.cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start chromium: %w", err), os.RemoveAll(dir))
	}
	lines := bufio.NewScanner(stderr)
	address := ""
	for address == "" && lines.Scan() {
		_, address, _ = strings.Cut(lines.Text(), "DevTools listening on ")
	}
	go func() {
		defer close(b.drained)
		for lines.Scan() { // or it would block on a full pipe
		}
	}()
	if address == "" {
		return nil, errors.Join(errors.New("chromium does not listen"), b.Close()) //nolint:contextcheck // ctx may have ended
	}
	conn, response, err := (&websocket.Dialer{HandshakeTimeout: closeTimeout}).DialContext(ctx, address, nil)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("dial chromium: %w", err), b.Close()) //nolint:contextcheck // ctx may have ended
	}
	_ = response.Body.Close()
	b.conn = conn
	b.reading.Go(b.read)
	return b, nil
}

// Close ends the browser and its children, and forgets its profile.
func (b *Browser) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if b.conn == nil || b.call(ctx, "", "Browser.close", struct{}{}, nil) != nil {
		_ = b.cmd.Process.Kill() // it may have gone by itself
	}
	b.reading.Wait()
	if b.conn != nil {
		_ = b.conn.Close()
	}
	<-b.drained
	_ = b.cmd.Wait() // with a status that says nothing
	if err := os.RemoveAll(b.dir); err != nil {
		return fmt.Errorf("remove profile: %w", err)
	}
	return nil
}

func (b *Browser) read() {
	for {
		var m message
		if err := b.conn.ReadJSON(&m); err != nil {
			b.mu.Lock()
			b.closed = err
			for _, ch := range b.waiting {
				close(ch)
			}
			clear(b.waiting)
			b.mu.Unlock()
			return
		}
		b.mu.Lock()
		ch, ok := b.waiting[m.ID]
		ok = ok && m.ID > 0
		if ok {
			delete(b.waiting, m.ID)
		}
		p := b.pages[m.SessionID]
		b.mu.Unlock()
		if ok {
			ch <- m
		} else if p != nil && p.hear != nil {
			p.hear(Event{Method: m.Method, Params: m.Params})
		}
	}
}

// call sends one command and decodes its result.
func (b *Browser) call(ctx context.Context, session, method string, params, result any) error {
	ch := make(chan message, 1)
	b.mu.Lock()
	b.nextID++
	id := b.nextID
	err := b.closed
	if err == nil {
		b.waiting[id] = ch
		err = b.conn.WriteJSON(map[string]any{"id": id, "method": method, "params": params, "sessionId": session})
	}
	b.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	select {
	case m, ok := <-ch:
		switch {
		case !ok:
			return errors.New(method + ": the browser has gone")
		case m.Error != nil:
			return errors.New(method + ": " + m.Error.Message)
		case result == nil:
			return nil
		}
		return json.Unmarshal(m.Result, result)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", method, ctx.Err())
	}
}

// Version returns the browser's name and version, such as "HeadlessChrome/140.0.1.2".
func (b *Browser) Version(ctx context.Context) (string, error) {
	var v struct {
		Product string `json:"product"`
	}
	err := b.call(ctx, "", "Browser.getVersion", struct{}{}, &v)
	return v.Product, err
}

// Person is somebody's browser: cookies and storage of its own.
type Person struct {
	browser *Browser
	context string
}

// NewPerson returns somebody new.
func (b *Browser) NewPerson(ctx context.Context) (*Person, error) {
	var created struct {
		ID string `json:"browserContextId"`
	}
	if err := b.call(ctx, "", "Target.createBrowserContext", struct{}{}, &created); err != nil {
		return nil, err
	}
	return &Person{browser: b, context: created.ID}, nil
}

// Close closes the pages of a person.
func (p *Person) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return p.browser.call(ctx, "", "Target.disposeBrowserContext", map[string]any{"browserContextId": p.context}, nil)
}
