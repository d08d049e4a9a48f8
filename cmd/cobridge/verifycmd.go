package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cobridge/cobridge/cobrowse/client"
	"github.com/cobridge/cobridge/mocks/contract"
)

const verifyHelp = `Check that a service keeps the contract (docs/contract.md), ours or another with the same API.

Only the harmless part runs: conversations, sessions, deployments and access tokens of its own, which
it ends again; one call at a time; a few wrong guesses, of those that the service allows each minute.
Nothing of anybody else is changed. What ended stays in the service's history for its time.

--agent and --supervisor name two users who may cobrowse, best two that nobody works as. Where
conversations come from elsewhere, --conversation-id names an active one of the agent's.

` + remoteHelp + `

Exit codes: 0 all is kept, 1 something is not or the service cannot be used, 2 wrong command line.`

// verifyOptions are the flags of verify beside those that find the service.
type verifyOptions struct {
	baseURL, publicURL                  string
	agent, supervisor, incapable        string
	conversation                        string
	otherClient, otherSecret, otherUser string
	readerClient, readerSecret          string
	knowledge, legacyPath, legacyOrigin string
	run, junit                          string
	list, asJSON, live                  bool
	callsPerMinute                      int
}

func newVerify(c console) *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{Use: "verify", Short: "Check that a service keeps the contract", Long: verifyHelp, Args: cobra.NoArgs}
	options := serviceFlags(cmd, c)
	flags := cmd.Flags()
	flags.StringVar(&o.baseURL, "base-url", "", "public base URL of the service; the same as --server elsewhere (default http://127.0.0.1:8080)")
	_ = cmd.PersistentFlags().MarkHidden("server") // it is there
	flags.StringVar(&o.publicURL, "public-url", "", "what links in answers start with (default: --base-url)")
	flags.StringVar(&o.agent, "agent", "", "user who may cobrowse")
	flags.StringVar(&o.supervisor, "supervisor", "", "another one")
	flags.StringVar(&o.incapable, "incapable", "", "user who may not cobrowse at all")
	flags.StringVar(&o.conversation, "conversation-id", "", "active conversation of the agent's, where the service creates none")
	flags.StringVar(&o.otherClient, "other-client-id", "", "OAuth client of another organisation, to check that both are kept apart")
	flags.StringVar(&o.otherSecret, "other-client-secret-file", "", "file with its secret")
	flags.StringVar(&o.otherUser, "other-user", "", "user of the other organisation who may cobrowse")
	flags.StringVar(&o.readerClient, "reader-client-id", "", "OAuth client whose scopes are cobrowse:session:read and user:read alone")
	flags.StringVar(&o.readerSecret, "reader-client-secret-file", "", "file with its secret")
	flags.StringVar(&o.knowledge, "knowledge-path", "", "base path of Knowledge Center sessions, such as /gks-server/v1, to check them too")
	flags.StringVar(&o.legacyPath, "legacy-path", "", "base path of the Co-browse surfaces, such as /cobrowse, to check them too")
	flags.StringVar(&o.legacyOrigin, "legacy-origin", "", "origin of a page on which they are allowed")
	flags.StringVar(&o.run, "run", "", "only cases whose name matches this regular expression")
	flags.BoolVar(&o.list, "list", false, "list the cases and why some never run here; calls nobody")
	flags.BoolVar(&o.asJSON, "json", false, "print one JSON document at the end, instead of the table")
	flags.StringVar(&o.junit, "junit", "", "write a JUnit report to this file as well")
	flags.BoolVar(&o.live, "live", false, "let a sharer and a viewer into a session as well, with picture, control and end")
	flags.IntVar(&o.callsPerMinute, "calls-per-minute", 600, "how fast to go; half of what a service usually allows one address")
	cmd.RunE = action(func(ctx context.Context, _ []string) error {
		cases, err := o.cases()
		if err != nil {
			return err
		}
		if o.list {
			return listCases(c, o.asJSON)
		}
		service, err := options()
		if err != nil {
			return err
		}
		if o.baseURL != "" {
			service.BaseURL = o.baseURL
		}
		if o.junit != "" { // said now, and not after two minutes
			if _, err := os.Stat(filepath.Dir(o.junit)); err != nil {
				return usageError("--junit: " + err.Error())
			}
		}
		ctx, stop := untilSignalled(ctx)
		defer stop()
		return o.verify(ctx, c, service, cases)
	})
	return cmd
}

// cases are the harmless ones that are asked for.
func (o *verifyOptions) cases() ([]contract.Case, error) {
	pattern, err := regexp.Compile(o.run)
	if err != nil {
		return nil, usageError("--run: " + err.Error())
	}
	if o.callsPerMinute < 1 {
		return nil, usageError("--calls-per-minute: want 1 or more")
	}
	var cases []contract.Case
	for _, one := range contract.Cases() {
		if one.Harmless() && pattern.MatchString(one.Name) {
			cases = append(cases, one)
		}
	}
	o.live = o.live && pattern.MatchString(liveCase)
	if len(cases) == 0 && !o.live {
		return nil, usageError("--run: no harmless case has such a name; --list shows them")
	}
	return cases, nil
}

func listCases(c console, asJSON bool) error {
	type listed struct {
		Name     string   `json:"name"`
		Rows     []string `json:"rows,omitempty"`
		Harmless bool     `json:"harmless"`
		Why      string   `json:"why,omitempty"` // not
	}
	all := []listed{}
	for _, one := range contract.Cases() {
		all = append(all, listed{one.Name, one.Rows(), one.Harmless(), one.Harm()})
	}
	if asJSON {
		return printJSON(c, all)
	}
	return printTable(c, "ROWS\tPROMISE\tRUNS HERE", func(w *tabwriter.Writer) error {
		for _, one := range all {
			runs := "yes"
			if !one.Harmless {
				runs = "no: " + one.Why
			}
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", strings.Join(one.Rows, " "), promise(one.Name), runs)
		}
		return nil
	})
}

// promise is a case's name without the rows in front of it.
func promise(name string) string {
	for {
		word, rest, ok := strings.Cut(name, " ")
		if digits, row := strings.CutPrefix(word, "T"); !ok || !row || digits == "" || strings.Trim(digits, "0123456789") != "" {
			return name
		}
		name = rest
	}
}

// target is the service as the cases see it.
func (o *verifyOptions) target(c console, service client.Options, transport http.RoundTripper) (contract.Target, error) {
	if o.agent == "" || o.supervisor == "" || o.agent == o.supervisor {
		return contract.Target{}, usageError("who shall be in the sessions? give --agent and --supervisor, two users who may cobrowse")
	}
	if (o.legacyPath == "") != (o.legacyOrigin == "") {
		return contract.Target{}, usageError("--legacy-path and --legacy-origin belong together")
	}
	t := contract.Target{
		BaseURL: service.BaseURL, PublicURL: o.publicURL, Client: &http.Client{Transport: transport},
		Credentials: contract.Credentials{ClientID: service.ClientID, ClientSecret: service.ClientSecret},
		AgentUserID: o.agent, SupervisorUserID: o.supervisor, IncapableUserID: o.incapable, OtherUserID: o.otherUser, ConversationID: o.conversation,
		Knowledge: o.knowledge, Legacy: contract.Legacy{BasePath: o.legacyPath, Page: o.legacyOrigin},
		Pace: pacer(time.Minute / time.Duration(o.callsPerMinute)), Retries: 5,
	}
	for _, more := range []struct {
		flag, id, file string
		into           *contract.Credentials
	}{
		{"--other-client-id", o.otherClient, o.otherSecret, &t.Other},
		{"--reader-client-id", o.readerClient, o.readerSecret, &t.Limited},
	} {
		if (more.id == "") != (more.file == "") {
			return t, usageError(more.flag + " and the file with its secret belong together")
		}
		if more.id == "" {
			continue
		}
		text, err := readSecret(c, more.file)
		if err != nil {
			return t, err
		}
		*more.into = contract.Credentials{ClientID: more.id, ClientSecret: text}
	}
	return t, nil
}

// pacer returns what lets calls go at least so far apart.
func pacer(apart time.Duration) func(context.Context) error {
	var last time.Time // cases call one after the other
	return func(ctx context.Context) error {
		timer := time.NewTimer(time.Until(last.Add(apart)))
		defer timer.Stop()
		select {
		case <-timer.C:
			last = time.Now()
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// verify runs the cases and reports.
func (o *verifyOptions) verify(ctx context.Context, c console, service client.Options, cases []contract.Case) error {
	service.BaseURL = strings.TrimSuffix(service.BaseURL, "/")
	if service.Transport == nil {
		service.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: time.Minute}
	}
	seen := newWitness(service.Transport)
	target, err := o.target(c, service, seen)
	if err != nil {
		return err
	}
	seen.hide(target.ClientSecret, target.Other.ClientSecret, target.Limited.ClientSecret)
	if err := o.usable(ctx, service); err != nil {
		return err
	}
	r := &report{BaseURL: service.BaseURL, Started: time.Now().UTC().Truncate(time.Millisecond)}
	var show func(caseResult)
	if !o.asJSON {
		printer := newTablePrinter(c.out, cases)
		if o.live {
			printer.width = max(printer.width, len(liveCase))
		}
		printer.head(r.BaseURL, len(cases), len(contract.Cases()))
		show = printer.line
	}
	v := &verifier{ctx: ctx, seen: seen, report: r, show: show}
	contract.RunCases(v, target, cases) //nolint:contextcheck // v has it
	if o.live {
		service.Transport = seen
		v.Run(liveCase, func(t contract.T) { o.runLive(t, service) }) //nolint:contextcheck // t has it
	}
	r.finish(time.Since(r.Started), seen.count())
	if o.asJSON {
		err = printJSON(c, r)
	} else {
		_, err = fmt.Fprintln(c.out, "\n"+r.summary())
	}
	if err != nil {
		return err
	}
	if o.junit != "" {
		if err := r.writeJUnit(o.junit); err != nil {
			return err
		}
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("stopped: %w", ctx.Err())
	case r.Totals.Failed > 0:
		return fmt.Errorf("%d of %d promises are not kept", r.Totals.Failed, r.Totals.OK+r.Totals.Failed)
	}
	return nil
}

// usable says in one sentence why the service cannot be checked, before many cases
// fail for that reason.
func (o *verifyOptions) usable(ctx context.Context, service client.Options) error {
	api, err := client.New(service)
	if err != nil {
		return usageError(err.Error())
	}
	if _, err := api.TokenInfo(ctx); err != nil {
		switch client.StatusOf(err) {
		case 0:
			return fmt.Errorf("%s cannot be reached: %w", service.BaseURL, err)
		case http.StatusUnauthorized, http.StatusBadRequest:
			return fmt.Errorf("%s refuses the client's credentials: %w", service.BaseURL, err)
		default:
			return fmt.Errorf("%s: %w", service.BaseURL, err)
		}
	}
	for flag, id := range map[string]string{"--agent": o.agent, "--supervisor": o.supervisor} {
		if _, err := api.User(ctx, id); err != nil {
			return fmt.Errorf("%s %s: %w", flag, id, err)
		}
	}
	if o.conversation != "" {
		if _, err := api.Conversation(ctx, o.conversation); err != nil {
			return fmt.Errorf("--conversation-id %s: %w", o.conversation, err)
		}
		return nil
	}
	// Only a whole one tells: what breaks rules is refused before it is known who creates it.
	made, err := api.CreateConversation(ctx, client.NewConversation{MediaType: "message", Participants: []client.NewConversationParticipant{
		{Purpose: "customer", Name: "Kim"}, {Purpose: "agent", UserID: o.agent},
	}})
	if err != nil {
		return fmt.Errorf("%s creates no conversations for this client; name an active one with --conversation-id: %w", service.BaseURL, err)
	}
	if err := api.DisconnectConversation(ctx, made.ID); err != nil {
		return fmt.Errorf("%s: %w", service.BaseURL, err)
	}
	return nil
}

// createReport makes a file that only its owner reads: failures show what was answered.
func createReport(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) //nolint:gosec // the caller names the file
}
