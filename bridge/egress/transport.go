package egress

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

const (
	connectTime = 10 * time.Second
	maxHeaders  = 64 << 10 // bytes of an answer's head
	maxIdle     = 100      // connections that rest
	maxIdleHost = 4
	idleTime    = 60 * time.Second
)

// Dialer returns a dialer that asks p about each address before it connects to it.
// It fails with an error that wraps [ErrForbidden].
func (p Policy) Dialer() *net.Dialer {
	return &net.Dialer{
		Timeout: connectTime,
		// Called with the address that the socket is about to connect to, after the name
		// was resolved: nothing comes between this check and its use.
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("%s: %w", address, ErrForbidden)
			}
			return p.Check(at.Addr())
		},
	}
}

// Transport returns a transport whose every connection p has been asked about. It
// uses no proxy, whatever the environment says: a proxy would resolve and connect in
// its own place, unchecked.
func Transport(p Policy) *http.Transport {
	return &http.Transport{
		DialContext: p.Dialer().DialContext, ForceAttemptHTTP2: true, TLSHandshakeTimeout: connectTime,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		MaxResponseHeaderBytes: maxHeaders, MaxIdleConns: maxIdle, MaxIdleConnsPerHost: maxIdleHost, IdleConnTimeout: idleTime,
	}
}
