package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/cobridge/cobridge/bridge"
	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/bridge/devtools"
	"github.com/cobridge/cobridge/bridge/maskproof"
	"github.com/cobridge/cobridge/cobrowse"
)

// proofTimeout bounds one proof, the start of the browser included.
const proofTimeout = 3 * time.Minute

func newMasking(c console) *cobra.Command {
	cmd := &cobra.Command{Use: "masking", Short: "Show what is hidden from viewers", Args: cobra.NoArgs}
	var o struct {
		out, json, chromium string
	}
	proof := &cobra.Command{
		Use: "proof", Short: "Plant secrets in a page, share it, and search everything for them", Args: cobra.NoArgs,
		Long: `Run the service on this machine with a page in which secrets are planted wherever a recorder could
take them from. A real browser shares the page with a viewer while things are typed and changed; then
every frame and request, the viewer's picture, the log and the store are searched for each secret.

The report says what was searched and what was found. The exit code is 1 when a secret was found, or
when the text that is not masked was not.`,
	}
	proof.Flags().StringVar(&o.out, "out", "masking-proof.html", "file for the report; - for standard output")
	proof.Flags().StringVar(&o.json, "json", "", "file for the report as JSON too")
	proof.Flags().StringVar(&o.chromium, "chromium", "", "path of Chromium or Chrome (default: the one on the PATH)")
	proof.RunE = action(func(ctx context.Context, _ []string) error {
		if o.chromium == "" {
			path, err := devtools.Find()
			if err != nil {
				return err
			}
			o.chromium = path
		}
		ctx, stop := untilSignalled(ctx)
		defer stop()
		ctx, cancel := context.WithTimeout(ctx, proofTimeout)
		defer cancel()
		report, err := proveMasking(ctx, o.chromium, cobrowse.SharingRules{}, func(what string) { _, _ = fmt.Fprintln(c.err, what+" …") })
		if err != nil {
			return err
		}
		if err := writeReport(c.out, o.out, report.WriteHTML); err != nil {
			return err
		}
		if o.json != "" {
			if err := writeReport(c.out, o.json, func(w io.Writer) error {
				encoder := json.NewEncoder(w)
				encoder.SetIndent("", "  ")
				return encoder.Encode(report)
			}); err != nil {
				return err
			}
		}
		switch {
		case !report.Valid():
			return errors.New("the proof proves nothing: the text that is not masked was not found; see the report")
		case !report.Passed():
			return fmt.Errorf("%d of %d secrets were found outside the customer's browser; see the report", report.Leaks(), len(report.Rows))
		}
		_, err = fmt.Fprintf(c.err, "None of %d secrets left the customer's browser.\n", len(report.Rows))
		return err
	})
	cmd.AddCommand(proof)
	return cmd
}

func writeReport(stdout io.Writer, name string, write func(io.Writer) error) error {
	if name == "-" {
		return write(stdout)
	}
	file, err := os.Create(name) //nolint:gosec // G304: the caller's own file
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := errors.Join(write(file), file.Close()); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// proveMasking runs the demonstration's service with a deployment for the page of
// the proof, and proves on it. The rules are those of the deployment beside what
// the page itself needs.
func proveMasking(ctx context.Context, chromium string, rules cobrowse.SharingRules, progress func(string)) (report maskproof.Report, err error) {
	dir, err := os.MkdirTemp("", "cobridge-proof-")
	if err != nil {
		return maskproof.Report{}, fmt.Errorf("make temporary directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	logFile, err := os.Create(filepath.Join(dir, "log")) //nolint:gosec // G304: in our own directory
	if err != nil {
		return maskproof.Report{}, fmt.Errorf("make log: %w", err)
	}
	defer func() { err = errors.Join(err, logFile.Close()) }()
	var listen net.ListenConfig
	ln, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return maskproof.Report{}, fmt.Errorf("listen: %w", err)
	}
	store := filepath.Join(dir, "cobridge.db")
	cfg := complete(config.Demo(config.DemoOptions{Listen: ln.Addr().String(), Store: "bolt:" + store, Now: time.Now()}), ln.Addr())
	log := slog.New(slog.NewTextHandler(logFile, &slog.HandlerOptions{Level: slog.LevelDebug}))
	app, err := open(ctx, cfg, log)
	if err != nil {
		return maskproof.Report{}, errors.Join(err, ln.Close())
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan error, 1)
	go func() { served <- app.Serve(serving, ln, nil) }()
	defer func() {
		stop()
		err = errors.Join(err, <-served, app.Close())
	}()
	return proveOn(ctx, app, cfg, chromium, rules, progress, func() (map[string][]byte, error) {
		logged, err := os.ReadFile(logFile.Name())
		if err != nil {
			return nil, err
		}
		stored, err := os.ReadFile(store) //nolint:gosec // G304: in our own directory
		return map[string][]byte{"the service's log, on its finest level": logged, "the service's store, as it is on the disk": stored}, err
	})
}

func proveOn(
	ctx context.Context, app *bridge.App, cfg config.Config, chromium string, rules cobrowse.SharingRules, progress func(string), elsewhere func() (map[string][]byte, error),
) (maskproof.Report, error) {
	var listen net.ListenConfig
	ln, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return maskproof.Report{}, fmt.Errorf("listen: %w", err)
	}
	site := "http://" + ln.Addr().String()
	rules.MaskSelectors = append(rules.MaskSelectors, maskproof.MaskSelector)
	rules.PageRules = append(rules.PageRules, cobrowse.PageRule{URLPattern: maskproof.AddressPattern, MaskSelectors: []string{maskproof.AddressSelector}})
	d, err := app.Cobrowse().CreateDeployment(ctx, cobrowse.Deployment{
		OrgID: config.DemoOrgID, Name: "Masking proof", AllowedOrigins: []string{site}, StartURL: site + "/proof", Rules: rules,
	})
	if err != nil {
		return maskproof.Report{}, errors.Join(err, ln.Close())
	}
	page, err := maskproof.NewPage(site, cfg.BaseURL+"/cobrowse/js/cobridge.js", string(d.ID))
	if err != nil {
		return maskproof.Report{}, errors.Join(err, ln.Close())
	}
	server := &http.Server{Handler: page, ReadHeaderTimeout: proofTimeout}
	go func() { _ = server.Serve(ln) }() // until it is closed below
	defer func() { _ = server.Close() }()
	version, _ := build()
	return maskproof.Run(ctx, maskproof.Config{
		Chromium: chromium, Page: page, PageURL: d.StartURL, Version: version, Now: time.Now, Progress: progress, Elsewhere: elsewhere,
		Join: func(ctx context.Context) (string, error) { return joinProof(ctx, app, cfg, d.ID) },
	})
}

// joinProof ties the session that the page has started to a conversation of the
// demonstration, as an agent does who types in the nine digits.
func joinProof(ctx context.Context, app *bridge.App, cfg config.Config, d cobrowse.DeploymentID) (string, error) {
	live, _, err := app.Cobrowse().List(ctx, cobrowse.ListRequest{OrgID: config.DemoOrgID, States: []cobrowse.State{cobrowse.StateIdle}, Limit: 10})
	if err != nil {
		return "", err
	}
	for _, s := range live {
		if s.DeploymentID != d {
			continue
		}
		_, token, err := app.Cobrowse().Attach(ctx, cobrowse.AttachRequest{
			OrgID: config.DemoOrgID, SessionToken: s.Token, ConversationID: config.DemoConversationID,
			Participant: cobrowse.Invite{UserID: config.DemoAgentID, Role: cobrowse.RoleAgent},
		})
		return cfg.BaseURL + "/cobrowse/join?token=" + token.Raw, err
	}
	return "", errors.New("the page has started no session")
}
