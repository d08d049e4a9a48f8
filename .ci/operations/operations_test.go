package operations_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

const (
	alertsFile    = "../../docs/operations/alerts.yaml"
	dashboardFile = "../../docs/operations/grafana-dashboard.json"
	manifestsFile = "../../docs/operations/kubernetes.yaml"
)

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The rules as Prometheus reads them, with the templates of their texts.
func TestAlerts(t *testing.T) {
	t.Parallel()
	groups, errs := rulefmt.Parse(read(t, alertsFile), false, model.UTF8Validation)
	for _, err := range errs {
		t.Error(err)
	}
	if groups == nil || len(groups.Groups) != 1 || len(groups.Groups[0].Rules) < 20 {
		t.Errorf("groups = %+v: are they still read?", groups)
	}
}

// Everything that the dashboard asks is PromQL, once Grafana has put its variables in.
func TestDashboard(t *testing.T) {
	t.Parallel()
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
		Annotations struct{ List []struct{ Name, Expr string } }
	}
	if err := json.Unmarshal(read(t, dashboardFile), &board); err != nil {
		t.Fatal(err)
	}
	variables := strings.NewReplacer("$__rate_interval", "5m", "$job", ".+", "$instance", ".+")
	asked := 0
	check := func(where, expr string) {
		asked++
		tree, err := parser.ParseExpr(variables.Replace(expr))
		if err != nil {
			t.Errorf("%s: %s: %v", where, expr, err)
			return
		}
		// A panel without the variables shows one installation's numbers under another's name.
		parser.Inspect(tree, func(n parser.Node, _ []parser.Node) error {
			if s, ok := n.(*parser.VectorSelector); ok {
				found := map[string]bool{}
				for _, m := range s.LabelMatchers {
					found[m.Name] = true
				}
				if !found["job"] || !found["instance"] {
					t.Errorf("%s: %s is not narrowed to the job and instance that were chosen", where, s)
				}
			}
			return nil
		})
	}
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			check("panel "+p.Title, target.Expr)
		}
	}
	for _, a := range board.Annotations.List {
		check("annotation "+a.Name, a.Expr)
	}
	if asked < 50 {
		t.Errorf("%d expressions: are they still found?", asked)
	}
}

// Alerts come when they should and stay away when all is well: scenarios for promtool,
// where it is.
func TestAlertsFire(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not here (Debian package prometheus)")
	}
	if out, err := exec.CommandContext(t.Context(), promtool, "test", "rules", "alerts.test.yaml").CombinedOutput(); err != nil {
		t.Errorf("promtool test rules: %v\n%s", err, out)
	}
}

// Every alert has a scenario.
func TestEveryAlertIsTried(t *testing.T) {
	t.Parallel()
	var rules struct {
		Groups []struct{ Rules []struct{ Alert string } }
	}
	var scenarios struct {
		Tests []struct {
			AlertRuleTest []struct {
				Alertname string           `json:"alertname"`
				Expect    []map[string]any `json:"exp_alerts"`
			} `json:"alert_rule_test"`
		}
	}
	if err := errors.Join(yaml.Unmarshal(read(t, alertsFile), &rules), yaml.Unmarshal(read(t, "alerts.test.yaml"), &scenarios)); err != nil {
		t.Fatal(err)
	}
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, test := range scenarios.Tests {
		for _, tried := range test.AlertRuleTest {
			fires[tried.Alertname] = fires[tried.Alertname] || len(tried.Expect) > 0
			quiet[tried.Alertname] = quiet[tried.Alertname] || len(tried.Expect) == 0
		}
	}
	for _, rule := range rules.Groups[0].Rules {
		if !fires[rule.Alert] || !quiet[rule.Alert] {
			t.Errorf("%s: a scenario in which it fires: %t, in which it does not: %t", rule.Alert, fires[rule.Alert], quiet[rule.Alert])
		}
	}
}

// The manifests have no field that Kubernetes does not know, nor one of another type.
func TestManifests(t *testing.T) {
	t.Parallel()
	kinds := map[string]func() any{
		"v1 ConfigMap":                       func() any { return &corev1.ConfigMap{} },
		"v1 PersistentVolumeClaim":           func() any { return &corev1.PersistentVolumeClaim{} },
		"v1 Service":                         func() any { return &corev1.Service{} },
		"apps/v1 Deployment":                 func() any { return &appsv1.Deployment{} },
		"policy/v1 PodDisruptionBudget":      func() any { return &policyv1.PodDisruptionBudget{} },
		"networking.k8s.io/v1 NetworkPolicy": func() any { return &networkingv1.NetworkPolicy{} },
	}
	seen := map[string]bool{}
	for text := range bytes.SplitSeq(read(t, manifestsFile), []byte("\n---\n")) {
		var head struct{ APIVersion, Kind string }
		if err := yaml.Unmarshal(text, &head); err != nil {
			t.Fatal(err)
		}
		kind := head.APIVersion + " " + head.Kind
		made, ok := kinds[kind]
		if !ok {
			t.Errorf("there is no type here for %s", kind)
			continue
		}
		if err := yaml.UnmarshalStrict(text, made()); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		seen[kind] = true
	}
	if len(seen) != len(kinds) {
		t.Errorf("%d kinds are there, %d are known here", len(seen), len(kinds))
	}
}
