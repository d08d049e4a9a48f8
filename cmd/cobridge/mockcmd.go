package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/mocks"
)

// mockFlags are those of "cobridge mock".
type mockFlags struct {
	listen, scenario, time, clock, log string
	faults, sites, names               []string
	seed                               uint64
	json, strict                       bool
	limited, legacy, selfSigned        bool
}

// Levels of --log.
const (
	logOff   = "off"
	logWarn  = "warn"
	logCalls = "calls"
	logDebug = "debug"
)

func newMock(c console) *cobra.Command {
	var o mockFlags
	cmd := &cobra.Command{
		Use: "mock", Short: "Run the service as a test double, steered by tests", Args: cobra.NoArgs,
		Long: `Run the service as a double for tests in any language: the real one, with an organisation,
users, OAuth clients and a conversation, ids that are the same in every run, a clock that stands
still until a test turns it, faults on request and a record of the calls. Tests steer it and look
inside below /__mock; docs/mock-server.md has the calls, and examples in Go, JavaScript and Python.

Credentials are well known and the admin API asks nobody who he is. It therefore listens on loopback only.

A fault is written ROUTE=FAULT;PARAMETER=VALUE…, for instance
  --fault 'POST /api/v2/cobrowse/sessions=429;retryAfter=2;times=1'
with one of the service's routes, or * for all. Faults: ` + strings.Join(mocks.FaultNames(), ", ") + `.
Parameters: retryAfter (seconds; 429, 503), seconds (delay), times, after.`,
	}
	flags := cmd.Flags()
	flags.StringVar(&o.listen, "listen", "127.0.0.1:8080", "loopback address to listen on; port 0 takes any free one")
	flags.BoolVar(&o.json, "json", false, "print one line of JSON once it listens, instead of the text")
	flags.StringVar(&o.scenario, "scenario", scenarioNames()[0], "situation to begin with: "+strings.Join(scenarioNames(), ", "))
	flags.Uint64Var(&o.seed, "seed", 1, "of the ids: the same calls give the same ids in every run")
	flags.StringVar(&o.time, "time", "now", `where the clock begins, at the start and at each reset: now, or a time such as 2026-01-01T00:00:00Z`)
	flags.StringVar(&o.clock, "clock", "standing", "standing: the clock moves when a test turns it; running: it also goes on by itself")
	flags.StringArrayVar(&o.faults, "fault", nil, "fault to begin with; may be repeated")
	flags.StringArrayVar(&o.sites, "site-origin", nil, "further origin whose pages may be shared; may be repeated")
	flags.BoolVar(&o.limited, "rate-limit", false, "apply the usual rate limits; what is used up comes back as the clock goes on")
	flags.BoolVar(&o.legacy, "legacy", false, "offer the surfaces of the old products, too")
	flags.BoolVar(&o.selfSigned, "tls-self-signed", false, "speak TLS with a self-signed certificate")
	flags.StringSliceVar(&o.names, "tls-name", nil, "further host name in the certificate; may be repeated")
	flags.BoolVar(&o.strict, "strict", false, "exit with 1 if a request matched no route, or a fault could not happen")
	flags.StringVar(&o.log, "log", logWarn, "what stands on standard error: off, warn (such as requests that match no route), calls (a line for each), debug")
	cmd.RunE = action(func(ctx context.Context, _ []string) error { return runMock(ctx, o, c) })
	return cmd
}

func scenarioNames() []string {
	var names []string
	for _, s := range mocks.Scenarios() {
		names = append(names, strings.ReplaceAll(s.String(), " ", "-"))
	}
	return names
}

// options returns what the flags say; the address comes later.
func (o mockFlags) options(c console) (mocks.ServerOptions, error) {
	options := mocks.ServerOptions{
		Seed: o.seed, Running: o.clock == "running", SiteOrigins: o.sites, RateLimit: o.limited, Legacy: o.legacy, SelfSigned: o.selfSigned,
	}
	var err error
	if options.Scenario, err = mocks.ParseScenario(o.scenario); err != nil {
		return options, usageError(err.Error())
	}
	if o.time != "now" {
		if options.Time, err = time.Parse(time.RFC3339, o.time); err != nil || options.Time.IsZero() {
			return options, usageError(fmt.Sprintf("--time %q: want now, or a time such as 2026-01-01T00:00:00Z", o.time))
		}
	}
	for _, text := range o.faults {
		spec, err := mocks.ParseFault(text)
		if err != nil {
			return options, usageError("--fault: " + err.Error())
		}
		options.Faults = append(options.Faults, spec)
	}
	if o.clock != "standing" && o.clock != "running" {
		return options, usageError(fmt.Sprintf("--clock %q: want standing or running", o.clock))
	}
	level := slog.LevelWarn
	switch o.log {
	case logOff:
		return options, nil
	case logWarn:
	case logCalls:
		options.OnCall = func(call mocks.Call) { _, _ = fmt.Fprintln(c.err, call.String()) }
	case logDebug:
		level = slog.LevelDebug
	default:
		return options, usageError(fmt.Sprintf("--log %q: want one of %s", o.log, strings.Join([]string{logOff, logWarn, logCalls, logDebug}, ", ")))
	}
	options.Log = slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: level}))
	return options, nil
}

func runMock(ctx context.Context, o mockFlags, c console) (err error) {
	if err := config.CheckDemoListen(o.listen); err != nil {
		return usageError(strings.Replace(err.Error(), "the demo", "the mock", 1))
	}
	options, err := o.options(c)
	if err != nil {
		return err
	}
	ctx, stop := untilSignalled(ctx)
	defer stop()
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	defer func() { _ = ln.Close() }() // closed by then, unless something failed before
	options.BaseURL = "http://" + ln.Addr().String()
	certFile := ""
	if o.selfSigned {
		options.BaseURL = "https://" + ln.Addr().String()
		dir, err := os.MkdirTemp("", "cobridge-mock-")
		if err != nil {
			return fmt.Errorf("make temporary directory: %w", err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		var pair tls.Certificate
		cfg := config.Demo(config.DemoOptions{
			Listen: ln.Addr().String(), Store: "bolt:" + filepath.Join(dir, "cobridge.db"), SelfSigned: true, TLSNames: o.names, Now: time.Now(),
		}).At(ln.Addr().String())
		if pair, certFile, err = certificate(cfg, time.Now()); err != nil {
			return err
		}
		ln = tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
	}
	server, err := mocks.NewServer(ctx, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	show := printMock
	if o.json {
		show = printMockJSON
	}
	if err := show(c.out, server.Info(), certFile); err != nil {
		return err // nobody could use it
	}
	if err := server.Serve(ctx, ln); err != nil {
		return err
	}
	if n := server.Problems(); o.strict && n > 0 {
		return fmt.Errorf("%d requests matched no route of the service, or met a fault that could not happen", n)
	}
	return nil
}

func printMockJSON(out io.Writer, info mocks.ServerInfo, _ string) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(info) //nolint:gosec // its secrets are well known, and said to be
}

func printMock(out io.Writer, info mocks.ServerInfo, certFile string) error {
	lines := [][2]string{
		{"scenario", info.Scenario},
		{"organisation", info.OrgID},
		{"client id", info.ClientID},
		{"client secret", info.ClientSecret},
		{"conversation", info.ConversationID},
		{"session", info.SessionID},
		{"agent", info.AgentUserID},
		{"supervisor", info.SupervisorUserID},
		{"seed", strconv.FormatUint(info.Seed, 10)},
		{"admin API", info.AdminURL},
		{"customer joins", info.CustomerURL},
		{"agent joins", info.JoinURLs.Agent},
		{"certificate", certFile},
	}
	lines = slices.DeleteFunc(lines, func(line [2]string) bool { return line[1] == "" })
	var text strings.Builder
	fmt.Fprintf(&text, "cobridge mock on %s (Ctrl-C stops it)\nThe credentials below are well known: this is for tests on this machine only.\n\n", info.BaseURL)
	for _, line := range lines {
		fmt.Fprintf(&text, "  %-14s  %s\n", line[0], line[1])
	}
	_, err := io.WriteString(out, text.String())
	return err
}
