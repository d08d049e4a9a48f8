package legacy

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// Bounds of one look at an address.
const (
	restrictionsTimeout   = 10 * time.Second // in all, redirects included
	restrictionsRedirects = 3
)

// RestrictionsConfig is what [NewRestrictionsWatch] is told.
type RestrictionsConfig struct {
	Source      string        // path of the file, or its http or https address
	Every       time.Duration // how often Run looks for changes
	Org         conversations.OrgID
	Deployment  cobrowse.DeploymentID // whose restrictions the file says
	Deployments pageRules             // a *cobrowse.Service
	Clock       cobridge.Clock
	Log         *slog.Logger
	Transport   http.RoundTripper // nil: one of its own, by the environment's proxy settings
}

// pageRules is the part of *cobrowse.Service that is called here.
type pageRules interface {
	Deployment(ctx context.Context, org conversations.OrgID, id cobrowse.DeploymentID) (cobrowse.Deployment, error)
	SetPageRules(ctx context.Context, org conversations.OrgID, id cobrowse.DeploymentID, rules []cobrowse.PageRule) (changed bool, err error)
}

// RestrictionsStatus is where a watch stands.
type RestrictionsStatus struct {
	Rules    int       // page rules that the deployment got
	Problem  string    // why the file as it is now is not followed; "" if it is
	Warnings []string  // of the file that is followed
	LookedAt time.Time // last look; zero before the first
	ReadAt   time.Time // when the file that is followed was read; zero if none was
}

// RestrictionsWatch keeps the restrictions of a deployment equal to a file of DOM
// restrictions. A file that cannot be used changes nothing: what was read before
// stays. While none could be used since the start, everything that people type is
// masked. Its methods may be called concurrently.
type RestrictionsWatch struct {
	cfg    RestrictionsConfig
	shown  string // the source, as logs may show it
	client *http.Client

	mu       sync.Mutex // held during a look
	rules    []cobrowse.PageRule
	sum      [sha256.Size]byte // of what was read last
	sumErr   error             // what is wrong with that
	etag     string
	modified string

	statusMu sync.Mutex
	status   RestrictionsStatus
}

// NewRestrictionsWatch returns a watch that has not looked yet.
func NewRestrictionsWatch(cfg RestrictionsConfig) *RestrictionsWatch {
	w := &RestrictionsWatch{cfg: cfg, shown: cfg.Source}
	if u, ok := w.address(); ok {
		w.shown = u.Scheme + "://" + u.Host + u.Path // neither a password nor a query
		w.client = &http.Client{Transport: cfg.Transport, Timeout: restrictionsTimeout, CheckRedirect: checkRedirect}
		if cfg.Transport == nil {
			w.client.Transport = &http.Transport{
				Proxy: http.ProxyFromEnvironment, MaxIdleConns: 1, IdleConnTimeout: time.Minute, ResponseHeaderTimeout: restrictionsTimeout,
				MaxResponseHeaderBytes: 64 << 10,
			}
		}
	}
	return w
}

// address returns the source as an address, if it is one.
func (w *RestrictionsWatch) address() (*url.URL, bool) {
	u, err := url.Parse(w.cfg.Source)
	return u, err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// checkRedirect follows a few, but not from https to http.
func checkRedirect(r *http.Request, via []*http.Request) error {
	switch {
	case len(via) > restrictionsRedirects:
		return errors.New("too many redirects")
	case r.URL.Scheme != "https" && via[0].URL.Scheme == "https":
		return errors.New("the redirect leaves https")
	}
	return nil
}

// Run looks now and then, as often as it is told to, until ctx is done. Call
// [RestrictionsWatch.Look] before the first page may be shared.
func (w *RestrictionsWatch) Run(ctx context.Context) {
	ticker := time.NewTicker(w.cfg.Every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			w.Look(ctx)
		}
	}
}

// Status tells where the watch stands.
func (w *RestrictionsWatch) Status() RestrictionsStatus {
	w.statusMu.Lock()
	defer w.statusMu.Unlock()
	status := w.status
	status.Warnings = slices.Clone(status.Warnings)
	return status
}

// Look reads the source, if it has changed, and sets the deployment's restrictions.
// What goes wrong is in the status, and once in the log.
func (w *RestrictionsWatch) Look(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	status := w.Status()
	set, problem := w.look(ctx, &status)
	fallback := false
	if !set {
		var err error
		fallback, err = w.keep(ctx, &status)
		problem = cmp.Or(problem, err)
	}
	if problem != nil && ctx.Err() != nil {
		return // on the way out
	}
	before := status.Problem
	status.LookedAt, status.Problem = w.cfg.Clock.Now(), ""
	if problem != nil {
		status.Problem = problem.Error()
	}
	w.statusMu.Lock()
	w.status = status
	w.statusMu.Unlock()

	log := w.cfg.Log.With("source", w.shown, "deploymentId", w.cfg.Deployment)
	switch {
	case problem == nil && before != "":
		log.InfoContext(ctx, "the DOM restrictions can be used again")
	case problem == nil || status.Problem == before:
	case fallback:
		log.WarnContext(ctx, "no DOM restrictions could be used since the start: everything that is typed is masked", "problem", status.Problem)
	default:
		log.WarnContext(ctx, "the DOM restrictions cannot be used: those that were read before stay", "problem", status.Problem)
	}
}

// look returns why what the source says now is not what holds, and whether it has
// just been set.
func (w *RestrictionsWatch) look(ctx context.Context, status *RestrictionsStatus) (set bool, problem error) {
	file, same, err := w.read(ctx)
	if err != nil {
		return false, err
	}
	sum := sha256.Sum256(file)
	if same || sum == w.sum {
		return false, w.sumErr
	}
	parsed, err := ParseRestrictions(file)
	if err == nil {
		err = w.set(ctx, parsed.PageRules)
	}
	if _, ok := errors.AsType[notSetError](err); ok {
		w.etag, w.modified = "", "" // it is read again
		return false, err
	}
	w.sum, w.sumErr = sum, err
	if err != nil {
		return false, err
	}
	w.rules = parsed.PageRules
	status.ReadAt, status.Rules, status.Warnings = w.cfg.Clock.Now(), len(parsed.PageRules), parsed.Warnings
	w.cfg.Log.InfoContext(ctx, "DOM restrictions were read", "source", w.shown, "deploymentId", w.cfg.Deployment, "rules", status.Rules, "warnings", status.Warnings)
	return true, nil
}

// keep sets again what holds while the source says nothing new: the deployment may
// have been deleted and made anew. It reports whether that is the fallback.
func (w *RestrictionsWatch) keep(ctx context.Context, status *RestrictionsStatus) (fallback bool, err error) {
	rules := w.rules
	if fallback = status.ReadAt.IsZero(); fallback {
		d, err := w.cfg.Deployments.Deployment(ctx, w.cfg.Org, w.cfg.Deployment)
		if err != nil {
			return true, err
		}
		// What an earlier run has read stays, too.
		typed := everythingTyped()
		rules = slices.DeleteFunc(slices.Clone(d.Restrictions), func(r cobrowse.PageRule) bool { return slices.Equal(r.MaskSelectors, typed.MaskSelectors) })
		rules = append(rules, typed)
	}
	if err := w.set(ctx, rules); err != nil {
		return fallback, err
	}
	status.Rules = len(rules)
	return fallback, nil
}

// notSetError is a failure to set rules that says nothing of the file.
type notSetError struct{ error }

func (e notSetError) Unwrap() error { return e.error }

func (w *RestrictionsWatch) set(ctx context.Context, rules []cobrowse.PageRule) error {
	_, err := w.cfg.Deployments.SetPageRules(ctx, w.cfg.Org, w.cfg.Deployment, rules)
	if e, ok := errors.AsType[*cobridge.Error](err); ok && e.Code == cobridge.CodeConstraintValidation {
		var what []string
		for _, d := range e.Details {
			what = append(what, d.FieldName+" ("+d.ErrorCode+")")
		}
		return fmt.Errorf("the deployment does not take its rules: %s", strings.Join(what, ", "))
	}
	if err != nil {
		return notSetError{err}
	}
	return nil
}

// everythingTyped masks all that people can type into, on every page: what holds
// while nobody knows what the file says.
func everythingTyped() cobrowse.PageRule {
	return cobrowse.PageRule{URLPattern: everyPage, MaskSelectors: []string{"input", "textarea", "select", "[contenteditable]"}}
}

// read returns what the source has, or that it is what it was.
func (w *RestrictionsWatch) read(ctx context.Context) (file []byte, same bool, err error) {
	if u, ok := w.address(); ok {
		return w.fetch(ctx, u)
	}
	// What is not a file may block for ever, or never end.
	if info, err := os.Stat(w.cfg.Source); err != nil {
		return nil, false, plain(err)
	} else if !info.Mode().IsRegular() {
		return nil, false, errors.New("it is not a file")
	}
	f, err := os.Open(w.cfg.Source)
	if err != nil {
		return nil, false, plain(err)
	}
	defer func() { _ = f.Close() }() // it was read only
	file, err = readBounded(f)
	return file, false, err
}

func (w *RestrictionsWatch) fetch(ctx context.Context, u *url.URL) (file []byte, same bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, false, errors.New("the address is not one")
	}
	req.Header.Set("Accept", "application/xml, text/xml, */*;q=0.5")
	if w.etag != "" {
		req.Header.Set("If-None-Match", w.etag)
	}
	if w.modified != "" {
		req.Header.Set("If-Modified-Since", w.modified)
	}
	answer, err := w.client.Do(req)
	if err != nil {
		return nil, false, plain(err)
	}
	defer func() { _ = answer.Body.Close() }() // it was read only
	switch {
	case answer.StatusCode == http.StatusNotModified && (w.etag != "" || w.modified != ""):
		return nil, true, nil
	case answer.StatusCode != http.StatusOK:
		return nil, false, fmt.Errorf("the server answers %d", answer.StatusCode)
	}
	if file, err = readBounded(answer.Body); err != nil {
		return nil, false, err
	}
	w.etag, w.modified = answer.Header.Get("ETag"), answer.Header.Get("Last-Modified")
	return file, false, nil
}

func readBounded(r io.Reader) ([]byte, error) {
	file, err := io.ReadAll(io.LimitReader(r, maxRestrictions+1))
	switch {
	case err != nil:
		return nil, plain(err)
	case len(file) > maxRestrictions:
		return nil, fmt.Errorf("the file has more than %d bytes", maxRestrictions)
	}
	return file, nil
}

// plain takes the address out of an error, which may have a password in it, and the
// path, which is in the log anyway.
func plain(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return errors.New(strings.ToLower(e.Op[:1]) + e.Op[1:] + ": " + e.Err.Error())
	}
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return fmt.Errorf("%s: %w", e.Op, e.Err)
	}
	return err
}
