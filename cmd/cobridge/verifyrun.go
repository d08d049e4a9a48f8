package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cobridge/cobridge/mocks/contract"
)

// verifier is what the cases report to: it runs each and keeps what came of it.
type verifier struct {
	ctx    context.Context //nolint:containedctx // contract.T hands it out, as *testing.T does
	seen   *witness
	report *report
	show   func(caseResult) // as soon as it is known; nil = nobody
}

func (v *verifier) Helper()                  {}
func (v *verifier) Context() context.Context { return v.ctx }
func (v *verifier) Logf(string, ...any)      {}
func (v *verifier) Errorf(format string, args ...any) {
	v.report.Problems = append(v.report.Problems, fmt.Sprintf(format, args...))
}
func (v *verifier) Skipf(string, ...any) {}

func (v *verifier) Fatalf(format string, args ...any) {
	v.Errorf(format, args...)
	runtime.Goexit()
}

// Run runs one case.
func (v *verifier) Run(name string, f func(contract.T)) bool {
	one := &trial{verifier: v, result: &caseResult{Name: promise(name), full: name}}
	for word := range strings.FieldsSeq(strings.TrimSuffix(name, one.result.Name)) {
		one.result.Rows = append(one.result.Rows, word)
	}
	began := time.Now()
	if v.ctx.Err() == nil {
		one.do(f)
	} else {
		one.skipped = "stopped before"
	}
	result := one.result
	result.Seconds = float64(time.Since(began).Milliseconds()) / 1000
	switch {
	case v.ctx.Err() != nil && len(result.Failures) > 0:
		result.Status, result.Why, result.Failures = skipped, "stopped while it ran", nil
	case len(result.Failures) > 0:
		result.Status = failed
	case one.skipped != "":
		result.Status, result.Why = skipped, one.skipped
	default:
		result.Status = passed
		if len(one.parts) > 0 {
			result.Why = "in part: " + strings.Join(slices.Compact(one.parts), "; ")
		}
	}
	v.report.Cases = append(v.report.Cases, *result)
	if v.show != nil {
		v.show(*result)
	}
	return result.Status != failed
}

// trial is a case while it runs, or a part of one.
type trial struct {
	*verifier
	result  *caseResult
	part    string
	skipped string
	parts   []string // why some were skipped

	mu *sync.Mutex
}

// do runs f in a goroutine that it may leave.
func (t *trial) do(f func(contract.T)) {
	if t.mu == nil {
		t.mu = new(sync.Mutex)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		defer func() {
			// A service may answer what no case has thought of.
			if p := recover(); p != nil {
				t.Errorf("the case cannot cope with an answer: %v", p)
			}
		}()
		f(t)
	})
	wg.Wait()
}

func (t *trial) Errorf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if t.part != "" {
		text = t.part + ": " + text
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	request, answer := t.seen.last()
	t.result.Failures = append(t.result.Failures, caseFailure{Message: t.seen.mask(text), Request: request, Answer: answer})
}

func (t *trial) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	runtime.Goexit()
}

func (t *trial) Skipf(format string, args ...any) {
	t.skipped = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (t *trial) Run(name string, f func(contract.T)) bool {
	before := len(t.result.Failures)
	part := &trial{verifier: t.verifier, result: t.result, part: strings.TrimPrefix(t.part+", "+name, ", "), mu: t.mu}
	part.do(f)
	if part.skipped != "" {
		t.parts = append(t.parts, part.skipped)
	}
	return len(t.result.Failures) == before
}

// witness is the transport of the cases. It remembers the last exchange, and what
// must not be shown of any.
type witness struct {
	next http.RoundTripper

	mu              sync.Mutex
	calls           int
	request, answer string
	secrets         map[string]bool
}

func newWitness(next http.RoundTripper) *witness {
	return &witness{next: next, secrets: map[string]bool{}}
}

const (
	// mostShown bounds what is shown of a body.
	mostShown = 2000
	// mostRead bounds what is kept of an answer; the service's are far below.
	mostRead = 32 << 20
)

var errEndless = fmt.Errorf("the answer has more than %d bytes", mostRead)

var (
	// secretMember is a member of JSON whose value lets somebody in.
	secretMember = regexp.MustCompile(`"(?:access_token|token|resume|sessionJoinToken|joinToken|userToken|joinCode|sessionToken|client_secret|secret)"\s*:\s*"([^"]{8,})"`)
	// secretChannel is the address of a notification channel: whoever knows it can listen.
	secretChannel = regexp.MustCompile(`/channels/([\w-]{8,})`)
	secretQuery   = regexp.MustCompile(`(?:token|client_secret)=([^&\s"'#]{8,})`)
	jwtShaped     = regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]*`)
)

func (w *witness) RoundTrip(r *http.Request) (*http.Response, error) {
	sent := r.Method + " " + r.URL.RequestURI()
	if r.GetBody != nil {
		if body, err := r.GetBody(); err == nil {
			text, _ := io.ReadAll(io.LimitReader(body, mostShown)) // it lies in memory
			sent += "\n" + string(text)
		}
	}
	resp, err := w.next.RoundTrip(r)
	if err != nil {
		w.note(sent, err.Error())
		return nil, err
	}
	// What is read goes on to the case, an error at the end of it too.
	body, readErr := io.ReadAll(io.LimitReader(resp.Body, mostRead+1))
	if len(body) > mostRead {
		body, readErr = body[:mostRead], errEndless
	}
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), failing{readErr}))
	shown := body
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		shown = fmt.Appendf(nil, "(a page of %d bytes)", len(body))
	}
	for _, cookie := range resp.Cookies() {
		w.hide(cookie.Value)
	}
	w.harvest(sent)
	w.harvest(string(body))
	w.harvest(resp.Header.Get("Location"))
	w.note(sent, resp.Status+"\n"+string(shown))
	return resp, nil
}

// failing is the end of a body.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, io.EOF
}

func (w *witness) harvest(text string) {
	for _, pattern := range []*regexp.Regexp{secretMember, secretQuery, secretChannel} {
		for _, found := range pattern.FindAllStringSubmatch(text, -1) {
			w.hide(found[1])
		}
	}
}

// hide has texts masked wherever they stand.
func (w *witness) hide(secrets ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range secrets {
		if one != "" {
			w.secrets[one] = true
		}
	}
}

func (w *witness) note(request, answer string) {
	request, answer = w.mask(request), w.mask(answer)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls++
	w.request, w.answer = cut(request), cut(answer)
}

func cut(text string) string {
	text = strings.ToValidUTF8(strings.TrimSpace(text), "?")
	if len(text) > mostShown {
		text = strings.ToValidUTF8(text[:mostShown], "") + "…"
	}
	return text
}

// last is the newest exchange, masked.
func (w *witness) last() (request, answer string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.request, w.answer
}

func (w *witness) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls
}

// mask takes out what lets somebody in.
func (w *witness) mask(text string) string {
	w.mu.Lock()
	pairs := make([]string, 0, 2*len(w.secrets))
	for one := range w.secrets {
		if strings.Contains(text, one) {
			pairs = append(pairs, one, "(masked)")
		}
	}
	w.mu.Unlock()
	text = strings.NewReplacer(pairs...).Replace(text)
	return jwtShaped.ReplaceAllString(text, "(masked)")
}
