package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cobridge/cobridge/cobrowse/client"
)

// startedSession is what create prints with --json.
type startedSession struct {
	client.Session

	Created bool `json:"created"` // false: it was there before
}

// newSessionCreate returns the command that creates a session or goes on with the one
// that is there.
func newSessionCreate(c console, connect func() (*client.Client, error)) *cobra.Command {
	var in client.NewSession
	var agent, customerName string
	var supervisors []string
	var customer, control, remote, reuse, asJSON bool
	var minutes int
	cmd := &cobra.Command{
		Use: "create", Short: "Create a session on a conversation and print a join URL for each participant", Args: cobra.NoArgs,
		Example: "  cobridge session create --conversation $C --agent $A --customer --reuse",
	}
	flags := cmd.Flags()
	flags.StringVar(&in.ConversationID, "conversation", "", "the conversation, which must be active")
	flags.StringVar(&agent, "agent", "", "user id of the agent; shares if there is no customer")
	flags.StringSliceVar(&supervisors, "supervisor", nil, "user id of a supervisor; may be given several times")
	flags.BoolVar(&control, "supervisor-control", false, "supervisors may ask for control, as agents may")
	flags.BoolVar(&customer, "customer", false, "the customer takes part, and shares")
	flags.StringVar(&customerName, "customer-name", "", "what others see of the customer; with --customer")
	flags.StringVar(&in.DeploymentID, "deployment", "", "web site that is shared; empty = the default for who shares")
	flags.BoolVar(&remote, "remote-control", false, "viewers may ask to control the shared page")
	flags.IntVar(&minutes, "inactivity-minutes", 0, "after which the session ends, 1 to 480; 0 = the service's default")
	flags.StringVar(&in.IdempotencyKey, "idempotency-key", "", "lets the service know a repeat of this command, for a day")
	flags.BoolVar(&reuse, "reuse", false, "go on with the session that the conversation has, if it has one: invite whom it lacks, print fresh join URLs")
	flags.BoolVar(&asJSON, "json", false, "print the session as JSON, with created")
	cobra.CheckErr(cmd.MarkFlagRequired("conversation"))
	cmd.RunE = action(func(ctx context.Context, _ []string) error {
		if customer {
			in.Participants = append(in.Participants, client.Invite{Role: "customer", Name: customerName})
		}
		if agent != "" {
			in.Participants = append(in.Participants, client.Invite{Role: "agent", UserID: agent})
		}
		for _, id := range supervisors {
			in.Participants = append(in.Participants, client.Invite{Role: "supervisor", UserID: id, AllowControl: control})
		}
		if !customer && agent == "" {
			return usageError("who shares? give --customer or --agent")
		}
		if remote || minutes != 0 {
			in.Settings = &client.NewSettings{AllowRemoteControl: &remote}
			if minutes != 0 {
				in.Settings.TimeoutInMinutes = &minutes
			}
		}
		api, err := connect()
		if err != nil {
			return err
		}
		session, created, err := createOrReuse(ctx, api, in, reuse)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(c, startedSession{session, created})
		}
		word := "created"
		if !created {
			word = "reused"
		}
		if _, err := fmt.Fprintln(plainWriter{c.out}, word, session.ID); err != nil {
			return err
		}
		return printJoinURLs(c, session)
	})
	return cmd
}

// createOrReuse creates a session, or reuses one if that is wanted.
func createOrReuse(ctx context.Context, api *client.Client, in client.NewSession, reuse bool) (client.Session, bool, error) {
	if reuse {
		return api.EnsureSession(ctx, in)
	}
	session, err := api.CreateSession(ctx, in)
	if refused, ok := errors.AsType[*client.Error](err); ok && refused.SessionID != "" {
		err = fmt.Errorf("%w; it is %s, with which --reuse goes on", err, refused.SessionID)
	}
	return session, true, err
}

// printJoinURLs prints the join URLs that a session brings.
func printJoinURLs(c console, session client.Session) error {
	return printTable(c, "ROLE\tPARTICIPANT\tNAME\tJOIN URL", func(w *tabwriter.Writer) error {
		for _, p := range session.Participants {
			if p.JoinURL != "" {
				_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", p.Role, p.ID, p.Name, p.JoinURL)
			}
		}
		return nil
	})
}

// newSessionWait returns the command that waits for what happens to a session.
func newSessionWait(c console, connect func() (*client.Client, error)) *cobra.Command {
	var state string
	var limit time.Duration
	var asJSON bool
	cmd := &cobra.Command{
		Use: "wait ID", Short: "Wait until a session is active or has ended", Args: cobra.ExactArgs(1),
		Long: `Wait until a session is active, which is when the one who shares and somebody who looks on are there, or
until it has ended, and print it. A session that ends before it is active is a failure, and so is a limit that passes.`,
	}
	cmd.Flags().StringVar(&state, "state", "active", "active or ended")
	cmd.Flags().DurationVar(&limit, "for", 0, "how long at most; 0 = until it happens")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the session as JSON")
	cmd.RunE = action(func(ctx context.Context, args []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		wait := api.WaitActive
		switch state {
		case "active":
		case "ended":
			wait = api.WaitEnded
		default:
			return usageError(fmt.Sprintf("--state %q: want active or ended", state))
		}
		if limit > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, limit)
			defer cancel()
		}
		session, err := wait(ctx, args[0])
		switch {
		case errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil:
			return fmt.Errorf("session %s is not %s after %s", args[0], state, limit)
		case err != nil:
			return err
		case asJSON:
			return printJSON(c, session)
		}
		if session.EndReason != "" {
			_, err = fmt.Fprintln(plainWriter{c.out}, session.State, session.ID, session.EndReason)
		} else {
			_, err = fmt.Fprintln(plainWriter{c.out}, session.State, session.ID)
		}
		return err
	})
	return cmd
}
