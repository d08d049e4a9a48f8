package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cobridge/cobridge/cobrowse/client"
)

func newWebhook(c console) *cobra.Command {
	var connect func() (*client.Client, error)
	// on is a command about one webhook, whose answer is printed.
	on := func(use, short string, do func(context.Context, *client.Client, string) (any, error)) *cobra.Command {
		cmd := &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(1)}
		cmd.RunE = action(func(ctx context.Context, args []string) error {
			api, err := connect()
			if err != nil {
				return err
			}
			answer, err := do(ctx, api, args[0])
			if err != nil || answer == nil {
				return err
			}
			return printJSON(c, answer)
		})
		return cmd
	}
	cmd := group(
		"webhook", "Manage webhooks, see what became of what they were told, and send it again",
		listWebhooks(c, &connect),
		on("show ID", "Print a webhook as JSON", func(ctx context.Context, api *client.Client, id string) (any, error) { return api.Webhook(ctx, id) }),
		createWebhook(c, &connect),
		on("rotate ID", "Give a webhook another secret and print it with it; the one before signs besides for 24 hours", func(ctx context.Context, api *client.Client, id string) (any, error) {
			return api.RotateWebhook(ctx, id)
		}),
		on("enable ID", "Let a webhook be told again that was disabled", func(ctx context.Context, api *client.Client, id string) (any, error) {
			return api.EnableWebhook(ctx, id)
		}),
		testWebhook(c, &connect),
		on("delete ID", "Delete a webhook with its deliveries", func(ctx context.Context, api *client.Client, id string) (any, error) {
			return nil, api.DeleteWebhook(ctx, id)
		}),
		listDeliveries(c, &connect), replayDeliveries(c, &connect),
	)
	connect = onService(cmd, c)
	return cmd
}

func listWebhooks(c console, connect *func() (*client.Client, error)) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{Use: "list", Short: "List webhooks, the oldest first", Args: cobra.NoArgs}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one line of JSON for each")
	cmd.RunE = action(func(ctx context.Context, _ []string) error {
		api, err := (*connect)()
		if err != nil {
			return err
		}
		all := api.AllWebhooks(ctx, client.Paging{Size: 100})
		if asJSON {
			return printLines(c, all)
		}
		return printTable(c, "ID\tSTATE\tPENDING\tDEAD\tNAME\tURL\tEVENTS", func(w *tabwriter.Writer) error {
			for hook, err := range all {
				if err != nil {
					return err
				}
				_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%s\t%s\n", hook.ID, webhookState(hook), hook.Deliveries.Pending, hook.Deliveries.Dead, hook.Name, hook.URL, strings.Join(hook.Events, ", "))
			}
			return nil
		})
	})
	return cmd
}

// printLines prints one line of JSON for each.
func printLines[T any](c console, all func(func(T, error) bool)) error {
	encoder := json.NewEncoder(plainWriter{c.out})
	encoder.SetEscapeHTML(false)
	for one, err := range all {
		if err != nil {
			return err
		}
		if err := encoder.Encode(one); err != nil {
			return err
		}
	}
	return nil
}

func webhookState(w client.Webhook) string {
	switch {
	case w.Disabled:
		return "disabled (" + w.DisabledReason + ")"
	case !w.FailingSince.IsZero():
		return "failing"
	default:
		return "ok"
	}
}

func createWebhook(c console, connect *func() (*client.Client, error)) *cobra.Command {
	var in client.NewWebhook
	cmd := &cobra.Command{Use: "create URL", Short: "Create a webhook and print it with its secret, which nothing shows again", Args: cobra.ExactArgs(1)}
	cmd.Flags().StringVar(&in.Name, "name", "", "free text")
	cmd.Flags().StringSliceVar(&in.Events, "events", nil, "types of events that are told, such as cobrowse.session.created (default: all)")
	cmd.Flags().BoolVar(&in.Disabled, "disabled", false, "tell it nothing yet")
	cmd.RunE = action(func(ctx context.Context, args []string) error {
		api, err := (*connect)()
		if err != nil {
			return err
		}
		in.URL = args[0]
		made, err := api.CreateWebhook(ctx, in)
		if err != nil {
			return err
		}
		return printJSON(c, made)
	})
	return cmd
}

// testWait is how long a test waits to see what became of it: a little longer than an
// attempt may take.
const testWait = 20 * time.Second

func testWebhook(c console, connect *func() (*client.Client, error)) *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{Use: "test ID", Short: "Send a ping and print what became of it", Args: cobra.ExactArgs(1)}
	cmd.Flags().DurationVar(&wait, "wait", testWait, "how long to wait for it; 0 = not at all")
	cmd.RunE = action(func(ctx context.Context, args []string) error {
		api, err := (*connect)()
		if err != nil {
			return err
		}
		d, err := api.TestWebhook(ctx, args[0])
		if err != nil {
			return err
		}
		if wait > 0 {
			waiting, cancel := context.WithTimeout(ctx, wait)
			defer cancel()
			if d, err = outcome(waiting, api, d); err != nil {
				return err
			}
		}
		if err := printJSON(c, d); err != nil {
			return err
		}
		if d.State == "dead" {
			return errors.New("the webhook did not take the ping: " + lastResult(d))
		}
		return nil
	})
	return cmd
}

// outcome waits until a delivery is not pending any more, or ctx ends.
func outcome(ctx context.Context, api *client.Client, d client.Delivery) (client.Delivery, error) {
	const every = 100 * time.Millisecond
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for d.State == "pending" {
		select {
		case <-ctx.Done():
			return d, nil
		case <-ticker.C:
		}
		now, err := api.Delivery(ctx, d.WebhookID, d.ID)
		if ctx.Err() != nil {
			return d, nil // still pending, as far as is known
		}
		if err != nil {
			return d, err
		}
		d = now
	}
	return d, nil
}

// lastResult says how the latest attempt ended, "-" if there was none.
func lastResult(d client.Delivery) string {
	if len(d.Attempts) == 0 {
		return "-"
	}
	last := d.Attempts[len(d.Attempts)-1]
	if last.Status != 0 {
		return last.Result + " " + strconv.Itoa(last.Status)
	}
	return last.Result
}

func listDeliveries(c console, connect *func() (*client.Client, error)) *cobra.Command {
	var asJSON bool
	var state string
	cmd := &cobra.Command{Use: "deliveries ID", Short: "List what a webhook is still to be told and what it could not be told, or was", Args: cobra.ExactArgs(1)}
	cmd.Flags().StringVar(&state, "state", "", "pending, delivered or dead alone (default: pending and dead)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one line of JSON for each")
	cmd.RunE = action(func(ctx context.Context, args []string) error {
		api, err := (*connect)()
		if err != nil {
			return err
		}
		states := []string{state}
		if state == "" {
			states = []string{"pending", "dead"}
		}
		all := func(yield func(client.Delivery, error) bool) {
			for _, one := range states {
				for d, err := range api.Deliveries(ctx, args[0], one) {
					if !yield(d, err) || err != nil {
						return
					}
				}
			}
		}
		if asJSON {
			return printLines(c, all)
		}
		return printTable(c, "ID\tTYPE\tEVENT\tSTATE\tATTEMPTS\tLAST RESULT\tNEXT", func(w *tabwriter.Writer) error {
			for d, err := range all {
				if err != nil {
					return err
				}
				is, next := d.State, "-"
				if d.DeadReason != "" {
					is += ": " + d.DeadReason
				}
				if !d.NextAttempt.IsZero() {
					next = d.NextAttempt.Format(time.RFC3339)
				}
				_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", d.ID, d.Type, d.DateEvent.Format(time.RFC3339), is, len(d.Attempts), lastResult(d), next)
			}
			return nil
		})
	})
	return cmd
}

func replayDeliveries(c console, connect *func() (*client.Client, error)) *cobra.Command {
	var dead bool
	var since string
	cmd := &cobra.Command{Use: "replay ID [DELIVERY...]", Short: "Send deliveries again: those that are named, or all dead ones", Args: cobra.MinimumNArgs(1)}
	cmd.Flags().BoolVar(&dead, "dead", false, "all dead ones")
	cmd.Flags().StringVar(&since, "since", "", "with --dead: of events at this moment or later, such as 2026-03-04T05:06:07Z, or a time ago, such as 2h")
	cmd.RunE = action(func(ctx context.Context, args []string) error {
		if dead == (len(args) > 1) || since != "" && !dead {
			return usageError("name deliveries, or give --dead, with --since or without")
		}
		from, err := momentOrAgo(since, time.Now())
		if err != nil {
			return err
		}
		api, err := (*connect)()
		if err != nil {
			return err
		}
		if dead {
			n, err := api.ReplayDead(ctx, args[0], from)
			if err == nil {
				_, err = fmt.Fprintf(c.out, "%d sent again\n", n)
			}
			return err
		}
		for _, id := range args[1:] {
			if _, err := api.ReplayDelivery(ctx, args[0], id); err != nil {
				return fmt.Errorf("%s: %w", id, err)
			}
		}
		_, err = fmt.Fprintf(c.out, "%d sent again\n", len(args)-1)
		return err
	})
	return cmd
}

// momentOrAgo reads a time, or how long ago one was; "" is the zero time.
func momentOrAgo(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago).UTC(), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, usageError("--since: " + strconv.Quote(text) + ", want a moment such as 2026-03-04T05:06:07Z or a time such as 2h")
	}
	return at.UTC(), nil
}
