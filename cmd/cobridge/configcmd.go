package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/cobridge/cobridge/bridge"
	"github.com/cobridge/cobridge/bridge/config"
)

// checkOnline tries what the configuration names, and prints what it finds.
func checkOnline(ctx context.Context, c console, cfg config.Config) error {
	version, _ := build()
	found, err := bridge.CheckOnline(ctx, cfg, bridge.Options{Log: slog.New(slog.DiscardHandler), Clock: time.Now, Version: version})
	if err != nil {
		return err
	}
	if len(found) == 0 {
		_, err := fmt.Fprintln(c.out, "The configuration names no other service.")
		return err
	}
	failures := 0
	for _, f := range found {
		line := "ok      " + f.What
		if f.Err != nil {
			failures++
			line = "FAILED  " + f.What + ": " + f.Advice + "\n        " + f.Err.Error()
		}
		if _, err := fmt.Fprintln(c.out, line); err != nil {
			return err
		}
	}
	if failures > 0 {
		return fmt.Errorf("%d of %d checks failed", failures, len(found))
	}
	return nil
}

func newConfig(c console) *cobra.Command {
	check := &cobra.Command{
		Use: "check", Short: "Check the configuration and say everything that is wrong", Args: cobra.NoArgs,
		Long: `Check the configuration from file, environment and flags, without opening anything. Exit code 2 if something is wrong.

With --online, also try whether the Genesys Cloud organisation that it names as directory can be used: its address, the
OAuth client, and what that client may read. Nothing is changed there. Exit code 1 if it cannot.`,
	}
	loadChecked := withConfig(check, c)
	online := check.Flags().Bool("online", false, "try what the configuration names at other services")
	check.RunE = action(func(ctx context.Context, _ []string) error {
		cfg, err := loadChecked()
		if err != nil {
			return err
		}
		for _, warning := range cfg.At(cfg.Listen).Warnings() {
			if _, err := fmt.Fprintln(c.err, "warning:", warning); err != nil {
				return err
			}
		}
		if *online {
			if err := checkOnline(ctx, c, cfg); err != nil {
				return err
			}
		}
		_, err = fmt.Fprintln(c.out, "The configuration is good.")
		return err
	})

	show := &cobra.Command{
		Use: "print", Short: "Print the configuration that is in force, without secrets", Args: cobra.NoArgs,
	}
	loadPrinted := withConfig(show, c)
	show.RunE = action(func(context.Context, []string) error {
		cfg, err := loadPrinted()
		if err != nil {
			return err
		}
		text, err := cfg.YAML()
		if err != nil {
			return err
		}
		_, err = c.out.Write(text)
		return err
	})

	document := &cobra.Command{
		Use: "doc", Short: "Print docs/config.md", Args: cobra.NoArgs,
		RunE: action(func(context.Context, []string) error {
			_, err := fmt.Fprint(c.out, config.Document())
			return err
		}),
	}
	return group("config", "Check and print the configuration", check, show, document)
}
