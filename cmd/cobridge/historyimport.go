package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/gcb"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/cobrowse/client"
)

// The variables of an import.
const (
	envImportFrom         = "COBRIDGE_IMPORT_FROM"
	envImportUser         = "COBRIDGE_IMPORT_USER"
	envImportPassword     = "COBRIDGE_IMPORT_PASSWORD"
	envImportPasswordFile = "COBRIDGE_IMPORT_PASSWORD_FILE"
)

const (
	maxParallel = 64
	// importRetries, importFailures and importRest are more patient than a service that
	// somebody waits for: a server that fails now and then shall not stop an import.
	importRetries  = 3
	importFailures = 20
	importRest     = 5 * time.Second
	maxBusy        = 10 // how often one record waits because the old server asks for it
	// progressEvery is the time between two lines where there is no terminal.
	progressEvery = 10 * time.Second
	barEvery      = 200 * time.Millisecond
)

// importFlags are what the command line says.
type importFlags struct {
	from, user, passwordFile, caFile, failed string
	timeout, patience                        time.Duration
	parallel                                 int
	quiet                                    bool
}

// newHistoryImport returns the command history import.
func newHistoryImport(c console, connect func() (*client.Client, error)) *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use: "import [FILE]", Short: "Import the records of an old Co-browse server, by session id", Args: cobra.MaximumNArgs(1),
		Long: `Import the records of an old Co-browse server (8.1.3 to 9.0), which has no list of its sessions: their
ids, the values of CoBrowseSessionId in the attached data of your interactions, are read from FILE or
from standard input. One id stands in each line; blank lines and what follows a # are ignored.

A record that the service has is never imported again, so an import that was interrupted, by whatever,
is just started again and goes on. The service is asked for what it has at the start; the old server
is asked for the rest only. Records that ended before the service's retention.history are refused.

At the end the report says how many failed, and why. With --failed their ids and reasons are written
to a file, which is a list for the next run, too. The exit code is 1 if one failed.

The service's limits.tokenPerMinute hold for an import as well: with the default of 300, 20000 records
take more than an hour. Raise it for the time of the import.

COBRIDGE_IMPORT_FROM, COBRIDGE_IMPORT_USER, COBRIDGE_IMPORT_PASSWORD and COBRIDGE_IMPORT_PASSWORD_FILE
say what the flags do not.`,
		Example: `  cobridge history import --from https://old.example/cobrowse ids.txt
  cobridge history import --from https://old.example/cobrowse --failed failed.txt ids.txt
  cobridge history import --from https://old.example/cobrowse --failed failed.txt failed.txt`,
	}
	flags := cmd.Flags()
	flags.StringVar(&f.from, "from", "", "address of the old server's application, such as https://host/cobrowse")
	flags.StringVar(&f.user, "from-user", "", "name for HTTP Basic, if a gateway before the old server asks for one")
	flags.StringVar(&f.passwordFile, "from-password-file", "", "file with the password that belongs to it; - reads it from standard input")
	flags.StringVar(&f.caFile, "from-ca-file", "", "PEM file with a certificate of the old server to trust besides the system's")
	flags.DurationVar(&f.timeout, "from-timeout", 20*time.Second, "of one question to the old server with its repeats")
	flags.DurationVar(&f.patience, "patience", 2*time.Minute, "how long the old server, or the service, may fail before the run ends")
	flags.IntVar(&f.parallel, "parallel", 8, "records at the same time, 1 to 64")
	flags.StringVar(&f.failed, "failed", "", "file for the ids that failed, with reasons; it is replaced")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "show no progress")
	cmd.RunE = action(func(ctx context.Context, args []string) error {
		if f.parallel < 1 || f.parallel > maxParallel {
			return usageError(fmt.Sprintf("--parallel %d; want 1 to %d", f.parallel, maxParallel))
		}
		old, err := oldServer(c, f, len(args) == 0 || args[0] == "-")
		if err != nil {
			return err
		}
		defer old.Close()
		api, err := connect()
		if err != nil {
			return err
		}
		list, err := idsFrom(c, args)
		if err != nil {
			return err
		}
		for _, problem := range list.invalid {
			_, _ = fmt.Fprintln(c.err, problem)
		}
		ctx, stop := untilSignalled(ctx)
		defer stop()
		return runImport(ctx, c, &importer{old: old, api: api, patience: f.patience, parallel: f.parallel, tally: newTally(list)}, list, f)
	})
	return cmd
}

// oldServer returns a client of the server to import from.
func oldServer(c console, f importFlags, idsOnStdin bool) (*gcb.Client, error) {
	cfg := gcb.Config{
		URL: first(f.from, c.getenv(envImportFrom)), User: first(f.user, c.getenv(envImportUser)), Password: c.getenv(envImportPassword),
		Timeout: f.timeout, Retries: importRetries, Failures: importFailures, Rest: importRest, Parallel: f.parallel,
		UserAgent: "cobridge/" + buildVersion(), Clock: time.Now, Log: slog.New(slog.DiscardHandler),
	}
	if cfg.URL == "" {
		return nil, usageError("import from where? give --from or " + envImportFrom)
	}
	file := f.passwordFile
	if file == "" && cfg.Password == "" {
		file = c.getenv(envImportPasswordFile)
	}
	if file == "-" && idsOnStdin {
		return nil, usageError("standard input cannot be both the ids and the password")
	}
	if file != "" {
		password, err := readSecret(c, file)
		if err != nil {
			return nil, fmt.Errorf("password of the old server: %w", err)
		}
		cfg.Password = password
	}
	if f.caFile != "" {
		transport, err := trusting(f.caFile)
		if err != nil {
			return nil, err
		}
		cfg.Transport = transport
	}
	old, err := gcb.New(cfg)
	if err != nil {
		return nil, usageError(err.Error())
	}
	return old, nil
}

func idsFrom(c console, args []string) (wanted, error) {
	if len(args) == 0 || args[0] == "-" {
		return readIDs(c.in)
	}
	file, err := os.Open(args[0])
	if err != nil {
		return wanted{}, fmt.Errorf("read ids: %w", err)
	}
	defer func() { _ = file.Close() }()
	return readIDs(file)
}

// runImport imports what a list names, shows how far it is, and reports.
func runImport(ctx context.Context, c console, im *importer, list wanted, f importFlags) error {
	hide := im.show(c, f.quiet)
	failed := im.run(ctx, list.ids)
	hide()
	im.tally.rest(list.ids)
	problems := []error{failed}
	if f.failed != "" {
		problems = append(problems, writeTo(c, f.failed, true, im.tally.writeLost))
	}
	problems = append(problems, im.tally.report(c.out))
	if n := len(im.tally.lost); n > 0 && failed == nil {
		problems = append(problems, fmt.Errorf("%d of %d records were not imported", n, im.tally.total))
	}
	if n := len(list.invalid); n > 0 {
		problems = append(problems, errors.New(several(n, "line is no session id", "lines are no session ids")))
	}
	return errors.Join(problems...)
}

// importer carries records from an old server to the service.
type importer struct {
	old      *gcb.Client
	api      *client.Client
	patience time.Duration
	parallel int
	tally    *tally

	oldWell, newWell atomic.Int64 // when either has last answered, in nanoseconds since 1970
}

// errGivenUp ends a run in which one of the two servers has failed for too long.
var errGivenUp = errors.New("given up")

// run imports the ids that the service does not have. It fails when it had to stop
// before all had their turn.
func (im *importer) run(ctx context.Context, ids []string) error {
	missing, err := im.missing(ctx, ids)
	if err != nil {
		return ended(ctx, fmt.Errorf("ask the service what it has: %w", err))
	}
	now := time.Now().UnixNano()
	im.oldWell.Store(now)
	im.newWell.Store(now)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	queue := make(chan string)
	var wg sync.WaitGroup
	for range im.parallel {
		wg.Go(func() {
			for id := range queue {
				if err := im.carry(ctx, id); err != nil {
					stop(err)
				}
			}
		})
	}
	for _, id := range missing {
		select {
		case queue <- id:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(queue)
	wg.Wait()
	if ctx.Err() != nil {
		return ended(ctx, context.Cause(ctx))
	}
	return nil
}

// ended is the failure of a run that was stopped: an interruption is called so.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled) {
		return errors.New("interrupted; start it again to go on")
	}
	return err
}

// missing returns the ids that the service has no record of. It reads the list of
// records, because asking for each id would make the service ask the old server.
func (im *importer) missing(ctx context.Context, ids []string) ([]string, error) {
	open := make(map[string]bool, len(ids))
	for _, id := range ids {
		open[id] = true
	}
	for record, err := range im.api.History(ctx, client.HistoryQuery{PageSize: exportPage}) {
		if err != nil {
			return nil, err
		}
		if open[record.ID] {
			im.tally.skip(record.ID)
			if delete(open, record.ID); len(open) == 0 {
				return nil, nil
			}
		}
	}
	rest := make([]string, 0, len(open))
	for _, id := range ids {
		if open[id] {
			rest = append(rest, id)
		}
	}
	return rest, nil
}

// carry imports one record. It fails if no further one should be tried.
func (im *importer) carry(ctx context.Context, id string) error {
	session, err := im.fetch(ctx, id)
	if err != nil {
		return im.notFetched(ctx, id, err)
	}
	if session.Live() {
		im.tally.lose(id, reasonLive, "")
		return nil
	}
	created, err := im.store(ctx, session)
	switch {
	case err != nil:
		return im.notStored(ctx, id, err)
	case created:
		im.tally.create(id)
	default:
		im.tally.skip(id)
	}
	return nil
}

// fetch asks the old server, and waits while it is left alone because it failed.
func (im *importer) fetch(ctx context.Context, id string) (cobrowse.Session, error) {
	for busy := 0; ; {
		session, err := im.old.Record(ctx, cobrowse.SessionID(id))
		failed, ok := errors.AsType[*gcb.Error](err)
		switch {
		case err == nil, cobridge.CodeOf(err) == cobridge.CodeNotFound, ok && !failed.Reason.Passing():
			im.oldWell.Store(time.Now().UnixNano())
			return session, err
		case ok && failed.Reason == gcb.ReasonBusy && busy < maxBusy:
			busy++
			im.oldWell.Store(time.Now().UnixNano()) // it is well, and has enough to do
		case !ok || failed.Reason != gcb.ReasonResting:
			return session, err
		case im.tooLong(&im.oldWell):
			return session, fmt.Errorf("%w: the old server does not answer: %w", errGivenUp, err)
		}
		if err := pause(ctx, waitFor(err), &im.tally.forOld); err != nil {
			return session, err
		}
	}
}

// waitFor is how long a failure of the old server asks to wait.
func waitFor(err error) time.Duration {
	wait := importRest
	if failed, ok := errors.AsType[*cobridge.Error](err); ok && failed.RetryAfter > 0 {
		wait = min(failed.RetryAfter, time.Minute)
	}
	return wait
}

func (im *importer) notFetched(ctx context.Context, id string, err error) error {
	failed, known := errors.AsType[*gcb.Error](err)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, errGivenUp):
		return err
	case cobridge.CodeOf(err) == cobridge.CodeNotFound:
		im.tally.lose(id, reasonNotFound, "")
	case known && failed.Reason == gcb.ReasonRefused:
		return fmt.Errorf("%w: %w", errGivenUp, err) // for this one as for all others
	case known:
		im.tally.lose(id, reason(failed.Reason), failed.Text)
	default:
		return err
	}
	return nil
}

// store hands a record to the service, and waits while it asks for that or is away.
func (im *importer) store(ctx context.Context, s cobrowse.Session) (bool, error) {
	record := client.NewHistoryRecord{SessionToken: string(s.Token), DateCreated: s.CreatedAt, DateActivated: s.ActivatedAt, DateEnded: s.EndedAt}
	for _, p := range cobrowse.KeepPages(s.Pages) {
		record.Pages = append(record.Pages, client.PageVisit{
			URL: p.URL, Title: p.Title, DateEntered: p.EnteredAt, DurationSeconds: int(max(p.LeftAt.Sub(p.EnteredAt), 0) / time.Second),
		})
	}
	for {
		_, created, err := im.api.ImportHistoryRecord(ctx, string(s.ID), record)
		refused, ok := errors.AsType[*client.Error](err)
		switch {
		case err == nil, ok && refused.Status < http.StatusInternalServerError && refused.Status != http.StatusTooManyRequests:
			im.newWell.Store(time.Now().UnixNano())
			return created, err
		case ok && refused.Status == http.StatusTooManyRequests:
			im.newWell.Store(time.Now().UnixNano()) // it is well, and has enough to do
		case ctx.Err() != nil:
			return false, err
		case im.tooLong(&im.newWell):
			return false, fmt.Errorf("%w: the service does not answer: %w", errGivenUp, err)
		}
		wait := time.Second
		if ok {
			wait = max(wait, refused.RetryAfter)
		}
		if err := pause(ctx, wait, &im.tally.forNew); err != nil {
			return false, err
		}
	}
}

func (im *importer) notStored(ctx context.Context, id string, err error) error {
	refused, ok := errors.AsType[*client.Error](err)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, errGivenUp) || !ok:
		return err
	}
	switch refused.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w: %w", errGivenUp, err) // for this one as for all others
	case http.StatusConflict, http.StatusNotFound:
		im.tally.lose(id, reasonTaken, refused.Message)
	case http.StatusBadRequest:
		for _, d := range refused.Details {
			if d.ErrorCode == "retention" {
				im.tally.lose(id, reasonRetention, "")
				return nil
			}
		}
		im.tally.lose(id, reasonInvalid, refused.Error())
	default:
		im.tally.lose(id, reasonInvalid, refused.Error())
	}
	return nil
}

func (im *importer) tooLong(well *atomic.Int64) bool {
	return time.Since(time.Unix(0, well.Load())) > im.patience
}

// pause waits, counted among those who do, or fails if the context ends before.
func pause(ctx context.Context, d time.Duration, waiting *atomic.Int32) error {
	waiting.Add(1)
	defer waiting.Add(-1)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// show shows how far the import is until the returned function is called: as a bar on
// a terminal, else as a line now and then.
func (im *importer) show(c console, quiet bool) func() {
	if quiet {
		return func() {}
	}
	begin := time.Now()
	line, every := statusOf(c.err), barEvery
	say := func() { line.show("%s", im.tally.progress(time.Since(begin), true)) }
	if line.w == nil {
		every = progressEvery
		say = func() { _, _ = io.WriteString(c.err, im.tally.progress(time.Since(begin), false)+"\n") }
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				say()
			case <-done:
				line.clear()
				return
			}
		}
	})
	return func() {
		close(done)
		wg.Wait()
	}
}
