package socket

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/bridge/web"
)

// Channels is the part of *notify.Service that is called here.
type Channels interface {
	Open(ctx context.Context, id notify.ChannelID) (*notify.Line, error)
}

// Config is what a Server is built from. Channels, Clock and Log are required.
type Config struct {
	Channels Channels
	Clock    cobridge.Clock // of socket deadlines: it runs at the speed of the world
	Log      *slog.Logger
	// Allow is asked before anything else, for the caller's network; nil = everybody may.
	Allow  func(ctx context.Context, network string) error
	Limits Limits // zero = defaults
}

// Server holds the open connections of this process.
type Server struct {
	cfg      Config
	limits   Limits
	upgrader websocket.FastHTTPUpgrader

	handlers sync.WaitGroup // one for each connection

	mu       sync.Mutex
	draining bool
	links    map[*link]struct{}
}

// New returns a Server. Connections come through [Server.Mount].
func New(cfg Config) *Server {
	s := &Server{cfg: cfg, limits: cfg.Limits.withDefaults(), links: map[*link]struct{}{}}
	s.upgrader = websocket.FastHTTPUpgrader{
		HandshakeTimeout: s.limits.Write, ReadBufferSize: readBuffer, WriteBufferSize: writeBuffer, WriteBufferPool: &sync.Pool{},
	}
	s.upgrader.CheckOrigin = anyOrigin
	return s
}

// anyOrigin lets pages of any site connect: what lets in is the address, and nothing
// that a browser would add by itself.
func anyOrigin[T any](T) bool { return true }

// Path is where channels are connected to, below the public address; its parameter is
// the channel's id.
const Path = "/channels/:channelId"

// Mount adds the route to the root of an application.
func (s *Server) Mount(router fiber.Router) {
	router.Add(fiber.MethodGet, Path, s.open) // and not Get, which would bring HEAD along
}

// open answers GET /channels/{channelId}. What can be refused before the upgrade is an
// HTTP answer.
func (s *Server) open(c *fiber.Ctx) error {
	ctx := c.UserContext()
	if s.cfg.Allow != nil {
		if err := s.cfg.Allow(ctx, web.ClientNetwork(c)); err != nil {
			return err
		}
	}
	if err := checkHandshake(c); err != nil {
		return err
	}
	if err := s.room(); err != nil {
		return err
	}
	line, err := s.cfg.Channels.Open(ctx, notify.ChannelID(strings.Clone(c.Params("channelId"))))
	if err != nil {
		return err
	}
	// From here on the line must end, and does so by itself if the answer cannot be
	// written: then the handler is never called.
	started := &sync.Once{}
	watchdog := time.AfterFunc(2*s.limits.Write, func() { started.Do(line.Close) })
	err = s.upgrader.Upgrade(c.Context(), func(ws *websocket.Conn) {
		mine := false
		started.Do(func() { mine = true })
		watchdog.Stop()
		if !mine {
			_ = ws.Close() // it came so late that it was given up
			return
		}
		s.serve(ws, line)
	})
	if err != nil {
		watchdog.Stop()
		line.Close()
		return &cobridge.Error{Code: cobridge.CodeBadRequest, Message: "This is not a WebSocket handshake.", Err: err}
	}
	return nil
}

// room refuses a connection where there are too many, or the service is about to stop.
func (s *Server) room() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.draining:
		return &cobridge.Error{Code: cobridge.CodeUnavailable, Message: "The service is about to stop."}
	case len(s.links) >= s.limits.Sockets:
		return &cobridge.Error{Code: cobridge.CodeUnavailable, Message: "Too many notification channels are connected."}
	}
	return nil
}

// checkHandshake finds what the upgrader would refuse, before another connection makes
// way for this one.
func checkHandshake(c *fiber.Ctx) error {
	key, err := base64.StdEncoding.DecodeString(c.Get("Sec-WebSocket-Key"))
	switch {
	case !websocket.FastHTTPIsWebSocketUpgrade(c.Context()) || err != nil || len(key) != 16:
		c.Set(fiber.HeaderUpgrade, "websocket")
		return &cobridge.Error{Code: cobridge.CodeBadRequest, Message: "This address speaks WebSocket only."}
	case c.Get("Sec-WebSocket-Version") != "13":
		c.Set("Sec-WebSocket-Version", "13")
		return &cobridge.Error{Code: cobridge.CodeBadRequest, Message: "This version of WebSocket is not supported; it must be 13."}
	}
	return nil
}

// Shutdown tells every client that its connection is about to close, closes those that
// are still there a moment later, and waits until their handlers have ended. When ctx
// ends first, the connections are cut and its error is returned. New connections are
// refused from the start.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.draining = true
	links := make([]*link, 0, len(s.links))
	for l := range s.links {
		links = append(links, l)
	}
	s.mu.Unlock()
	for _, l := range links {
		l.leave()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.handlers.Wait()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		for _, l := range links {
			_ = l.ws.Close()
		}
		return fmt.Errorf("close notification channels: %w", ctx.Err())
	}
}

// add counts a connection, and reports whether it came too late.
func (s *Server) add(l *link) (late bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return true
	}
	s.links[l] = struct{}{}
	s.handlers.Add(1)
	return false
}

func (s *Server) remove(l *link) {
	s.mu.Lock()
	delete(s.links, l)
	s.mu.Unlock()
	s.handlers.Done()
}
