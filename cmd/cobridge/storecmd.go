package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cobridge/cobridge/bridge/engine/bolt"
)

func newStore(c console) *cobra.Command {
	return group("store", "Check and compact the store of a stopped service", newStoreCheck(c), newStoreCompact(c))
}

// onStoreFile adds the flags that find the store's file, and runs fn with its path.
func onStoreFile(cmd *cobra.Command, c console, fn func(ctx context.Context, path string, progress bolt.Progress) error) {
	load := withConfig(cmd, c)
	cmd.Flags().VisitAll(hideUnless("config", "store"))
	cmd.RunE = action(func(ctx context.Context, _ []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		path, err := storeThere(cfg)
		if err != nil {
			return err
		}
		ctx, stop := untilSignalled(ctx)
		defer stop()
		line := statusOf(c.err)
		defer line.clear()
		return fn(ctx, path, progressOn(line))
	})
}

func newStoreCheck(c console) *cobra.Command {
	cmd := &cobra.Command{
		Use: "check", Short: "Read a store or a backup from end to end, and say what is wrong with it", Args: cobra.NoArgs,
		Long: `Read a store or a backup from end to end, without changing it: its sum, where it is a backup, its
pages, its records, and whether each index names what is there. The exit code is 1 when something is
wrong. A store of a running service is in use: make a backup, which is checked as it is made.`,
		Example: "  cobridge store check --store bolt:cobridge.db",
	}
	onStoreFile(cmd, c, func(ctx context.Context, path string, progress bolt.Progress) error {
		report, err := bolt.Verify(ctx, path, progress)
		if err != nil {
			return err
		}
		if err := printReport(c, path, report); err != nil {
			return err
		}
		if len(report.Problems) > 0 {
			return errors.New("the store is damaged: put a backup in its place with cobridge restore")
		}
		_, err = fmt.Fprintln(c.out, "nothing is wrong with it")
		return err
	})
	return cmd
}

func newStoreCompact(c console) *cobra.Command {
	cmd := &cobra.Command{
		Use: "compact", Short: "Make the store's file as small as what is in it", Args: cobra.NoArgs,
		Long: `Make the store's file as small as what is in it. It does not shrink by itself: room that becomes free
is used again. The new file takes the old one's place when it is whole and verified; until then both
need room.`,
		Example: "  cobridge store compact --store bolt:cobridge.db",
	}
	onStoreFile(cmd, c, func(ctx context.Context, path string, progress bolt.Progress) error {
		before, after, err := bolt.Compact(ctx, path, progress)
		if err != nil {
			return err
		}
		if err := printReport(c, path, after); err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.out, "%d bytes became %d\n", before.Bytes, after.Bytes)
		return err
	})
	return cmd
}
