package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/api"
	"github.com/cobridge/cobridge/bridge/cluster"
	"github.com/cobridge/cobridge/bridge/cluster/tunnel"
	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/bridge/gcb"
	"github.com/cobridge/cobridge/bridge/knowledge"
	"github.com/cobridge/cobridge/bridge/legacy"
	"github.com/cobridge/cobridge/bridge/limit"
	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/bridge/notify/socket"
	"github.com/cobridge/cobridge/bridge/pages"
	"github.com/cobridge/cobridge/bridge/stream"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/conversations/genesys"
	"github.com/cobridge/cobridge/oauth"
)

// Options are what the process gives its application.
type Options struct {
	Log     *slog.Logger   // required
	Clock   cobridge.Clock // judges every expiry; required
	Version string         // of the binary, for /version; may be empty
	Commit  string

	// VolatileStore gives up that what was acknowledged survives a crash. It is for
	// applications in tests, over an embedded store that is thrown away: see bolt.Config.
	VolatileStore bool
	// WebhookTransport carries what webhooks are told, in place of one that looks at each
	// address before it connects. It is for tests; nil = that one.
	WebhookTransport http.RoundTripper

	IDs IDs // of test doubles; nil = names are random, as they must be elsewhere
}

// App is the service, built and seeded. Its methods may be called concurrently,
// except Close, which is called once and last.
type App struct {
	cfg     config.Config
	log     *slog.Logger
	clock   cobridge.Clock
	baseURL string

	store        store
	oauth        *oauth.Service
	local        *conversations.Local    // organisations of the configuration, and what is kept here
	directory    conversations.Directory // local, unless conversations of an organisation are elsewhere
	cloud        *genesys.Directory      // nil unless they are
	cobrowse     *cobrowse.Service
	notify       *notify.Service
	sockets      *socket.Server // of notification channels
	webhooks     *notify.Webhooks
	webhookIdle  func()                    // ends connections that rest; nil if they are somebody else's
	told         *progress                 // of storing what webhooks are to be told
	feed         *api.Feed                 // of them
	deaf         func()                    // ends that notify hears of revoked tokens
	knowledge    *knowledge.Service        // nil unless Knowledge Center sessions are offered
	channels     *legacy.Channels          // nil unless Co-browse is offered
	restrictions *legacy.RestrictionsWatch // nil without a file of them
	upstream     *gcb.Client               // nil unless there is an old server
	hub          *stream.Hub
	node         *cluster.Node   // nil unless several processes may serve the store
	tunnels      *tunnel.Tunnels // to rooms of other processes; nil like node
	untold       chan news       // to other processes
	attached     *progress       // of writing attached data
	counted      func(context.Context, cobrowse.Event) error
	web          web.Config
	fiber        *fiber.App
	admin        *fiber.App  // nil unless there is a separate admin address
	resting      memoryConns // of Transport
	metrics      *metrics
	backingUp    sync.Mutex // held while a backup is made and fetched
	diskFree     func(dir string) (free int64, known bool)
	ready        atomic.Bool
	begun        chan struct{} // closed when it is ready for the first time
	begin        func()
}

// Open builds the application over its store and seeds it; it opens no socket.
// The configuration has been validated. Close must be called on success.
func Open(ctx context.Context, cfg config.Config, o Options) (*App, error) {
	cfg = cfg.At(cfg.Listen)
	if cfg.Demo {
		cfg = cfg.WithDemoSites()
	}
	a := &App{cfg: cfg, log: slog.New(web.NewLogHandler(o.Log.Handler())), clock: o.Clock, baseURL: cfg.BaseURL, begun: make(chan struct{}), diskFree: diskFree}
	a.begin = sync.OnceFunc(func() { close(a.begun) })
	a.metrics = newMetrics(o.Version)
	store, err := a.openStore(ctx, cfg, o)
	if err != nil {
		return nil, err
	}
	a.store, a.attached = store, newProgress(store.LastEvent())
	if err := a.build(ctx, o); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return a, nil
}

// build puts together what stands on the store, from the domains up.
func (a *App) build(ctx context.Context, o Options) error {
	issuer := a.cfg.OAuth.Issuer
	var err error
	a.oauth, err = oauth.New(ctx, oauth.Config{
		Store: a.store, Clock: a.clock, Issuer: issuer, Audience: issuer, Algorithm: oauth.Algorithm(a.cfg.OAuth.SigningAlgorithm),
	})
	if err != nil {
		return fmt.Errorf("start oauth: %w", err)
	}
	if err := a.openDirectory(o); err != nil {
		return fmt.Errorf("open directory: %w", err)
	}
	joinKey, err := a.store.Secret(ctx, "join-token-key", []byte(uuid.NewString()+uuid.NewString())) // 244 random bits
	if err != nil {
		return fmt.Errorf("read the key of join tokens: %w", err)
	}
	remote, err := a.openUpstream(o.Version)
	if err != nil {
		return err
	}
	if err := a.openNodes(ctx); err != nil {
		return err
	}
	a.cobrowse = cobrowse.New(cobrowse.Config{
		Remote: remote, RemoteOrg: a.legacyOrg(), RemoteImport: a.cfg.Legacy.Upstream.Import,
		Store: a.store, Index: a.store, Deployments: a.store, Directory: a.directory, Clock: a.clock, Log: a.log, IDs: o.IDs, Node: a.nodeName(),
		Tokens: cobrowse.NewJoinTokens(joinKey, issuer, a.cfg.Join.TokenLifetime, a.clock),
		Rules: cobrowse.Rules{
			DefaultTimeout: a.cfg.Session.DefaultTimeout, NeverJoined: a.cfg.Session.NeverJoined, Grace: a.cfg.Session.Grace,
			MaxDuration: a.cfg.Session.MaxDuration, Retention: a.cfg.Retention.History,
			OneSessionPerAgent: a.cfg.Session.OneSessionPerAgent, MaxViewers: a.cfg.Session.MaxViewers,
		},
	})
	if err := a.recover(ctx); err != nil {
		return fmt.Errorf("recover sessions: %w", err)
	}
	if err := a.seed(ctx, a.cfg.Organisations); err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	a.restrict(ctx)
	a.openNotifications(o)
	if err := a.openWebhooks(ctx, o); err != nil {
		return err
	}
	return a.mount(o) //nolint:contextcheck // an error handler has the context of its request
}

// mount builds the HTTP side.
func (a *App) mount(o Options) error {
	trusted := make([]netip.Prefix, len(a.cfg.TrustedProxies))
	for i, text := range a.cfg.TrustedProxies {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return fmt.Errorf("trusted proxy: %w", err)
		}
		trusted[i] = prefix
	}
	viewer := a.viewerURL()
	cookie, err := web.NewResumeCookie(viewer)
	if err != nil {
		return fmt.Errorf("viewer base URL: %w", err)
	}
	a.web = web.Config{
		Log: a.log, Clock: a.clock, NoHSTS: a.cfg.TLS.SelfSigned || !a.cfg.TLS.HSTS, TrustedProxies: trusted, Observe: a.metrics.answered, Concurrency: a.cfg.Limits.Connections, BodyLimit: a.cfg.Limits.BodyBytes,
		Dialects: append(a.legacyDialects(), api.OAuthDialect(a.cfg.OAuth.InvalidClientStatus)), NewContextID: o.newIDs("correlation"),
		Relayed: a.relayed(),
	}
	a.fiber = web.NewApp(a.web)
	a.hub = stream.New(stream.Config{
		Service: a.cobrowse, Events: a.store, Deployments: a.store, Clock: a.clock, Wall: wall, Log: a.log,
		OwnOrigins: origins(a.baseURL, viewer), Cookie: cookie, Grace: a.cfg.Session.Grace, Limits: streamLimits(a.cfg.Limits), Metrics: a.metrics.stream(), Rooms: a.rooms(),
	})
	p, err := pages.New(pages.Config{Service: a.cobrowse, Deployments: a.store, ViewerBaseURL: a.cfg.ViewerBaseURL, Clock: a.clock, Log: a.log})
	if err != nil {
		return fmt.Errorf("load pages: %w", err)
	}
	a.fiber.Use(p.Guard(a.baseURL)) // before any route: the viewer's origin has only what viewers need
	texts, err := scriptTexts()
	if err != nil {
		return err
	}
	deps := api.Deps{
		OAuth: a.oauth, Sessions: a.cobrowse, Deployments: a.store, Directory: a.directory, Organisations: a.local,
		Notifications: a.notify, Webhooks: a.webhooks, BaseURL: a.baseURL, ViewerBaseURL: a.cfg.ViewerBaseURL, Cookie: cookie, SDKTexts: texts, Limits: a.limits(), Version: o.Version, Commit: o.Commit, NewContextID: o.newIDs("notice"),
		Checks: []api.Check{{Name: "lifecycle", Run: a.isReady}, {Name: "store", Run: a.store.Ping}},
	}
	if a.node != nil {
		a.node.OnLost(a.hub.GiveUp)
		a.node.OnParted(a.tunnels.Parted)
		deps.Checks = append(deps.Checks, api.Check{Name: "nodes", Run: a.node.Check})
	}
	if a.cloud == nil {
		deps.Conversations = a.local
	}
	if a.cfg.Demo { // before other routes: the shop's origin has its own pages alone
		if err := p.MountDemo(a.fiber, pages.DemoConfig{
			BaseURL: a.baseURL, ShopURL: a.cfg.DemoShopOrigin(), ShopDeployment: config.DemoShopDeploymentID, DeskDeployment: config.DemoDeskDeploymentID,
		}); err != nil {
			return fmt.Errorf("load pages of the demo: %w", err)
		}
	}
	operations := a.fiber
	if a.cfg.AdminListen != "" {
		a.admin = web.NewApp(web.Config{Log: a.log, Clock: a.clock})
		operations, deps.ProbesApart = a.admin, true
		api.MountProbes(a.admin, deps)
	}
	a.counted = a.metrics.sessions()
	a.metrics.saturation(a)
	operations.Get("/metrics", a.metrics.handler(a.store, a.hub.Pictures))
	if a.admin != nil {
		a.mountAdmin()
	}
	api.Mount(a.fiber, deps)
	a.hub.Mount(a.fiber)
	a.mountNotifications(deps, deps.Limits.Address)
	if err := a.mountLegacy(deps.Limits, p); err != nil {
		return err
	}
	p.Mount(a.fiber)
	if err := a.mountKnowledge(deps.Limits, o); err != nil {
		return err
	}
	if a.cfg.Demo {
		a.mountDemo()
	}
	return nil
}

// limits builds the rate limits of the API. Guesses at join and session tokens
// are limited even where the demo limits nothing else.
func (a *App) limits() api.Limits {
	calls := func(name string, perMinute int) *limit.Limiter {
		return limit.New(limit.Config{Name: name, PerMinute: perMinute, Clock: a.clock})
	}
	guesses := func(name string, perMinute int) *limit.Guess {
		return limit.NewGuess(limit.Config{Name: name, PerMinute: perMinute, Clock: a.clock})
	}
	l := a.cfg.Limits
	return api.Limits{
		Address: calls("address:", l.AddressPerMinute), Token: calls("token:", l.TokenPerMinute),
		Starts:      calls("start:", l.StartsPerMinute),
		Credentials: guesses("credentials:", l.FailedLoginsPerMinute),
		JoinTokens:  guesses("join:", joinGuessesPerMinute),
		SessionTokens: limit.NewScan(limit.ScanConfig{
			Name: "digits:", Each: digitGuessesPerMinute, Strangers: strangerGuessesPerMinute, Acquaintances: acquaintanceGuessesPerMinute, Clock: a.clock,
		}),
	}
}

// streamLimits returns the limits of streams that can be configured. There 0 means
// the default; here no limit, which is one that nobody reaches.
func streamLimits(l config.Limits) stream.Limits {
	const endless = 1 << 40
	frames, size := float64(l.PageFramesPerSecond), float64(l.PageBytesPerSecond)
	if frames == 0 {
		frames = endless
	}
	if size == 0 {
		size = endless
	}
	return stream.Limits{
		SocketsPerNetwork: l.StreamsPerAddress,
		// What a page does while it loads, and two full frames.
		EvPerSecond: frames, EvBurst: int(4 * frames), EvBytesPerSecond: size, EvBytesBurst: int(8 * size),
	}
}

const (
	// 256-bit signatures need no limit against guessing; this bounds the work.
	joinGuessesPerMinute = 120
	// Agents mistype, and a contact centre is behind one address. What that means to
	// somebody who tries numbers stands in docs/security.md.
	digitGuessesPerMinute        = 10
	strangerGuessesPerMinute     = 20
	acquaintanceGuessesPerMinute = 60
)

func (a *App) isReady(context.Context) error {
	if !a.ready.Load() {
		return errors.New("starting or stopping")
	}
	return nil
}

// origins returns the origins of addresses, each once.
func origins(addresses ...string) []string {
	var list []string
	for _, address := range addresses {
		u, err := url.Parse(address)
		if err != nil || u.Host == "" {
			continue
		}
		if origin := u.Scheme + "://" + strings.ToLower(u.Host); len(list) == 0 || list[0] != origin {
			list = append(list, origin)
		}
	}
	return list
}

// viewerURL is where viewers' pages are.
func (a *App) viewerURL() string {
	if a.cfg.ViewerBaseURL == "" {
		return a.baseURL
	}
	return a.cfg.ViewerBaseURL
}

// BaseURL returns the public base URL without a slash at the end.
func (a *App) BaseURL() string { return a.baseURL }

// OAuth returns the authorisation server.
func (a *App) OAuth() *oauth.Service { return a.oauth }

// Cobrowse returns the rules of sessions.
func (a *App) Cobrowse() *cobrowse.Service { return a.cobrowse }

// Directory returns the local directory.
func (a *App) Directory() *conversations.Local { return a.local }

// Routes returns every route of the main listener as "METHOD /path/{parameter}".
func (a *App) Routes() []string {
	var routes []string
	for _, r := range a.fiber.GetRoutes(true) { // without middleware
		segments := strings.Split(r.Path, "/")
		for i, segment := range segments {
			if name, ok := strings.CutPrefix(segment, ":"); ok {
				segments[i] = "{" + name + "}"
			}
		}
		routes = append(routes, r.Method+" "+strings.Join(segments, "/"))
	}
	return routes
}

var _ io.Closer = (*App)(nil)

// Close closes the store. Everything that uses the application has stopped.
func (a *App) Close() error {
	a.resting.end()
	a.deaf()
	if a.webhookIdle != nil {
		a.webhookIdle()
	}
	if a.upstream != nil {
		a.upstream.Close()
	}
	if a.cloud != nil {
		a.cloud.Close()
	}
	return a.store.Close()
}
