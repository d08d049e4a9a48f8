package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/cobridge/cobridge/cobrowse/client"
)

func newDeployment(c console) *cobra.Command {
	var connect func() (*client.Client, error)

	var asJSON bool
	list := &cobra.Command{Use: "list", Short: "List deployments, by name", Args: cobra.NoArgs}
	list.Flags().BoolVar(&asJSON, "json", false, "print one line of JSON for each")
	list.RunE = action(func(ctx context.Context, _ []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		all := api.AllDeployments(ctx, client.Paging{Size: 100})
		if asJSON {
			encoder := json.NewEncoder(plainWriter{c.out})
			for d, err := range all {
				if err != nil {
					return err
				}
				if err := encoder.Encode(d); err != nil {
					return err
				}
			}
			return nil
		}
		return printTable(c, "ID\tNAME\tDEFAULT FOR\tORIGINS", func(w *tabwriter.Writer) error {
			for d, err := range all {
				if err != nil {
					return err
				}
				_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", d.ID, d.Name, strings.Join(d.DefaultFor, ", "), strings.Join(d.AllowedOrigins, ", "))
			}
			return nil
		})
	})

	show := &cobra.Command{Use: "show ID", Short: "Print a deployment with its rules as JSON", Args: cobra.ExactArgs(1)}
	show.RunE = action(func(ctx context.Context, args []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		d, err := api.Deployment(ctx, args[0])
		if err != nil {
			return err
		}
		return printJSON(c, d)
	})

	cmd := group("deployment", "List and show the web sites that can be shared", list, show)
	connect = onService(cmd, c)
	return cmd
}
