//go:build linux

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// Pages of the site that is shared.
const (
	ordersPath = "/orders" // a page with a field
	rowsPath   = "/rows"   // a large one
	blankPath  = "/blank"

	rows         = 1000
	rowsElements = 4 * rows // and a few around them
	lastRow      = "last"   // id
)

// site is a customer's web site on an origin of its own.
type site struct {
	server *http.Server
	origin string
	script atomic.Pointer[string] // address of the customer script, once the service has one
}

// openSite serves the site on a free port until its server is closed.
func openSite(ctx context.Context) (*site, error) {
	var listen net.ListenConfig
	ln, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	s := &site{origin: "http://" + ln.Addr().String()}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.server.Serve(ln) }() // until it is closed
	return s, nil
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := ""
	switch r.URL.Path {
	case ordersPath:
		body = `<h1>Orders</h1><label>Search <input id="field" data-shown></label>` + table(20)
	case rowsPath:
		body = `<h1>All orders</h1>` + table(rows)
	case blankPath:
	default:
		http.NotFound(w, r)
		return
	}
	script := ""
	if address := s.script.Load(); address != nil && body != "" {
		script = `<script async src="` + *address + `" data-deployment="` + liveDeploymentID + `" data-button="none"></script>`
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = fmt.Fprintf(w, `<!doctype html><html lang="en"><head><title>Orders</title><style>td { padding: 4px; }</style>%s</head><body>%s</body></html>`, script, body) // a browser that has gone
}

// table returns a table of n rows, each of four elements.
func table(n int) string {
	var b strings.Builder
	b.WriteString(`<table><tbody>`)
	for i := range n {
		id := ""
		if i == n-1 {
			id = ` id="` + lastRow + `"`
		}
		fmt.Fprintf(&b, `<tr class="order"%s><td class="number">%d</td><td class="what">Order of the day %d, to be delivered</td><td class="state">on its way</td></tr>`, id, 70000+i, i)
	}
	b.WriteString(`</tbody></table>`)
	return b.String()
}
