package oauth_test

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/oauth"
)

var _ oauth.Store = (*memStore)(nil)

var t0 = time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)

// memStore keeps everything in maps, with one lock around each call. What goes in has
// been through JSON, as in a real engine.
type memStore struct {
	mu          sync.Mutex
	clients     map[string]oauth.Client
	keys        map[string]oauth.Key
	revocations map[string]time.Time
	fail        error // every call fails with it
	keyReads    atomic.Int64
	updateTwice bool // run the function of UpdateClient twice, as optimistic engines may
}

func newMemStore() *memStore {
	return &memStore{clients: map[string]oauth.Client{}, keys: map[string]oauth.Key{}, revocations: map[string]time.Time{}}
}

func throughJSON[T any](v T) T {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	var out T
	if err := json.Unmarshal(data, &out); err != nil {
		panic(err)
	}
	return out
}

func notFound() error {
	return &cobridge.Error{Code: cobridge.CodeNotFound, Message: "There is no such client."}
}

func conflict() error {
	return &cobridge.Error{Code: cobridge.CodeConflict, Message: "The id is taken."}
}

func (m *memStore) setFail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

func (m *memStore) Client(_ context.Context, id string) (oauth.Client, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.clients[id]
	switch {
	case m.fail != nil:
		return oauth.Client{}, m.fail
	case !ok:
		return oauth.Client{}, notFound()
	}
	return c, nil
}

func (m *memStore) Clients(_ context.Context, orgID string) ([]oauth.Client, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []oauth.Client
	for _, c := range m.clients {
		if orgID == "" || c.OrgID == orgID {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b oauth.Client) int { return cmp.Compare(a.ID, b.ID) })
	return out, m.fail
}

func (m *memStore) CreateClient(_ context.Context, c oauth.Client) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	if _, ok := m.clients[c.ID]; ok {
		return conflict()
	}
	m.clients[c.ID] = throughJSON(c)
	return nil
}

func (m *memStore) UpdateClient(_ context.Context, id string, fn func(*oauth.Client) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.clients[id]
	switch {
	case m.fail != nil:
		return m.fail
	case !ok:
		return notFound()
	}
	if m.updateTwice {
		lost := throughJSON(c)
		if err := fn(&lost); err != nil {
			return err
		}
	}
	c = throughJSON(c)
	if err := fn(&c); err != nil {
		return err
	}
	m.clients[id] = throughJSON(c)
	return nil
}

func (m *memStore) DeleteClient(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	if _, ok := m.clients[id]; !ok {
		return notFound()
	}
	delete(m.clients, id)
	return nil
}

func (m *memStore) Keys(context.Context) ([]oauth.Key, error) {
	m.keyReads.Add(1)
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.keys)), m.fail
}

func (m *memStore) AddKey(_ context.Context, k oauth.Key) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	if _, ok := m.keys[k.ID]; ok {
		return conflict()
	}
	m.keys[k.ID] = throughJSON(k)
	return nil
}

func (m *memStore) DeleteKeys(_ context.Context, ids ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		delete(m.keys, id)
	}
	return m.fail
}

func (m *memStore) Revoke(_ context.Context, jti string, until time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	if until.After(m.revocations[jti]) {
		m.revocations[jti] = until
	}
	return nil
}

func (m *memStore) Revoked(_ context.Context, jti string, at time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.revocations[jti].After(at), m.fail
}

func (m *memStore) PurgeRevocations(_ context.Context, before time.Time, limit int) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for jti, until := range m.revocations {
		if n < limit && !until.After(before) {
			delete(m.revocations, jti)
			n++
		}
	}
	return n, m.fail
}

func (m *memStore) revocationCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.revocations)
}

// fakeClock stands still until it is moved.
type fakeClock struct{ milli atomic.Int64 }

func (c *fakeClock) now() time.Time          { return time.UnixMilli(c.milli.Load()) }
func (c *fakeClock) set(t time.Time)         { c.milli.Store(t.UnixMilli()) }
func (c *fakeClock) advance(d time.Duration) { c.milli.Add(d.Milliseconds()) }

const (
	orgA   = "0a3f63a4-8f1b-4d0f-9d3e-3c1a3f0b5a01"
	orgB   = "0b3f63a4-8f1b-4d0f-9d3e-3c1a3f0b5a02"
	issuer = "https://login.example.test"
	aud    = "https://api.example.test"
)

// world is a Service on an empty store, at t0.
type world struct {
	*oauth.Service

	store *memStore
	clock *fakeClock
}

func newWorld(t testing.TB, algorithm oauth.Algorithm) world {
	t.Helper()
	w := world{store: newMemStore(), clock: &fakeClock{}}
	w.clock.set(t0)
	w.Service = w.another(t, algorithm)
	return w
}

// another starts one more Service on the same store.
func (w world) another(t testing.TB, algorithm oauth.Algorithm) *oauth.Service {
	t.Helper()
	svc, err := oauth.New(t.Context(), oauth.Config{
		Store: w.store, Clock: w.clock.now, Issuer: issuer, Audience: aud, Algorithm: algorithm,
	})
	if err != nil {
		t.Fatalf("New = %v", err)
	}
	return svc
}

// client makes a client of an organisation, and returns its id and secret.
func (w world) client(t testing.TB, orgID string, scopes ...oauth.Scope) (id, secret string) {
	t.Helper()
	spec := oauth.ClientSpec{OrgID: orgID, Name: "Integration"}
	for _, s := range scopes {
		spec.Scopes = append(spec.Scopes, string(s))
	}
	c, secret, err := w.CreateClient(t.Context(), spec)
	if err != nil {
		t.Fatalf("CreateClient = %v", err)
	}
	return c.ID, secret
}

// token gets an access token for a client.
func token(t testing.TB, svc *oauth.Service, id, secret string) oauth.AccessToken {
	t.Helper()
	got, err := svc.Grant(t.Context(), oauth.GrantRequest{ClientID: id, ClientSecret: secret, GrantType: oauth.GrantTypeClientCredentials})
	if err != nil {
		t.Fatalf("Grant = %v", err)
	}
	return got
}

// mustVerify fails the test unless raw is good.
func mustVerify(t testing.TB, svc *oauth.Service, raw string) oauth.Principal {
	t.Helper()
	p, err := svc.Verify(t.Context(), raw)
	if err != nil {
		t.Fatalf("Verify = %v, want a principal", err)
	}
	return p
}

// mustRefuse fails the test unless raw is bad credentials.
func mustRefuse(t testing.TB, svc *oauth.Service, raw string) {
	t.Helper()
	p, err := svc.Verify(t.Context(), raw)
	if got := cobridge.CodeOf(err); got != cobridge.CodeBadCredentials {
		t.Fatalf("Verify = %+v, %v, want %s", p, err, cobridge.CodeBadCredentials)
	}
}
