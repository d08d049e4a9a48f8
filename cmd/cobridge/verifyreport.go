package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cobridge/cobridge/mocks/contract"
)

// What became of a case.
const (
	passed  = "ok"
	failed  = "failed"
	skipped = "skipped"
)

// caseResult is one line of a report.
type caseResult struct {
	Rows     []string      `json:"rows,omitempty"` // of the checklist
	Name     string        `json:"name"`           // what is promised
	Status   string        `json:"status"`         // ok, failed or skipped
	Why      string        `json:"why,omitempty"`  // it was skipped, all of it or parts
	Seconds  float64       `json:"seconds"`
	Failures []caseFailure `json:"failures,omitempty"`

	full string // name with its rows
}

// caseFailure is one thing that is not as it was promised. Tokens and secrets are masked.
type caseFailure struct {
	Message string `json:"message"`           // what came, and what was expected
	Request string `json:"request,omitempty"` // the last one before it was noticed
	Answer  string `json:"answer,omitempty"`  // to it
}

// report is what verify prints with --json. Keys are never renamed.
type report struct {
	BaseURL  string       `json:"baseUrl"`
	Started  time.Time    `json:"started"`
	Seconds  float64      `json:"seconds"`
	Calls    int          `json:"calls"`
	Totals   totals       `json:"totals"`
	Cases    []caseResult `json:"cases"`
	Problems []string     `json:"problems,omitempty"` // of no case
}

type totals struct {
	OK      int `json:"ok"`
	Failed  int `json:"failed"`
	Skipped int `json:"skipped"`
}

func (r *report) finish(took time.Duration, calls int) {
	r.Seconds, r.Calls = float64(took.Milliseconds())/1000, calls
	r.Totals = totals{Failed: len(r.Problems)}
	for _, one := range r.Cases {
		switch one.Status {
		case passed:
			r.Totals.OK++
		case failed:
			r.Totals.Failed++
		default:
			r.Totals.Skipped++
		}
	}
}

func (r *report) summary() string {
	took := time.Duration(r.Seconds * float64(time.Second)).Round(100 * time.Millisecond)
	return fmt.Sprintf("%d ok, %d FAILED, %d skipped; %d calls in %v", r.Totals.OK, r.Totals.Failed, r.Totals.Skipped, r.Calls, took)
}

// tablePrinter prints a line for each case as soon as it is done.
type tablePrinter struct {
	out         io.Writer
	rows, width int // of the first two columns, in characters
}

func newTablePrinter(out io.Writer, cases []contract.Case) *tablePrinter {
	p := &tablePrinter{out: plainWriter{out}, rows: len("ROWS"), width: len("PROMISE")}
	for _, one := range cases {
		p.rows = max(p.rows, len(strings.Join(one.Rows(), " ")))
		p.width = max(p.width, utf8.RuneCountInString(promise(one.Name)))
	}
	return p
}

func (p *tablePrinter) head(baseURL string, harmless, all int) {
	_, _ = fmt.Fprintf(p.out, "%s: %d of the %d cases of the contract\n\n%-*s  %-*s  %-7s  %7s\n", baseURL, harmless, all, p.rows, "ROWS", p.width, "PROMISE", "RESULT", "TIME")
}

func (p *tablePrinter) line(r caseResult) {
	status := r.Status
	if status == failed {
		status = "FAILED"
	}
	took := fmt.Sprintf("%.2f s", r.Seconds)
	if r.Status == skipped {
		took = "-"
	}
	_, _ = fmt.Fprintln(p.out, strings.TrimRight(fmt.Sprintf("%-*s  %-*s  %-7s  %7s  %s", p.rows, strings.Join(r.Rows, " "), p.width, r.Name, status, took, r.Why), " "))
	for _, f := range r.Failures {
		_, _ = fmt.Fprint(p.out, indented("    ", f.Message)+indented("      > ", f.Request)+indented("      < ", f.Answer))
	}
}

// indented puts a margin before each line.
func indented(margin, text string) string {
	if text == "" {
		return ""
	}
	return margin + strings.ReplaceAll(text, "\n", "\n"+margin) + "\n"
}

// The parts of a JUnit report that tools read.
type (
	junitSuite struct {
		XMLName  xml.Name    `xml:"testsuite"`
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     float64     `xml:"time,attr"`
		Stamp    string      `xml:"timestamp,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class    string         `xml:"classname,attr"`
		Name     string         `xml:"name,attr"`
		Time     float64        `xml:"time,attr"`
		Failures []junitMessage `xml:"failure"`
		Skipped  *junitMessage  `xml:"skipped"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

func (r *report) writeJUnit(path string) (err error) {
	suite := junitSuite{
		Name: "cobridge verify " + r.BaseURL, Tests: len(r.Cases), Failures: r.Totals.Failed, Skipped: r.Totals.Skipped,
		Time: r.Seconds, Stamp: r.Started.Format("2006-01-02T15:04:05"),
	}
	for _, one := range r.Cases {
		c := junitCase{Class: "contract", Name: one.full, Time: one.Seconds}
		for _, f := range one.Failures {
			message, _, _ := strings.Cut(f.Message, "\n")
			c.Failures = append(c.Failures, junitMessage{Message: message, Text: f.Message + "\n" + indented("> ", f.Request) + indented("< ", f.Answer)})
		}
		if one.Status == skipped {
			c.Skipped = &junitMessage{Message: one.Why}
		}
		suite.Cases = append(suite.Cases, c)
	}
	text, err := xml.MarshalIndent(suite, "", "  ")
	if err != nil {
		return fmt.Errorf("write JUnit report: %w", err)
	}
	file, err := createReport(path)
	if err != nil {
		return fmt.Errorf("write JUnit report: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := io.WriteString(file, xml.Header+string(text)+"\n"); err != nil {
		return fmt.Errorf("write JUnit report: %w", err)
	}
	return nil
}
