package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/cobridge/cobridge/cobrowse/client/live"
)

// envJoinURL keeps the join URL out of the list of processes.
const envJoinURL = "COBRIDGE_JOIN_URL"

const scriptHelp = `It prints one line of JSON for each thing that happens ({"event":"joined",…}) and reads one for each
thing to do from standard input ({"do":"fill","field":"name","value":"Kim"}), which is answered with a
line {"event":"done",…} when it is done, or why it is not. docs/scripted-browsers.md lists both.

The join URL lets in once. In COBRIDGE_JOIN_URL others on the machine do not see it. The command ends
when the session does, or at {"do":"leave"}.`

func newScript(c console) *cobra.Command {
	return group("script", "Take part in a session without a browser, steered by lines of JSON", newScriptSharer(c), newScriptViewer(c))
}

// scriptFlags are those of both sides.
type scriptFlags struct{ joinURL, caFile string }

func (f *scriptFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.joinURL, "join-url", "", "join URL of the participant (default $"+envJoinURL+")")
	cmd.Flags().StringVar(&f.caFile, "ca-file", "", "PEM file with a certificate to trust besides the system's")
}

func (f *scriptFlags) options(c console) (live.Options, error) {
	o := live.Options{JoinURL: first(f.joinURL, c.getenv(envJoinURL))}
	if o.JoinURL == "" {
		return o, usageError("which session? give --join-url or " + envJoinURL)
	}
	if ca := first(f.caFile, c.getenv(envCAFile)); ca != "" {
		transport, err := trusting(ca)
		if err != nil {
			return o, err
		}
		if own, ok := transport.(*http.Transport); ok {
			o.TLS = own.TLSClientConfig
		}
	}
	return o, nil
}

func newScriptSharer(c console) *cobra.Command {
	var flags scriptFlags
	var page, address string
	var allow []string
	cmd := &cobra.Command{Use: "sharer", Short: "Share a page from a file", Args: cobra.NoArgs}
	cmd.Long = cmd.Short + ".\n\n" + scriptHelp
	flags.add(cmd)
	cmd.Flags().StringVar(&page, "page", "", "HTML file to share (default: a page with a few fields)")
	cmd.Flags().StringVar(&address, "page-url", "https://shop.example/", "address that the page has")
	cmd.Flags().StringSliceVar(&allow, "allow", nil, "what viewers who ask are let do: control, draw, navigate")
	cmd.RunE = action(func(ctx context.Context, _ []string) error {
		for _, kind := range allow {
			if !slices.Contains([]string{live.Control, live.Draw, live.Navigate}, kind) {
				return usageError(fmt.Sprintf("--allow %s: want control, draw or navigate", kind))
			}
		}
		if u, err := url.Parse(address); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return usageError(fmt.Sprintf("--page-url %s: want an absolute address, http or https", address))
		}
		o, err := flags.options(c)
		if err != nil {
			return err
		}
		shown, err := readPage(page, live.Page{URL: address, HTML: scriptPage})
		if err != nil {
			return err
		}
		ctx, stop := untilSignalled(ctx)
		defer stop()
		lines := &jsonLines{out: c.out}
		o.OnEvent = lines.event
		o.Decide = func(r live.Request) bool { return slices.Contains(allow, r.Kind) }
		sharer, err := live.Share(ctx, o, shown)
		if err != nil {
			return err
		}
		return runScript(ctx, c, lines, sharer, func(ctx context.Context, order order) (any, error) { return order.share(ctx, sharer) })
	})
	return cmd
}

func newScriptViewer(c console) *cobra.Command {
	var flags scriptFlags
	cmd := &cobra.Command{Use: "viewer", Short: "See what a sharer shows, and act in it", Args: cobra.NoArgs}
	cmd.Long = cmd.Short + ".\n\n" + scriptHelp
	flags.add(cmd)
	cmd.RunE = action(func(ctx context.Context, _ []string) error {
		o, err := flags.options(c)
		if err != nil {
			return err
		}
		ctx, stop := untilSignalled(ctx)
		defer stop()
		lines := &jsonLines{out: c.out}
		o.OnEvent = lines.event
		viewer, err := live.View(ctx, o)
		if err != nil {
			return err
		}
		return runScript(ctx, c, lines, viewer, func(ctx context.Context, order order) (any, error) { return order.view(ctx, viewer) })
	})
	return cmd
}

// scriptPage is shared where no other is given.
const scriptPage = `<!doctype html><html lang="en"><title>Order</title><h1>Your order</h1><p id="total">Total 12 EUR</p>
<form><label>Name <input name="name"></label><label>Voucher <input name="voucher" data-cb-show></label>
<label>Password <input type="password" name="password" value="open sesame"></label></form></html>`

// readPage reads the page's HTML from a file, if there is one.
func readPage(path string, page live.Page) (live.Page, error) {
	if path == "" {
		return page, nil
	}
	const limit = 4 << 20      // the largest picture that the service takes
	file, err := os.Open(path) //nolint:gosec // the caller names the file
	if err != nil {
		return page, fmt.Errorf("read page: %w", err)
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return page, fmt.Errorf("read page: %w", err)
	}
	if len(text) > limit {
		return page, fmt.Errorf("read page: %s has more than %d bytes", path, limit)
	}
	page.HTML = string(text)
	return page, nil
}

// jsonLines prints lines of JSON, whole ones.
type jsonLines struct {
	mu  sync.Mutex
	out io.Writer
}

func (l *jsonLines) print(v any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	encoder := json.NewEncoder(plainWriter{l.out})
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(v) // nobody reads it any more, if that fails
}

func (l *jsonLines) event(e live.Event) {
	if e.Kind == live.EventEnded && e.Why == context.Canceled.Error() {
		e.Why = "left"
	}
	e.Why = inWords(e.Why)
	l.print(e)
}

// inWords says in everybody's words what only Go programs know.
func inWords(why string) string {
	return strings.NewReplacer(context.Canceled.Error(), "interrupted", context.DeadlineExceeded.Error(), "timed out").Replace(why)
}

// order is one line of standard input.
type order struct {
	ID          any     `json:"id,omitempty"` // given back with the answer
	Do          string  `json:"do"`
	Field       string  `json:"field"` // a name, an id or a selector
	Element     string  `json:"element"`
	Value       string  `json:"value"`
	Text        string  `json:"text"`
	HTML        string  `json:"html"`
	File        string  `json:"file"`
	URL         string  `json:"url"`
	Title       string  `json:"title"`
	Key         string  `json:"key"`
	What        string  `json:"what"` // control, draw or navigate
	Participant string  `json:"participant"`
	Role        string  `json:"role"`
	State       string  `json:"state"`
	X           int     `json:"x"`
	Y           int     `json:"y"`
	Points      []point `json:"points"`
	Color       string  `json:"color"`
	Timeout     float64 `json:"timeout"` // seconds; 0 = 30
}

type point = [2]int

// answer is what is printed when an order is done, or is not.
type answer struct {
	Event string `json:"event"` // done
	ID    any    `json:"id,omitempty"`
	Do    string `json:"do"`
	OK    bool   `json:"ok"`
	Why   string `json:"why,omitempty"`   // not
	Value any    `json:"value,omitempty"` // what was asked for
}

// participant is what both sides have in common.
type participant interface {
	Done() <-chan struct{}
	Err() error
	Close()
}

// errLeave ends the command, not the session.
var errLeave = errors.New("leave")

// runScript carries out orders, one after the other, until the session ends.
func runScript(ctx context.Context, c console, lines *jsonLines, who participant, do func(context.Context, order) (any, error)) error {
	defer who.Close()
	orders := make(chan string)
	// Reading cannot be interrupted: the goroutine ends with its input, or the process.
	go func() {
		scanner := bufio.NewScanner(c.in)
		scanner.Buffer(nil, 8<<20)
		for scanner.Scan() {
			select {
			case orders <- scanner.Text():
			case <-who.Done():
				return
			}
		}
	}()
	for {
		select {
		case <-who.Done():
			return scriptEnd(who.Err())
		case line := <-orders:
			if strings.TrimSpace(line) == "" {
				continue
			}
			select {
			case <-who.Done(): // what came since cannot be done any more
				return scriptEnd(who.Err())
			default:
			}
			var one order
			if err := json.Unmarshal([]byte(line), &one); err != nil {
				lines.print(answer{Event: "done", Why: "this is no line of JSON that can be carried out"})
				continue
			}
			value, err := within(ctx, one, do)
			if errors.Is(err, errLeave) {
				lines.print(answer{Event: "done", ID: one.ID, Do: one.Do, OK: true})
				return nil
			}
			result := answer{Event: "done", ID: one.ID, Do: one.Do, OK: err == nil, Value: value}
			if err != nil {
				result.Value, result.Why = nil, why(err)
			}
			lines.print(result)
		}
	}
}

func within(ctx context.Context, one order, do func(context.Context, order) (any, error)) (any, error) {
	timeout := 30 * time.Second
	if one.Timeout > 0 {
		timeout = time.Duration(one.Timeout * float64(time.Second))
	}
	if name := one.missing(); name != "" {
		return nil, fmt.Errorf("%s: which %s?", one.Do, name)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return do(ctx, one)
}

// why is a word where there is one.
func why(err error) string {
	if refused, ok := errors.AsType[*live.RefusedError](err); ok {
		return refused.Why
	}
	return inWords(err.Error())
}

// missing says which member an order needs and has not; "" if it has all.
func (o order) missing() string {
	switch o.Do {
	case "set", "value", "waitValue", "fill", "type":
		if o.Field == "" {
			return "field"
		}
	case "text", "append", "click", "press":
		if o.Element == "" {
			return "element"
		}
	}
	return ""
}

// scriptEnd tells ends that somebody wanted from others.
func scriptEnd(err error) error {
	if _, ok := errors.AsType[*live.EndedError](err); ok || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// both are the orders that either side can be given.
func (o order) both(ctx context.Context, who interface {
	WaitState(ctx context.Context, state string) error
	WaitPeer(ctx context.Context, role string) (string, error)
	Point(x, y int) error
	Act() error
	Cut()
	End(ctx context.Context) error
},
) (any, error) {
	switch o.Do {
	case "waitState":
		return nil, who.WaitState(ctx, o.State)
	case "waitPeer":
		return who.WaitPeer(ctx, o.Role)
	case "point":
		return nil, who.Point(o.X, o.Y)
	case "act":
		return nil, who.Act()
	case "cut":
		who.Cut()
		return nil, nil
	case "end":
		return nil, who.End(ctx)
	case "leave":
		return nil, errLeave
	default:
		return nil, fmt.Errorf("%q is nothing that this side can do", o.Do)
	}
}

// share carries out an order to a sharer.
func (o order) share(ctx context.Context, s *live.Sharer) (any, error) {
	switch o.Do {
	case "navigate":
		page, err := readPage(o.File, live.Page{URL: o.URL, Title: o.Title, HTML: o.HTML})
		if err != nil {
			return nil, err
		}
		return nil, s.Navigate(page)
	case "set":
		return nil, s.Set(o.Field, o.Value)
	case "text":
		return nil, s.Text(o.Element, o.Text)
	case "append":
		return nil, s.Append(o.Element, o.HTML)
	case "scroll":
		return nil, s.Scroll(o.X, o.Y)
	case "value":
		return s.Value(o.Field)
	case "waitValue":
		return nil, s.WaitValue(ctx, o.Field, o.Value)
	case "pause":
		return nil, s.Pause()
	case "resume":
		return nil, s.Resume()
	case "allow":
		return nil, s.Allow(o.What, o.Participant)
	case "revoke":
		return nil, s.Revoke(o.What)
	default:
		return o.both(ctx, s)
	}
}

// view carries out an order to a viewer.
func (o order) view(ctx context.Context, v *live.Viewer) (any, error) {
	switch o.Do {
	case "picture":
		return v.Picture(), nil
	case "waitText":
		return nil, v.WaitText(ctx, o.Text)
	case "ask":
		return nil, v.Ask(ctx, o.What)
	case "giveBack":
		return nil, v.GiveBack(o.What)
	case "fill":
		return nil, v.Fill(ctx, o.Field, o.Value)
	case "type":
		return nil, v.Type(ctx, o.Field, o.Text)
	case "click":
		return nil, v.Click(ctx, o.Element)
	case "press":
		return nil, v.Press(ctx, o.Element, o.Key)
	case "scroll":
		return nil, v.Scroll(ctx, o.X, o.Y)
	case "goto":
		return nil, v.Goto(ctx, o.URL)
	case "back":
		return nil, v.Back(ctx)
	case "forward":
		return nil, v.Forward(ctx)
	case "reload":
		return nil, v.Reload(ctx)
	case "draw":
		return nil, v.Draw(o.Color, o.Points...)
	default:
		return o.both(ctx, v)
	}
}
