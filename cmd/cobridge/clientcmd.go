package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge"
	"github.com/cobridge/cobridge/bridge/config"
)

func newClient(c console) *cobra.Command {
	cmd := group(
		"client", "Create and manage OAuth clients, while the service is stopped",
		newClientCreate(c), newClientList(c), newClientRotate(c), newClientDelete(c),
	)
	cmd.Long = `Create and manage OAuth clients. These commands work on the store itself, which only one process can
have open: stop the service first.`
	return cmd
}

// onStore adds the flags that find the store, and returns what opens it for fn. A
// store that is not there is made only if mayCreate allows it: whoever looks in the
// wrong place shall hear of it, and not find an empty store.
func onStore(cmd *cobra.Command, c console, mayCreate func(config.Config) bool) func(ctx context.Context, fn func(*bridge.App, config.Config) error) error {
	load := withConfig(cmd, c)
	cmd.Flags().VisitAll(hideUnless("config", "store"))
	return func(ctx context.Context, fn func(*bridge.App, config.Config) error) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		path := strings.TrimPrefix(cfg.Store, "bolt:")
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && !cfg.StoredInRedis() && !mayCreate(cfg) {
			return fmt.Errorf("there is no store %s: give the --config or --store that the service runs with", path)
		}
		if cfg.BaseURL == "" {
			cfg.BaseURL = "http://localhost" // nothing made here depends on it
		}
		app, err := open(ctx, cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		failed := fn(app, cfg)
		if err := app.Close(); err != nil && failed == nil {
			return fmt.Errorf("close store: %w", err)
		}
		return failed
	}
}

// onlyThere is for commands that have nothing to do in a new store.
func onlyThere(config.Config) bool { return false }

func newClientCreate(c console) *cobra.Command {
	var o struct {
		org    string
		client config.Client
		json   bool
	}
	cmd := &cobra.Command{
		Use: "create --org ID --name NAME --scope SCOPE...", Short: "Create a client and print its secret, once", Args: cobra.NoArgs,
		Long: `Create a client and print its secret, once. Its organisation must stand in the configuration file.

Scopes are, among others, cobrowse:session:read, cobrowse:session:write, conversations:read,
conversations:write and user:read; GET /api/v2/oauth/scopes of a running service lists all of them.`,
		Example: "  cobridge client create --org 7b0c1f0e-58a4-4d0c-9a55-6f2f3f1c0a01 --name CRM --scope cobrowse:session:write --scope cobrowse:session:read",
	}
	with := onStore(cmd, c, func(cfg config.Config) bool {
		return slices.ContainsFunc(cfg.Organisations, func(org config.Organisation) bool { return org.ID == o.org })
	})
	flags := cmd.Flags()
	flags.StringVar(&o.org, "org", "", "organisation that it belongs to")
	flags.StringVar(&o.client.ID, "id", "", "its id (default: a new UUID)")
	flags.StringVar(&o.client.Name, "name", "", "its name")
	flags.StringSliceVar(&o.client.Scopes, "scope", nil, "a scope that it has; may be repeated")
	flags.DurationVar(&o.client.Lifetime, "lifetime", 24*time.Hour, "lifetime of its access tokens, 5m to 48h")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	for _, name := range []string{"org", "name", "scope"} {
		_ = cmd.MarkFlagRequired(name) // fails for a flag that does not exist, and it does
	}
	cmd.RunE = action(func(ctx context.Context, _ []string) error {
		return with(ctx, func(app *bridge.App, _ config.Config) error {
			made, err := app.AddClient(ctx, o.org, o.client)
			if cobridge.CodeOf(err) == cobridge.CodeNotFound {
				return fmt.Errorf("%w Organisations stand in the configuration file: give --config", err)
			}
			if err != nil {
				return err
			}
			return printSecret(c, o.json, made.ID, made.Secret)
		})
	})
	return cmd
}

// printSecret is the one place where a secret leaves the program.
func printSecret(c console, asJSON bool, id string, secret config.Secret) error {
	if asJSON {
		return printJSON(c, map[string]string{"clientId": id, "clientSecret": secret.Reveal()})
	}
	_, err := fmt.Fprintf(c.out, "client id      %s\nclient secret  %s\n\nThe secret is not kept and cannot be shown again.\n", id, secret.Reveal())
	return err
}

func newClientList(c console) *cobra.Command {
	var org string
	var asJSON bool
	cmd := &cobra.Command{Use: "list", Short: "List clients", Args: cobra.NoArgs}
	with := onStore(cmd, c, onlyThere)
	cmd.Flags().StringVar(&org, "org", "", "only those of this organisation")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = action(func(ctx context.Context, _ []string) error {
		return with(ctx, func(app *bridge.App, _ config.Config) error {
			clients, err := app.OAuth().Clients(ctx, org)
			if err != nil {
				return err
			}
			type row struct {
				ID       string   `json:"id"`
				OrgID    string   `json:"orgId"`
				Name     string   `json:"name"`
				State    string   `json:"state"`
				Scopes   []string `json:"scopes"`
				Lifetime int64    `json:"lifetimeSeconds"`
			}
			rows := make([]row, len(clients))
			for i, client := range clients {
				rows[i] = row{client.ID, client.OrgID, client.Name, string(client.State), client.Scopes, int64(client.Lifetime / time.Second)}
			}
			if asJSON {
				return printJSON(c, rows)
			}
			return printTable(c, "ID\tORGANISATION\tNAME\tSTATE\tLIFETIME\tSCOPES", func(w *tabwriter.Writer) error {
				for _, r := range rows {
					_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%ds\t%s\n", r.ID, r.OrgID, r.Name, r.State, r.Lifetime, strings.Join(r.Scopes, " "))
				}
				return nil
			})
		})
	})
	return cmd
}

func newClientRotate(c console) *cobra.Command {
	var overlap time.Duration
	var asJSON bool
	cmd := &cobra.Command{Use: "rotate ID", Short: "Give a client a new secret and print it, once", Args: cobra.ExactArgs(1)}
	with := onStore(cmd, c, onlyThere)
	cmd.Flags().DurationVar(&overlap, "overlap", 24*time.Hour, "how long the current secret goes on working")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = action(func(ctx context.Context, args []string) error {
		return with(ctx, func(app *bridge.App, cfg config.Config) error {
			if err := notConfigured(cfg, args[0]); err != nil {
				return err
			}
			secret, err := app.OAuth().RotateSecret(ctx, args[0], overlap)
			if err != nil {
				return err
			}
			return printSecret(c, asJSON, args[0], config.Secret(secret))
		})
	})
	return cmd
}

func newClientDelete(c console) *cobra.Command {
	cmd := &cobra.Command{Use: "delete ID", Short: "Delete a client; its access tokens are dead at once", Args: cobra.ExactArgs(1)}
	with := onStore(cmd, c, onlyThere)
	cmd.RunE = action(func(ctx context.Context, args []string) error {
		return with(ctx, func(app *bridge.App, cfg config.Config) error {
			if err := notConfigured(cfg, args[0]); err != nil {
				return err
			}
			if err := app.OAuth().DeleteClient(ctx, args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintln(c.out, "deleted", args[0])
			return err
		})
	})
	return cmd
}

// notConfigured refuses changes that the next start would undo.
func notConfigured(cfg config.Config, id string) error {
	for _, o := range cfg.Organisations {
		for _, client := range o.Clients {
			if client.ID == id {
				return fmt.Errorf("client %s stands in the configuration file: change it there", id)
			}
		}
	}
	return nil
}

func printJSON(c console, value any) error {
	encoder := json.NewEncoder(plainWriter{c.out})
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// printTable prints a table whose rows could all be written, else nothing.
func printTable(c console, head string, rows func(*tabwriter.Writer) error) error {
	w := tabwriter.NewWriter(plainWriter{c.out}, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, head) // kept until Flush, which reports what failed
	if err := rows(w); err != nil {
		return err
	}
	return w.Flush()
}
