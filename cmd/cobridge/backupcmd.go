package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/bridge/engine/bolt"
)

func newBackup(c console) *cobra.Command {
	var o struct {
		admin, to string
		force     bool
	}
	cmd := &cobra.Command{
		Use: "backup --to FILE", Short: "Make a backup of the store, also while the service runs", Args: cobra.NoArgs,
		Long: `Make a backup of the store.

With --admin a running service gives it, at the address of its adminListen: consistent, with all that
was acknowledged before. Without, the store of a stopped service is read. The backup is verified before
it gets its name, so that what is there under this name stays there until then.

It holds signing keys, hashed secrets and personal data: keep it as you keep the store itself.`,
		Example: `  cobridge backup --admin http://127.0.0.1:9090 --to cobridge-backup.db
  cobridge backup --store bolt:cobridge.db --to cobridge-backup.db`,
	}
	load := withConfig(cmd, c)
	cmd.Flags().VisitAll(hideUnless("config", "store", "admin-token-file"))
	flags := cmd.Flags()
	flags.StringVar(&o.admin, "admin", "", "admin address of the running service, such as http://127.0.0.1:9090")
	flags.StringVar(&o.to, "to", "", "file to make, with mode 0600; - is standard output, with --admin alone")
	flags.BoolVar(&o.force, "force", false, "replace the file if it is there")
	_ = cmd.MarkFlagRequired("to") // fails for a flag that does not exist, and it does
	cmd.RunE = action(func(ctx context.Context, _ []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		ctx, stop := untilSignalled(ctx)
		defer stop()
		line := statusOf(c.err)
		defer line.clear()
		if o.admin == "" {
			if o.to == "-" {
				return usageError("standard output is for --admin alone")
			}
			path, err := storeThere(cfg)
			if err != nil {
				return err
			}
			return keepBackup(ctx, c, line, o.to, o.force, func(w io.Writer) error {
				_, err := bolt.BackupFile(ctx, path, w, time.Now())
				return err
			})
		}
		if o.to == "-" {
			return fetchBackup(ctx, o.admin, cfg.AdminToken.Reveal(), c.out, line)
		}
		return keepBackup(ctx, c, line, o.to, o.force, func(w io.Writer) error { return fetchBackup(ctx, o.admin, cfg.AdminToken.Reveal(), w, line) })
	})
	return cmd
}

// storeThere returns the path of the configured store, which must be there.
func storeThere(cfg config.Config) (string, error) {
	path, err := cfg.StoreFile()
	if err != nil {
		return "", usageError("this is for bolt: stores: " + err.Error())
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("there is no store %s: give the --config or --store that the service runs with", path)
	}
	return path, nil
}

// keepBackup makes the file and says what is in it.
func keepBackup(ctx context.Context, c console, line *status, to string, force bool, fill func(io.Writer) error) error {
	report, err := bolt.WriteBackup(ctx, to, force, progressOn(line), fill)
	line.clear()
	if err != nil {
		return err
	}
	return printReport(c, to, report)
}

// progressOn shows how far something is, some times a second.
func progressOn(line *status) bolt.Progress {
	var last time.Time
	return func(step string, done, total int64) {
		if now := time.Now(); now.Sub(last) > 100*time.Millisecond {
			last = now
			line.show("%s: %d of %d MB (%d %%)", step, done/1e6, total/1e6, 100*done/max(total, 1))
		}
	}
}

// fetchBackup asks a running service for a backup and copies it to w as it comes.
func fetchBackup(ctx context.Context, admin, token string, w io.Writer, line *status) (err error) {
	address, err := url.Parse(admin)
	if err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" {
		return usageError("--admin: want an address such as http://127.0.0.1:9090")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address.JoinPath("backup").String(), http.NoBody)
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	client := &http.Client{
		// It answers when its own copy is whole. No proxy: the address is of the inner network.
		Transport:     &http.Transport{ResponseHeaderTimeout: 15 * time.Minute, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	line.show("waiting for the service")
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("ask for a backup: %w", err)
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the service gives no backup: %s", refusal(resp))
	}
	show := progressOn(line)
	checked := bolt.NewSealReader(&shown{r: resp.Body, total: resp.ContentLength, show: show})
	if _, err := io.Copy(w, checked); err != nil {
		return fmt.Errorf("fetch the backup: %w", err)
	}
	return nil
}

// refusal says why a request was not answered as it should.
func refusal(resp *http.Response) string {
	const limit = 64 << 10
	var failure struct{ Message string }
	data, err := io.ReadAll(io.LimitReader(resp.Body, limit))
	switch {
	case err == nil && json.Unmarshal(data, &failure) == nil && failure.Message != "":
		return fmt.Sprintf("%s (%d)", failure.Message, resp.StatusCode)
	case resp.StatusCode == http.StatusNotFound:
		return "is this the address of its adminListen? (404)"
	}
	return resp.Status
}

// shown is a reader that tells how far it is.
type shown struct {
	r           io.Reader
	done, total int64
	show        bolt.Progress
}

func (s *shown) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.done += int64(n)
	s.show("fetching", s.done, s.total)
	return n, err
}

func newRestore(c console) *cobra.Command {
	var from, to string
	var force bool
	cmd := &cobra.Command{
		Use: "restore --from FILE --to bolt:FILE", Short: "Put a backup in the place of the store of a stopped service", Args: cobra.NoArgs,
		Long: `Put a backup in the place of the store of a stopped service. It is verified first, and once more as
the copy that it becomes: whatever is wrong with it, what was there stays there. With --force a store
that is there is replaced, and kept beside the new one.`,
		Example: "  cobridge restore --from cobridge-backup.db --to bolt:cobridge.db",
	}
	flags := cmd.Flags()
	flags.StringVar(&from, "from", "", "a backup, or the file of another stopped service's store")
	flags.StringVar(&to, "to", "", "the store, as the configuration names it: bolt:FILE")
	flags.BoolVar(&force, "force", false, "replace the store that is there; it is kept under another name")
	for _, name := range []string{"from", "to"} {
		_ = cmd.MarkFlagRequired(name) // fails for a flag that does not exist, and it does
	}
	cmd.RunE = action(func(ctx context.Context, _ []string) error {
		path, err := config.Config{Store: to}.StoreFile()
		if err != nil {
			return usageError("--to: " + err.Error())
		}
		ctx, stop := untilSignalled(ctx)
		defer stop()
		line := statusOf(c.err)
		done, err := bolt.Restore(ctx, bolt.Restoring{From: from, To: path, Replace: force, At: time.Now(), Progress: progressOn(line)})
		line.clear()
		if err != nil {
			return err
		}
		if err := printReport(c, from, done.Report); err != nil {
			return err
		}
		text := "restored to " + path
		if done.Report.Seal == nil {
			text += " (the file has no seal, so nothing but its structure could be verified)"
		}
		if done.Aside != "" {
			text += "\nthe store that was there is now " + done.Aside
		}
		_, err = fmt.Fprintln(c.out, text)
		return err
	})
	return cmd
}

// printReport says what a file holds.
func printReport(c console, path string, r bolt.Report) error {
	w := tabwriter.NewWriter(plainWriter{c.out}, 0, 0, 2, ' ', 0)
	row := func(name string, value any) { _, _ = fmt.Fprintf(w, "%s\t%v\n", name, value) } // kept until Flush
	row("file", path)
	row("format", r.Format)
	row("bytes", r.Bytes)
	row("free in it", r.Free)
	if r.Seal != nil {
		row("made at", r.Seal.MadeAt.UTC().Format(time.RFC3339))
		row("SHA-256", r.Seal.SHA256)
	}
	for _, count := range r.Counts {
		row(count.Kind, count.Count)
	}
	if len(r.Problems) > 0 {
		row("problems", len(r.Problems)+r.More)
		for _, problem := range r.Problems {
			row("", strings.ToValidUTF8(problem, "?"))
		}
	}
	return w.Flush()
}
