package bridge_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/cobridge/cobridge/bridge/config"
)

// rule is an alert of docs/operations/alerts.yaml.
type rule struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

func alerts(t *testing.T) []rule {
	t.Helper()
	data, err := os.ReadFile("../docs/operations/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []rule
		}
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(data)))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		t.Fatalf("alerts.yaml: %v", err)
	}
	var all []rule
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	if len(all) < 10 {
		t.Fatalf("%d alerts: are they still read?", len(all))
	}
	return all
}

// panelExpressions returns what the dashboard asks, by the title of the panel.
func panelExpressions(t *testing.T) map[string][]string {
	t.Helper()
	data, err := os.ReadFile("../docs/operations/grafana-dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	type place struct{ H, W, X, Y int }
	var board struct {
		Panels []struct {
			ID          int
			Type, Title string
			GridPos     place
			Targets     []struct{ Expr string }
		}
		Annotations struct{ List []struct{ Name, Expr string } }
	}
	if err := json.Unmarshal(data, &board); err != nil {
		t.Fatalf("dashboard: %v", err)
	}
	all, ids := map[string][]string{}, map[int]bool{}
	for _, p := range board.Panels {
		if ids[p.ID] {
			t.Errorf("panel %q has an id of another", p.Title)
		}
		ids[p.ID] = true
		if _, twice := all[p.Title]; twice {
			t.Errorf("two panels are called %q", p.Title)
		}
		if p.GridPos.X+p.GridPos.W > 24 || p.GridPos.W == 0 || p.GridPos.H == 0 {
			t.Errorf("panel %q is at %+v, want it within 24 columns", p.Title, p.GridPos)
		}
		all[p.Title] = []string{}
		for _, target := range p.Targets {
			all[p.Title] = append(all[p.Title], target.Expr)
		}
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %q asks nothing", p.Title)
		}
	}
	for _, a := range board.Annotations.List {
		all["annotation "+a.Name] = []string{a.Expr}
	}
	return all
}

var (
	metricName = regexp.MustCompile(`\b(?:cobridge|process|go)_\w+`)
	selector   = regexp.MustCompile(`\b((?:cobridge|process|go)_\w+)\{([^}]*)\}`)
	labelName  = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)`)
	aPart      = regexp.MustCompile(`_(?:bucket|sum|count)$`)
)

// TestDashboardAndAlertsUseWhatThereIs: every metric and label that the dashboard or an
// alert names is one that docs/metrics.md describes or the process serves, and every
// metric that is described stands on the dashboard.
func TestDashboardAndAlertsUseWhatThereIs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string][]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(cobridge_\\w+)` \\| (\\w+) \\|([^|]*)\\|").FindAllStringSubmatch(string(page), -1) {
		labels[row[1]] = append(regexp.MustCompile(`\w+`).FindAllString(row[3], -1), "job", "instance") // Prometheus adds these
	}
	h := serve(t, filepath.Join(t.TempDir(), "store.db"), io.Discard, func(c *config.Config) { c.Legacy.DOMRestrictions.Source = "not-there.xml" })
	_, data := h.call(http.MethodGet, "/metrics", "", "")
	for _, row := range regexp.MustCompile(`(?m)^# TYPE ((?:go|process)_\w+) `).FindAllStringSubmatch(string(data), -1) {
		labels[row[1]] = []string{"job", "instance"}
	}

	used := map[string]bool{}
	check := func(where, expr string) {
		for _, name := range metricName.FindAllString(expr, -1) {
			known := aPart.ReplaceAllString(name, "")
			if _, ok := labels[name]; ok {
				known = name
			}
			if _, ok := labels[known]; !ok {
				t.Errorf("%s names %s, which is no metric of the service", where, name)
			}
			used[known] = true
		}
		for _, m := range selector.FindAllStringSubmatch(expr, -1) {
			known := m[1]
			if _, ok := labels[known]; !ok {
				known = aPart.ReplaceAllString(known, "")
			}
			for _, label := range labelName.FindAllStringSubmatch(m[2], -1) {
				if !slices.Contains(labels[known], label[1]) {
					t.Errorf("%s asks for %s by %s, which it does not have", where, m[1], label[1])
				}
			}
		}
	}
	for title, exprs := range panelExpressions(t) {
		for _, expr := range exprs {
			check("panel "+title, expr)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if strings.HasPrefix(name, "cobridge_") && !used[name] {
			t.Errorf("%s has no panel in docs/operations/grafana-dashboard.json", name)
		}
	}
	for _, r := range alerts(t) {
		check("alert "+r.Alert, r.Expr)
	}
}

// Whoever is woken finds under the alert's name what to do.
func TestAlertsHaveRunbooks(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	headings := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (Cobridge\w+)$`).FindAllStringSubmatch(string(page), -1) {
		headings[m[1]] = true
	}
	names := map[string]bool{}
	for _, r := range alerts(t) {
		if names[r.Alert] {
			t.Errorf("two alerts are called %s", r.Alert)
		}
		names[r.Alert] = true
		if !headings[r.Alert] || r.Annotations["runbook"] != "operations.md#"+strings.ToLower(r.Alert) {
			t.Errorf("alert %s: runbook %q, heading in docs/operations.md: %t", r.Alert, r.Annotations["runbook"], headings[r.Alert])
		}
		if severity := r.Labels["severity"]; severity != "page" && severity != "ticket" {
			t.Errorf("alert %s has severity %q, want page or ticket", r.Alert, severity)
		}
		if r.Annotations["summary"] == "" {
			t.Errorf("alert %s says nothing", r.Alert)
		}
	}
	for heading := range headings {
		if !names[heading] {
			t.Errorf("docs/operations.md says what to do about %s, which is no alert", heading)
		}
	}
}
