package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/cobridge/cobridge/cobrowse/client"
)

// exportPage is how many records are asked for, held and written at a time.
const exportPage = 100

// The formats of an export.
const (
	formatNDJSON = "ndjson"
	formatCSV    = "csv"
)

// newHistoryExport returns the command history export.
func newHistoryExport(c console, connect func() (*client.Client, error)) *cobra.Command {
	query := client.HistoryQuery{PageSize: exportPage}
	var from, to, format, output string
	var force bool
	cmd := &cobra.Command{
		Use: "export", Short: "Write the records of ended sessions, latest end first", Args: cobra.NoArgs,
		Long: `Write the records of ended sessions, latest end first, while they are read: the memory that it takes
does not grow with their number. What ends meanwhile is not among them.

ndjson is one line of JSON for each record, as "history get" prints it. csv is a table in UTF-8 for
spreadsheets, with one row for each record and these columns:

` + columnHelp() + `
A text that a spreadsheet would take for a formula gets an apostrophe before it. New columns come
last, old ones stay.

A file appears under its name when it is complete, and not at all if the export fails.`,
		Example: `  cobridge history export --from 2026-03-01 --to 2026-04-01 --format csv --output march.csv
  cobridge history export --conversation 5d7c2a41-6f0e-4a57-9d7a-0f3f8e9b1c22 | jq .pages`,
	}
	flags := cmd.Flags()
	flags.StringVar(&query.ConversationID, "conversation", "", "only those of this conversation")
	flags.StringVar(&from, "from", "", "only sessions that ended then or later: a date (UTC), or a time such as 2026-03-04T05:06:07Z")
	flags.StringVar(&to, "to", "", "only sessions that ended before")
	flags.StringVar(&format, "format", formatNDJSON, "ndjson or csv")
	flags.StringVarP(&output, "output", "o", "", "file to write (default: standard output)")
	flags.BoolVar(&force, "force", false, "replace the file if it is there")
	cmd.RunE = action(func(ctx context.Context, _ []string) error {
		var err error
		if query.From, err = moment(from); err != nil {
			return err
		}
		if query.To, err = moment(to); err != nil {
			return err
		}
		if !query.From.IsZero() && !query.To.IsZero() && !query.From.Before(query.To) {
			return usageError("nothing is from " + from + " on and before " + to)
		}
		if format != formatNDJSON && format != formatCSV {
			return usageError(fmt.Sprintf("format %q; want %s or %s", format, formatNDJSON, formatCSV))
		}
		api, err := connect()
		if err != nil {
			return err
		}
		ctx, stop := untilSignalled(ctx) // so that an interrupted one takes its file away
		defer stop()
		line := statusOf(c.err)
		if output == "" && isTerminal(c.out) {
			line = &status{} // the records themselves are seen
		}
		defer line.clear()
		return writeTo(c, output, force, func(w io.Writer) error {
			return exportRecords(ctx, api, query, newRecordWriter(w, format), line)
		})
	})
	return cmd
}

// exportRecords writes the records that a query finds, a page at a time.
func exportRecords(ctx context.Context, api *client.Client, query client.HistoryQuery, w recordWriter, line *status) error {
	n := 0
	for record, err := range api.History(ctx, query) {
		if err != nil {
			if ctx.Err() != nil {
				return errors.New("interrupted")
			}
			return err
		}
		if err := w.write(record); err != nil {
			return err
		}
		if n++; n%exportPage == 0 {
			if err := w.flush(); err != nil {
				return err
			}
			line.show("%d records, back to %s", n, record.DateEnded.Format(time.DateTime))
		}
	}
	return w.flush()
}

// recordWriter writes records in some format. What was not flushed may not be written.
type recordWriter interface {
	write(r client.HistoryRecord) error
	flush() error
}

func newRecordWriter(w io.Writer, format string) recordWriter {
	if format == formatCSV {
		return &csvRecords{table: csv.NewWriter(w)}
	}
	buffer := bufio.NewWriter(w)
	encoder := json.NewEncoder(buffer)
	encoder.SetEscapeHTML(false)
	return &jsonRecords{buffer: buffer, encoder: encoder}
}

type jsonRecords struct {
	buffer  *bufio.Writer
	encoder *json.Encoder
}

func (w *jsonRecords) write(r client.HistoryRecord) error {
	return w.encoder.Encode(r)
}

func (w *jsonRecords) flush() error { return w.buffer.Flush() }

// csvRecords writes the head before the first record, and where there is none.
type csvRecords struct {
	table *csv.Writer
	begun bool
}

func (w *csvRecords) begin() error {
	if w.begun {
		return nil
	}
	w.begun = true
	names := make([]string, len(columns))
	for i, col := range columns {
		names[i] = col.name
	}
	return w.table.Write(names)
}

func (w *csvRecords) write(r client.HistoryRecord) error {
	if err := w.begin(); err != nil {
		return err
	}
	row := make([]string, len(columns))
	for i, col := range columns {
		row[i] = harmless(col.value(r))
	}
	return w.table.Write(row)
}

func (w *csvRecords) flush() error {
	if err := w.begin(); err != nil {
		return err
	}
	w.table.Flush()
	return w.table.Error()
}

// column is one column of the table. Its name and place are published in the help:
// reports go by them.
type column struct {
	name, help string
	value      func(client.HistoryRecord) string
}

// columns are what people count sessions by, one value each; the pages stand in one
// cell at the end, for those who want to take them apart.
var columns = []column{
	{"sessionId", "id of the session and its record", func(r client.HistoryRecord) string { return r.ID }},
	{"conversationId", "empty if it was never tied to one", func(r client.HistoryRecord) string { return r.ConversationID }},
	{"deploymentId", "the web site, if it is known", func(r client.HistoryRecord) string { return r.DeploymentID }},
	{"sessionToken", "nine digits; read the column as text", func(r client.HistoryRecord) string { return r.SessionToken }},
	{"dateCreated", "UTC, as all dates: 2026-03-04T05:06:07.089Z", func(r client.HistoryRecord) string { return date(r.DateCreated) }},
	{"dateActivated", "when both sides were there; empty if they never were", func(r client.HistoryRecord) string { return date(r.DateActivated) }},
	{"dateEnded", "", func(r client.HistoryRecord) string { return date(r.DateEnded) }},
	{"endReason", "such as participantLeft or neverJoined", func(r client.HistoryRecord) string { return r.EndReason }},
	{"waitSeconds", "from creation to activation; empty if it never was active", func(r client.HistoryRecord) string { return between(r.DateCreated, r.DateActivated) }},
	{"activeSeconds", "from activation to the end; 0 if it never was active", func(r client.HistoryRecord) string {
		if r.DateActivated.IsZero() {
			return "0"
		}
		return between(r.DateActivated, r.DateEnded)
	}},
	{"customerName", "", func(r client.HistoryRecord) string { return one(r, "customer").Name }},
	{"agentId", "", func(r client.HistoryRecord) string { return one(r, "agent").UserID }},
	{"agentName", "", func(r client.HistoryRecord) string { return one(r, "agent").Name }},
	{"supervisorIds", "of those who came, with blanks between", supervisors},
	{"controlGrants", "how often the customer let somebody control the page", func(r client.HistoryRecord) string {
		n := 0
		for _, g := range r.Grants {
			if g.Kind == "control" {
				n++
			}
		}
		return strconv.Itoa(n)
	}},
	{"actionCount", "what viewers did on the page", actionCount},
	{"pageCount", "pages that were looked at", func(r client.HistoryRecord) string { return strconv.Itoa(len(r.Pages)) }},
	{"pageSeconds", "time on all of them", func(r client.HistoryRecord) string {
		n := 0
		for _, p := range r.Pages {
			n += p.DurationSeconds
		}
		return strconv.Itoa(n)
	}},
	{"firstPage", "address", func(r client.HistoryRecord) string { return pageAt(r, 0) }},
	{"lastPage", "address", func(r client.HistoryRecord) string { return pageAt(r, len(r.Pages)-1) }},
	{"pages", "all of them: a JSON array as in ndjson", pagesJSON},
}

// columnHelp lists the columns.
func columnHelp() string {
	var text strings.Builder
	for _, col := range columns {
		text.WriteString(strings.TrimRight(fmt.Sprintf("  %-15s %s", col.name, col.help), " ") + "\n")
	}
	return text.String()
}

// date writes a time as the API does, "" for none.
func date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// between is the time between two moments in whole seconds, "" if one has not come.
func between(from, to time.Time) string {
	if from.IsZero() || to.IsZero() {
		return ""
	}
	return strconv.FormatInt(int64(to.Sub(from)/time.Second), 10)
}

// one returns the participant of a role; of several, as when an agent was replaced,
// the latest who came.
func one(r client.HistoryRecord, role string) client.Participant {
	var found client.Participant
	for _, p := range r.Participants {
		if p.Role == role && (found.ID == "" || p.DateJoined.After(found.DateJoined)) {
			found = p
		}
	}
	return found
}

func supervisors(r client.HistoryRecord) string {
	var ids []string
	for _, p := range r.Participants {
		if p.Role == "supervisor" && !p.DateJoined.IsZero() {
			ids = append(ids, p.UserID)
		}
	}
	return strings.Join(ids, " ")
}

// actionCount counts those too for which the record had no room.
func actionCount(r client.HistoryRecord) string {
	n := r.ActionsLeftOut
	for _, a := range r.Actions {
		n += a.Count
	}
	return strconv.Itoa(n)
}

func pageAt(r client.HistoryRecord, i int) string {
	if i < 0 || i >= len(r.Pages) {
		return ""
	}
	return r.Pages[i].URL
}

func pagesJSON(r client.HistoryRecord) string {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if len(r.Pages) == 0 || encoder.Encode(r.Pages) != nil {
		return "[]"
	}
	return strings.TrimSuffix(text.String(), "\n")
}

// harmless returns a text that no spreadsheet takes for a formula: customers choose
// their names, and a cell that begins with one of these signs, narrow or wide, may
// call a program on the machine of whoever opens the table
// (https://owasp.org/www-community/attacks/CSV_Injection). Blanks before the sign
// are no protection, and a tab or a line break is a danger itself.
func harmless(text string) string {
	trimmed := strings.TrimLeftFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == '\ufeff' })
	first := []rune(trimmed + " ")[0]
	if strings.ContainsRune("=+-@\uff1d\uff0b\uff0d\uff20", first) || strings.HasPrefix(text, "\t") || strings.HasPrefix(text, "\r") || strings.HasPrefix(text, "\n") {
		return "'" + text
	}
	return text
}

// writeTo lets fn write a file, or standard output. A file is written beside its
// place and put there when it is complete: half an export looks whole. Whoever reads
// standard output may stop at any time.
func writeTo(c console, path string, force bool, fn func(io.Writer) error) error {
	if path == "" || path == "-" {
		if err := fn(c.out); err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, io.ErrClosedPipe) {
			return err
		}
		return nil
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.Mode().IsRegular() && !info.IsDir(): // a device or a named pipe, which cannot be replaced
		file, err := os.OpenFile(path, os.O_WRONLY, 0) //nolint:gosec // the caller names the file
		if err != nil {
			return fmt.Errorf("write export: %w", err)
		}
		return errors.Join(fn(file), file.Close())
	case err == nil && (info.IsDir() || !force):
		return fmt.Errorf("write export: %w", &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist})
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.part") // readable by its owner alone
	if err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	err = errors.Join(fn(file), file.Sync(), file.Close())
	if err == nil {
		if err = place(file.Name(), path, force); err == nil {
			return nil
		}
		err = fmt.Errorf("write export: %w", err)
	}
	return errors.Join(err, os.Remove(file.Name()))
}

// place gives a complete file its name. Without force it replaces nothing, also not
// what has come there meanwhile.
func place(temporary, path string, force bool) error {
	if !force {
		err := os.Link(temporary, path)
		if err == nil {
			return os.Remove(temporary)
		}
		if errors.Is(err, fs.ErrExist) {
			return err
		}
		if _, err := os.Lstat(path); err == nil { // the file system has no links
			return fs.ErrExist
		}
	}
	return os.Rename(temporary, path)
}
