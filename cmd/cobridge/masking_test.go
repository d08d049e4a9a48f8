package main

import (
	"strings"
	"testing"

	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/cobrowse"
)

func TestMaskingProof(t *testing.T) {
	t.Parallel()
	chromium := testenv.Need(t, testenv.Chromium)
	report, err := proveMasking(t.Context(), chromium, cobrowse.SharingRules{}, func(what string) { t.Log(what) })
	if err != nil {
		t.Fatal(err)
	}
	if !report.Valid() {
		t.Errorf("the text that is not masked was found in %+v alone", report.Control)
	}
	for _, row := range report.Rows {
		for _, found := range row.Found {
			t.Errorf("%s (%s) leaked %s, into %d of the %s", row.ID, row.Where, found.As, found.Count, found.Where)
		}
	}
	if len(report.Rows) < 33 || report.Steps < 20 {
		t.Errorf("%d secrets and %d steps, want more", len(report.Rows), report.Steps)
	}
}

// A rule that shows one field must show up in the report, and nothing else: else
// the proof could not fail.
func TestMaskingProofFindsALeak(t *testing.T) {
	t.Parallel()
	chromium := testenv.Need(t, testenv.Chromium)
	report, err := proveMasking(t.Context(), chromium, cobrowse.SharingRules{ShowSelectors: []string{"#typed", "#card", "#password"}}, func(what string) { t.Log(what) })
	if err != nil {
		t.Fatal(err)
	}
	var leaked []string
	for _, row := range report.Rows {
		if len(row.Found) > 0 {
			leaked = append(leaked, row.Where)
		}
	}
	// Nothing shows passwords and card numbers, whatever a rule says.
	if got := strings.Join(leaked, ", "); got != "text field, typed" || report.Passed() {
		t.Errorf("leaked: %s; want the field that is shown, alone", got)
	}
}
