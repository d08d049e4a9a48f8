package web

import (
	"cmp"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/cobridge/cobridge"
)

// Config is what [NewApp] is told. Log and Clock are required; a zero elsewhere
// means the default in limits.go.
type Config struct {
	Log            *slog.Logger // contextId is added here; it need not be a [LogHandler]
	Clock          cobridge.Clock
	Dialects       []Dialect      // of paths that do not speak of errors as Genesys Cloud does
	TrustedProxies []netip.Prefix // whose X-Forwarded-For and -Proto are believed; none by default
	Observe        ObserveFunc    // for metrics; may be nil
	// NoHSTS keeps Strict-Transport-Security from being sent: with a self-signed
	// certificate for localhost it would force TLS on every other service there.
	NoHSTS bool

	Relayed RelayedFunc // of requests that another process sends on; nil = there is none

	NewContextID func() string // of requests that bring no correlation id; nil = random UUIDs

	ReadTimeout    time.Duration // for one request, head and body; 15 s
	WriteTimeout   time.Duration // for one answer; 30 s
	IdleTimeout    time.Duration // between two requests of a connection; 100 s
	RequestTimeout time.Duration // of the context a handler gets; 9 s
	BodyLimit      int           // bytes, for every route; 256 KiB
	ReadBufferSize int           // bytes, the largest head; 8 KiB
	Concurrency    int           // connections at a time; 20000
}

// NewApp returns an application with the server's settings, the error handler
// and the middleware of [Use]. Routes are added by the caller, who also listens:
// with app.Listener, so that there is never a second process (Fiber's prefork).
// Connections past Config.Concurrency are refused with a bare 503 before anything
// is read from them.
func NewApp(cfg Config) *fiber.App {
	cfg.Log = slog.New(NewLogHandler(cfg.Log.Handler()))
	app := fiber.New(fiber.Config{
		AppName:      "cobridge",
		ErrorHandler: ErrorHandler(cfg.Log, cfg.Dialects...),

		// Strings from a Ctx would otherwise change when the next request comes.
		Immutable:     true,
		CaseSensitive: true,
		// Old clients put a slash at the end; it names the same thing.
		StrictRouting: false,

		ReadTimeout:    cmp.Or(cfg.ReadTimeout, defaultReadTimeout),
		WriteTimeout:   cmp.Or(cfg.WriteTimeout, defaultWriteTimeout),
		IdleTimeout:    cmp.Or(cfg.IdleTimeout, defaultIdleTimeout),
		BodyLimit:      cmp.Or(cfg.BodyLimit, defaultBodyLimit),
		ReadBufferSize: cmp.Or(cfg.ReadBufferSize, defaultReadBufferSize),
		Concurrency:    cmp.Or(cfg.Concurrency, defaultConcurrency),

		// With the check on and nobody trusted, Fiber itself believes no X-Forwarded
		// header at all; ClientAddress does it properly.
		EnableTrustedProxyCheck: true,
		// Nothing here takes multipart bodies, which would be unpacked, partly to disk, before any handler runs.
		DisablePreParseMultipartForm: true,
		DisableStartupMessage:        true,
	})
	harden(app, cfg)
	Use(app, cfg)
	return app
}

// Use adds the middleware to app, in the order in which a request meets it. The
// first three only watch: they read no body, and see every answer that the later
// ones or a route give.
func Use(app *fiber.App, cfg Config) {
	app.Use(
		Correlate(cfg.NewContextID), // first, so that every later line and answer has the id
		Observe(cfg.Log, cfg.Clock, cfg.Observe),
		Recover(),
		RefuseSmuggling(), // before anything that looks at the request
		ClientAddress(cfg.TrustedProxies),
	)
	if cfg.Relayed != nil {
		app.Use(FromNode(cfg.Relayed))
	}
	app.Use(
		SecurityHeaders(cfg.NoHSTS), // after ClientAddress, which knows whether a proxy speaks TLS
		Deadline(cmp.Or(cfg.RequestTimeout, defaultRequestTimeout)),
	)
}

// harden changes what Fiber has no setting for.
func harden(app *fiber.App, cfg Config) {
	server := app.Server()
	// A write to a WebSocket after its handler returned then fails, instead of
	// reaching the next client of a connection that was taken back.
	server.KeepHijackedConns = true
	// Keeps the head of the request out of the texts of parse errors.
	server.SecureErrorLogMessage = true
	// Answers during a shutdown say that the connection ends.
	server.CloseOnShutdown = true

	observe := func(route, method string, status int) {
		if cfg.Observe != nil {
			cfg.Observe(route, method, status, 0)
		}
	}
	// Fiber's own sorts errors by their text, which a caller can write into.
	server.ErrorHandler = func(ctx *fasthttp.RequestCtx, err error) {
		failAlone(app, cfg.Log, ctx, parseFailure(err))
		observe(RouteUnreadable, "", ctx.Response.StatusCode())
	}
	serve := server.Handler
	server.Handler = func(ctx *fasthttp.RequestCtx) {
		if !slices.Contains(fiber.DefaultMethods, string(ctx.Method())) {
			// Fiber would answer in plain text. RFC 9110, section 15.5.6, wants the list.
			ctx.Response.Header.Set(fiber.HeaderAllow, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
			ctx.SetConnectionClose()
			failAlone(app, cfg.Log, ctx, &cobridge.Error{Code: cobridge.CodeMethodNotAllowed})
			observe(RouteUnmatched, "", ctx.Response.StatusCode())
			return
		}
		// The last net: a panic that gets past here ends the process.
		defer func() {
			if value := recover(); value != nil {
				ctx.Response.Reset()
				ctx.SetConnectionClose()
				failAlone(app, cfg.Log, ctx, newPanicError(value))
				observe(RouteUnmatched, "", ctx.Response.StatusCode())
			}
		}()
		serve(ctx)
	}
}

// failAlone answers a request that never reaches the middleware. A panic of a
// dialect ends here as well.
func failAlone(app *fiber.App, log *slog.Logger, ctx *fasthttp.RequestCtx, failure error) {
	c := app.AcquireCtx(ctx)
	defer app.ReleaseCtx(c)
	defer func() {
		if value := recover(); value != nil {
			log.ErrorContext(c.UserContext(), "error answer failed", "err", newPanicError(value))
			ctx.Response.ResetBody()
			ctx.SetStatusCode(fiber.StatusInternalServerError)
		}
	}()
	if err := app.ErrorHandler(c, failure); err != nil {
		log.ErrorContext(c.UserContext(), "error answer failed", "err", err)
		ctx.SetStatusCode(fiber.StatusInternalServerError)
	}
}

// parseFailure names what went wrong while a request was read. The cause is
// dropped: its text may hold what the caller sent.
func parseFailure(err error) error {
	code := cobridge.CodeBadRequest
	if _, ok := errors.AsType[*fasthttp.ErrSmallBuffer](err); ok {
		code = cobridge.CodeHeaderTooLarge
	} else if errors.Is(err, fasthttp.ErrBodyTooLarge) {
		code = cobridge.CodeTooLarge
	} else if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		code = cobridge.CodeClientTimeout
	}
	return &cobridge.Error{Code: code}
}
