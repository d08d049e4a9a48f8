package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/cobridge/cobridge/bridge/config"
)

// healthTimeout is below that of common orchestrators' probes.
const healthTimeout = 4 * time.Second

func newHealthcheck(c console) *cobra.Command {
	var live bool
	cmd := &cobra.Command{
		Use: "healthcheck", Short: "Ask the service of this machine whether it is ready", Args: cobra.NoArgs,
		Long: `Ask the service of this machine whether it is ready, at the address that the configuration names. The
exit code is 0 if it is. It is for containers, which have no other program to ask with.`,
	}
	load := withConfig(cmd, c)
	cmd.Flags().VisitAll(hideUnless("config", "listen", "admin-listen"))
	cmd.Flags().BoolVar(&live, "live", false, "ask whether it runs at all (/healthz), and not whether it is ready (/readyz)")
	cmd.RunE = action(func(ctx context.Context, _ []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		address, err := healthAddress(cfg, live)
		if err != nil {
			return err
		}
		return askHealth(ctx, address)
	})
	return cmd
}

// healthAddress returns where the service answers probes, seen from its own machine.
func healthAddress(cfg config.Config, live bool) (string, error) {
	listen, scheme, path := cfg.Listen, "http", "/readyz"
	switch {
	case cfg.AdminListen != "":
		listen = cfg.AdminListen
	case cfg.TLS.Enabled():
		scheme = "https"
	}
	if live {
		path = "/healthz"
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("read the address: %w", err)
	}
	if port == "0" {
		return "", errors.New("the service takes any free port: nobody knows which")
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		if host = "127.0.0.1"; ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	return (&url.URL{Scheme: scheme, Host: net.JoinHostPort(host, port), Path: path}).String(), nil
}

func askHealth(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		// It asks its own machine, by an address that no certificate names, and tells nothing.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
	}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s says %s", address, resp.Status)
	}
	return nil
}
