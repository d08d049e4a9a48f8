package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge"
	"github.com/cobridge/cobridge/bridge/config"
)

func newServe(c console) *cobra.Command {
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the service", Args: cobra.NoArgs,
		Long: `Run the service until SIGINT or SIGTERM. Then open streams are told to come back and running
requests are finished; a second signal ends the process at once.

Every key of the configuration has a flag and a COBRIDGE_ variable; docs/config.md lists them.`,
	}
	load := withConfig(cmd, c)
	cmd.RunE = action(func(ctx context.Context, _ []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		ctx, stop := untilSignalled(ctx)
		defer stop()
		log := newLog(cfg, c)
		return serve(ctx, cfg, log, func(s served) {
			for _, warning := range s.cfg.Warnings() {
				log.WarnContext(ctx, "configuration", "warning", warning)
			}
			log.InfoContext(ctx, "listening", "address", s.address.String(), "baseUrl", s.cfg.BaseURL, "certFile", s.certFile, "version", buildVersion())
		})
	})
	return cmd
}

// withConfig adds --config and a flag for each key, and returns what loads them.
func withConfig(cmd *cobra.Command, c console) func() (config.Config, error) {
	file := cmd.Flags().String("config", "", "YAML file with the configuration (or "+config.EnvFile+")")
	config.AddFlags(cmd.Flags())
	return func() (config.Config, error) { return loadConfig(c, *file, cmd.Flags()) }
}

func loadConfig(c console, file string, flags *pflag.FlagSet) (config.Config, error) {
	return config.Load(config.Sources{File: file, Env: c.env, Flags: flags, OtherEnv: clientVariables()})
}

// newLog returns the process's log, on standard error.
func newLog(cfg config.Config, c console) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Log.Level)) // validated; info otherwise
	options := &slog.HandlerOptions{Level: level}
	if cfg.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(c.err, options))
	}
	return slog.New(slog.NewTextHandler(c.err, options))
}

// served is what runs.
type served struct {
	cfg      config.Config // completed by the address
	address  net.Addr
	certFile string // of a self-signed certificate; else empty
}

// serve runs the service until ctx ends. It calls listening once connections are
// accepted.
func serve(ctx context.Context, cfg config.Config, log *slog.Logger, listening func(served)) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	defer func() { _ = ln.Close() }() // closed by then, unless something failed before
	s := served{cfg: complete(cfg, ln.Addr()), address: ln.Addr()}
	if cfg.TLS.Enabled() {
		var pair tls.Certificate
		if pair, s.certFile, err = certificate(s.cfg, time.Now()); err != nil {
			return err
		}
		ln = tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
	}
	var admin net.Listener
	if cfg.AdminListen != "" {
		if admin, err = (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.AdminListen); err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		defer func() { _ = admin.Close() }()
	}
	app, err := open(ctx, s.cfg, log)
	if err != nil {
		return err
	}
	if err := refuseDemo(ctx, app, s.cfg); err != nil {
		return errors.Join(err, app.Close())
	}
	listening(s) // the sockets are open, and connections wait until Serve takes them
	return errors.Join(app.Serve(ctx, ln, admin), app.Close())
}

// complete fills in what follows from the address. The demonstration lets people
// join on another host name of this machine, as a real installation should.
func complete(cfg config.Config, addr net.Addr) config.Config {
	tcp, ok := addr.(*net.TCPAddr)
	if ok && cfg.Demo && cfg.ViewerBaseURL == "" && tcp.IP.Equal(net.IPv4(127, 0, 0, 1)) {
		scheme := "http"
		if cfg.TLS.Enabled() {
			scheme = "https"
		}
		cfg.ViewerBaseURL = fmt.Sprintf("%s://localhost:%d", scheme, tcp.Port)
	}
	return cfg.At(addr.String())
}

// open builds the application over its store.
func open(ctx context.Context, cfg config.Config, log *slog.Logger) (*bridge.App, error) {
	version, commit := build()
	return bridge.Open(ctx, cfg, bridge.Options{Log: log, Clock: time.Now, Version: version, Commit: commit})
}

// refuseDemo finds the demonstration's client in a store that it has left: its
// credentials are in the documentation.
func refuseDemo(ctx context.Context, app *bridge.App, cfg config.Config) error {
	if cfg.Demo {
		return nil
	}
	_, err := app.OAuth().Client(ctx, config.DemoClientID)
	switch {
	case err == nil:
		return fmt.Errorf("the store has the demo's client, whose credentials are well known: cobridge client delete %s", config.DemoClientID)
	case cobridge.CodeOf(err) == cobridge.CodeNotFound:
		return nil
	default:
		return err
	}
}
