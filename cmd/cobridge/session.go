package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cobridge/cobridge/cobrowse/client"
)

func newSession(c console) *cobra.Command {
	var connect func() (*client.Client, error)

	var query client.SessionQuery
	var asJSON bool
	list := &cobra.Command{Use: "list", Short: "List sessions", Args: cobra.NoArgs}
	list.Flags().StringVar(&query.ConversationID, "conversation", "", "only those of this conversation")
	list.Flags().StringVar(&query.State, "state", "live", "live, idle, active, ended or any")
	list.Flags().BoolVar(&asJSON, "json", false, "print one line of JSON for each")
	list.RunE = action(func(ctx context.Context, _ []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		query.Size = 100
		if asJSON {
			encoder := json.NewEncoder(plainWriter{c.out})
			for session, err := range api.AllSessions(ctx, query) {
				if err != nil {
					return err
				}
				if err := encoder.Encode(session); err != nil { //nolint:gosec // whoever may list sessions may issue tokens, too
					return err
				}
			}
			return nil
		}
		return printTable(c, "ID\tSTATE\tCREATED\tCONVERSATION\tPARTICIPANTS", func(w *tabwriter.Writer) error {
			for session, err := range api.AllSessions(ctx, query) {
				if err != nil {
					return err
				}
				_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", session.ID, session.State, session.DateCreated.Format(time.RFC3339), session.ConversationID, people(session))
			}
			return nil
		})
	})

	show := &cobra.Command{Use: "show ID", Short: "Print a session as JSON", Args: cobra.ExactArgs(1)}
	show.RunE = action(func(ctx context.Context, args []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		session, err := api.Session(ctx, args[0])
		if err != nil {
			return err
		}
		return printJSON(c, session)
	})

	end := &cobra.Command{Use: "end ID...", Short: "End sessions; ending an ended one succeeds", Args: cobra.MinimumNArgs(1)}
	end.RunE = action(func(ctx context.Context, args []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		var failed error
		for _, id := range args {
			if err := api.EndSession(ctx, id); err != nil {
				failed = errors.Join(failed, fmt.Errorf("%s: %w", id, err))
				continue
			}
			if _, err := fmt.Fprintln(c.out, "ended", id); err != nil {
				return err
			}
		}
		return failed
	})

	token := &cobra.Command{
		Use: "token SESSION [PARTICIPANT]", Short: "Print a fresh join URL of a participant, or of all", Args: cobra.RangeArgs(1, 2),
	}
	token.Flags().BoolVar(&asJSON, "json", false, "print all of the answer as JSON")
	token.RunE = action(func(ctx context.Context, args []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		if len(args) == 1 {
			session, err := api.RefreshJoinURLs(ctx, args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c, session)
			}
			return printJoinURLs(c, session)
		}
		issued, err := api.IssueJoinToken(ctx, args[0], args[1])
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(c, issued)
		}
		_, err = fmt.Fprintln(plainWriter{c.out}, issued.JoinURL)
		return err
	})

	// What makes a client is known once the group has its flags.
	later := func() (*client.Client, error) { return connect() }
	cmd := group("session", "Create, list, show and end sessions, wait for them, and let people in", newSessionCreate(c, later), list, show, newSessionWait(c, later), end, token)
	connect = onService(cmd, c)
	return cmd
}

// people lists who takes part: role and state of each.
func people(s client.Session) string {
	texts := make([]string, len(s.Participants))
	for i, p := range s.Participants {
		texts[i] = p.Role + " " + p.State
	}
	return strings.Join(texts, ", ")
}

func newHistory(c console) *cobra.Command {
	var connect func() (*client.Client, error)

	get := &cobra.Command{Use: "get ID", Short: "Print the record of an ended session as JSON", Args: cobra.ExactArgs(1)}
	get.RunE = action(func(ctx context.Context, args []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		record, err := api.HistoryRecord(ctx, args[0])
		if err != nil {
			return err
		}
		return printJSON(c, record)
	})

	var asJSON bool
	link := &cobra.Command{
		Use: "link ID", Short: "Print a link to the history page of a session, live or ended", Args: cobra.ExactArgs(1),
		Long: `Print a link to the history page of a session, live or ended. Whoever has the link sees the timeline of
this session until the link expires, at most 15 minutes later.`,
	}
	link.Flags().BoolVar(&asJSON, "json", false, "print all of the answer as JSON")
	link.RunE = action(func(ctx context.Context, args []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		made, err := api.CreateHistoryLink(ctx, args[0])
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(c, made)
		}
		_, err = fmt.Fprintln(plainWriter{c.out}, made.URL)
		return err
	})

	// What makes a client is known once the group has its flags.
	export := newHistoryExport(c, func() (*client.Client, error) { return connect() })

	imports := newHistoryImport(c, func() (*client.Client, error) { return connect() })
	cmd := group("history", "Read the records of ended sessions, and import those of an old server", get, link, export, imports)
	connect = onService(cmd, c)
	return cmd
}

// moment reads a date (its start in UTC) or a time; "" is no bound.
func moment(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usageError(fmt.Sprintf("%q is no date and no time; want 2026-03-04 or 2026-03-04T05:06:07Z", text))
}
