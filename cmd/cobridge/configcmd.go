package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cobridge/cobridge/bridge/config"
)

func newConfig(c console) *cobra.Command {
	check := &cobra.Command{
		Use: "check", Short: "Check the configuration and say everything that is wrong", Args: cobra.NoArgs,
		Long: "Check the configuration from file, environment and flags, without opening anything. Exit code 2 if something is wrong.",
	}
	loadChecked := withConfig(check, c)
	check.RunE = action(func(context.Context, []string) error {
		cfg, err := loadChecked()
		if err != nil {
			return err
		}
		for _, warning := range cfg.At(cfg.Listen).Warnings() {
			if _, err := fmt.Fprintln(c.err, "warning:", warning); err != nil {
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
