package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cobridge/cobridge/bridge"
	"github.com/cobridge/cobridge/bridge/config"
)

func newKey(c console) *cobra.Command {
	rotate := &cobra.Command{
		Use: "rotate", Short: "Replace the key that signs access tokens", Args: cobra.NoArgs,
		Long: `Replace the key that signs access tokens. Tokens that the old one signed stay good until they expire;
the running service does the same by itself when the key reaches oauth.keyLifetime.`,
	}
	with := onStore(rotate, c, onlyThere)
	rotate.RunE = action(func(ctx context.Context, _ []string) error {
		return with(ctx, func(app *bridge.App, _ config.Config) error {
			id, err := app.OAuth().RotateKey(ctx)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.out, "key id", id)
			return err
		})
	})
	return group("key", "Manage the key that signs access tokens, while the service is stopped", rotate)
}
