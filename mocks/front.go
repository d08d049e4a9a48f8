package mocks

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
)

// forwarded are headers that a caller may try to lie with. The service decides what it
// believes, so they arrive there as they were sent.
func forwarded() []string {
	return []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"}
}

// newProxy hands requests to the current double.
func (s *Server) newProxy() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host, p.Out.URL.RawQuery = "http", p.In.Host, p.In.URL.RawQuery
			for _, name := range forwarded() {
				if values, ok := p.In.Header[name]; ok {
					p.Out.Header[name] = values
				}
			}
		},
		Transport: viaDouble{s},
		// Spelled as the service spells it: names are equal in any case, but people
		// search for this one.
		ModifyResponse: func(resp *http.Response) error {
			if protocols, ok := resp.Header[keptUpgrade]; ok {
				delete(resp.Header, keptUpgrade)
				resp.Header["Upgrade"] = protocols
			}
			if id, ok := resp.Header["Inin-Correlation-Id"]; ok {
				delete(resp.Header, "Inin-Correlation-Id")
				resp.Header["ININ-Correlation-Id"] = id
			}
			return nil
		},
		BufferPool:    &buffers{},
		FlushInterval: -1, // so that half a body arrives before its end does not
		ErrorHandler:  s.failed,
		ErrorLog:      slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// buffers are what answers are copied with: without a pool each would take 32 KiB.
type buffers struct{ pool sync.Pool }

// copyBuffer holds most answers whole.
const copyBuffer = 8 << 10

// Get implements [httputil.BufferPool].
func (b *buffers) Get() []byte {
	if buffer, ok := b.pool.Get().(*[]byte); ok {
		return *buffer
	}
	return make([]byte, copyBuffer)
}

// Put implements [httputil.BufferPool].
func (b *buffers) Put(buffer []byte) { b.pool.Put(&buffer) }

// viaDouble is the way to the current double.
type viaDouble struct{ server *Server }

func (v viaDouble) RoundTrip(r *http.Request) (*http.Response, error) {
	d, err := v.server.current()
	if err != nil {
		return nil, err
	}
	resp, err := d.respond(r)
	if err != nil && d.isClosed() {
		return nil, errEnded // the service went while it was on its way
	}
	if err == nil && resp.StatusCode != http.StatusSwitchingProtocols && resp.Header.Get("Upgrade") != "" {
		resp.Header[keptUpgrade] = resp.Header["Upgrade"]
	}
	return resp, err
}

// keptUpgrade carries a refusal's Upgrade, with which the service says that an address
// is for WebSockets, past the proxy, for which it is a matter of one connection.
const keptUpgrade = "X-Cobridge-Mock-Upgrade"

// failed is for requests that got no answer.
func (s *Server) failed(w http.ResponseWriter, r *http.Request, err error) {
	if _, ok := errors.AsType[networkError](err); ok {
		reset(w)
	}
	switch {
	case errors.Is(err, context.Canceled): // the caller has gone
		panic(http.ErrAbortHandler)
	case errors.Is(err, errEnded):
		writeError(w, http.StatusServiceUnavailable, "the mock is ending, or is being reset")
	default:
		// The service breaks a connection whose body is too long for it: so does the double.
		if _, ok := errors.AsType[*net.OpError](err); ok {
			reset(w)
		}
		s.log.WarnContext(r.Context(), "no answer", "method", r.Method, "err", err)
		writeError(w, http.StatusInternalServerError, "the mock has no answer: "+err.Error())
	}
}

// reset breaks the connection as a network does, without a goodbye, and does not return.
func reset(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		below := conn
		if t, ok := conn.(*tls.Conn); ok {
			below = t.NetConn()
		}
		if t, ok := below.(*net.TCPConn); ok {
			_ = t.SetLinger(0)
		}
		_ = below.Close()
	}
	panic(http.ErrAbortHandler)
}
