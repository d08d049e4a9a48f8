package contract_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/cobridge/cobridge/docs/openapitest"
	"github.com/cobridge/cobridge/mocks"
	"github.com/cobridge/cobridge/mocks/contract"
)

// mockTarget returns a mock as a target.
func mockTarget(t *testing.T) contract.Target {
	t.Helper()
	m := mocks.New(t, mocks.AllowUnmatched(), mocks.WithLegacy())
	return contract.Target{
		BaseURL: m.BaseURL, Client: m.HTTPClient(), Credentials: contract.Credentials(m.Credentials),
		Other: contract.Credentials(m.Other), Limited: contract.Credentials(m.Reader),
		AgentUserID: m.AgentUserID, SupervisorUserID: m.SupervisorUserID, IncapableUserID: m.IncapableUserID, OtherUserID: m.OtherUserID,
		Knowledge: "/gks-server/v1", Legacy: contract.Legacy{BasePath: "/cobrowse", Page: mocks.SiteOrigin}, Advance: m.Turn,
	}
}

// The double that integrations are tested with keeps the contract, through httpmock.
func TestMock(t *testing.T) {
	t.Parallel()
	tg := mockTarget(t)
	tg.Check = openapitest.NewChecker(t).Check
	contract.Run(whole{reporter{t}}, tg)
}

// whole is for a target that has everything: what is skipped fails.
type whole struct{ reporter }

func (w whole) Skipf(format string, args ...any) {
	w.Helper()
	w.Fatalf("skipped: "+format, args...)
}

func (w whole) Run(name string, f func(contract.T)) bool {
	return w.T.Run(name, func(t *testing.T) { f(whole{reporter{t}}) })
}

// breakage is a client's transport that spoils one answer.
type breakage struct {
	next  http.RoundTripper
	spoil func(*http.Response, []byte) []byte // returns the body
}

func (b breakage) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if err := resp.Body.Close(); err != nil {
		return nil, err
	}
	body = b.spoil(resp, body)
	resp.Body, resp.ContentLength = io.NopCloser(strings.NewReader(string(body))), int64(len(body))
	return resp, nil
}

// verdict is what the suite says about a target that is expected to fail: it notes
// what goes wrong in place of failing the test.
type verdict struct {
	ctx context.Context //nolint:containedctx // it stands for a test, which has one

	mu     *sync.Mutex
	name   string
	failed *[]string
}

func newVerdict(t *testing.T) verdict {
	t.Helper()
	return verdict{ctx: t.Context(), mu: new(sync.Mutex), failed: new([]string)}
}

func (v verdict) Helper()                  {}
func (v verdict) Context() context.Context { return v.ctx }
func (v verdict) Logf(string, ...any)      {}

func (v verdict) Errorf(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	*v.failed = append(*v.failed, v.name+": "+fmt.Sprintf(format, args...))
}

func (v verdict) Fatalf(format string, args ...any) {
	v.Errorf(format, args...)
	runtime.Goexit()
}

func (v verdict) Skipf(format string, args ...any) {
	v.Errorf("skipped: "+format, args...) // what is skipped finds nothing
	runtime.Goexit()
}

func (v verdict) Run(name string, f func(contract.T)) bool {
	sub := v
	sub.name, sub.failed = name, new([]string)
	done := make(chan struct{})
	go func() { // for Goexit
		defer close(done)
		f(sub)
	}()
	<-done
	v.mu.Lock()
	defer v.mu.Unlock()
	*v.failed = append(*v.failed, *sub.failed...)
	return len(*sub.failed) == 0
}

// What would go unseen is worth nothing: each of these turns the suite red, whatever
// the target is, and without it the same cases are green.
func TestABreakTurnsTheSuiteRed(t *testing.T) {
	t.Parallel()
	mock := mockTarget(t)
	app, clock := openApp(t)
	inProcess := target(app.BaseURL(), &http.Client{Transport: app.Transport()})
	inProcess.Advance = clock.Advance
	p := startProcess(t, "serve", "--config", configFile(t, "service.yaml", ""))
	process := target(p.baseURL, p.client)

	breaks := []struct {
		name, rows string
		spoil      func(*http.Response, []byte) []byte
	}{
		{"the 409 does not name the session", "T21", func(resp *http.Response, body []byte) []byte {
			if resp.StatusCode == http.StatusConflict {
				return []byte(strings.ReplaceAll(string(body), `"sessionId"`, `"session"`))
			}
			return body
		}},
		{"a second session is a 400", "T21", func(resp *http.Response, body []byte) []byte {
			if resp.StatusCode == http.StatusConflict {
				resp.StatusCode = http.StatusBadRequest
			}
			return body
		}},
		{"created without Location", "T17", func(resp *http.Response, body []byte) []byte {
			if resp.StatusCode == http.StatusCreated {
				resp.Header.Del("Location")
			}
			return body
		}},
		{"no token is a good token", "T7", func(resp *http.Response, body []byte) []byte {
			if resp.StatusCode == http.StatusUnauthorized {
				resp.StatusCode = http.StatusOK
			}
			return body
		}},
		{"times without zone", "T17", func(_ *http.Response, body []byte) []byte {
			return []byte(strings.ReplaceAll(string(body), `Z"`, `"`))
		}},
	}
	for name, tg := range map[string]contract.Target{"mock": mock, "in process": inProcess, "process": process, "stand-alone": standalone(t)} {
		for _, b := range breaks {
			t.Run(name+"/"+b.name, func(t *testing.T) {
				t.Parallel()
				var cases []contract.Case
				for _, c := range contract.Cases() {
					for _, row := range c.Rows() {
						if row == b.rows {
							cases = append(cases, c)
						}
					}
				}
				if len(cases) == 0 {
					t.Fatalf("no case is of row %s", b.rows)
				}
				sound := newVerdict(t)
				contract.RunCases(sound, tg, cases)
				if len(*sound.failed) > 0 {
					t.Errorf("without the break the suite says %q, want nothing", *sound.failed)
				}
				broken := tg
				broken.Client = &http.Client{Transport: breakage{tg.Client.Transport, b.spoil}}
				red := newVerdict(t)
				contract.RunCases(red, broken, cases)
				if len(*red.failed) == 0 {
					t.Errorf("the suite does not notice the break")
				}
			})
		}
	}
}
