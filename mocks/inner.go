package mocks

import (
	"net"
	"net/http"
	"net/url"
	"time"
)

// inner carries requests to the application behind a Server, on a port of loopback that
// nobody else is told. The service sees what it would see without a double in front:
// real connections, which is what streams and long polls need.
type inner struct {
	*http.Transport
	url *url.URL
}

func newInner(address string) *inner {
	return &inner{
		url: &url.URL{Scheme: "http", Host: address},
		Transport: &http.Transport{
			DialContext:        (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			DisableCompression: true,                                                             // the caller has said what he takes
			MaxIdleConns:       256, MaxIdleConnsPerHost: 256, IdleConnTimeout: 30 * time.Second, // less than the service's own
		},
	}
}

// RoundTrip implements [http.RoundTripper]. The caller's Host is kept.
func (i *inner) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	r.URL.Scheme, r.URL.Host = i.url.Scheme, i.url.Host // of the copy that roundTrip has made
	return i.Transport.RoundTrip(r)
}
