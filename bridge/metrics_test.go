package bridge_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cobridge/cobridge/bridge/config"
)

// TestMetricsAreDocumented compares docs/metrics.md with what a service serves
// after it has answered something of each kind, in both directions.
// amongNodes are the metrics of those that share a store, which this one does not.
var amongNodes = regexp.MustCompile(`^cobridge_(cluster|tunnels)_`)

func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	documented := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(cobridge_\\w+)` \\| (\\w+) \\|").FindAllStringSubmatch(string(page), -1) {
		documented[row[1]] = row[2]
	}
	h := serve(t, filepath.Join(t.TempDir(), "store.db"), io.Discard, func(c *config.Config) {
		c.Legacy.DOMRestrictions.Source = "not-there.xml"
		inCloud("http://127.0.0.1:1")(c)
	})
	h.call(http.MethodGet, "/healthz", "", "")
	_, data := h.call(http.MethodGet, "/metrics", "", "")
	served := map[string]string{}
	for _, row := range regexp.MustCompile(`(?m)^# TYPE (cobridge_\w+) (\w+)$`).FindAllStringSubmatch(string(data), -1) {
		served[row[1]] = row[2]
		if documented[row[1]] != row[2] {
			t.Errorf("%s is a %s; docs/metrics.md says %q", row[1], row[2], documented[row[1]])
		}
	}
	// Counters with labels show only once they counted; streams have not here.
	for name, kind := range documented {
		if served[name] == "" && !strings.HasPrefix(name, "cobridge_stream") && !amongNodes.MatchString(name) {
			t.Errorf("docs/metrics.md has %s (%s), which is not served", name, kind)
		}
	}
	if strings.Contains(string(data), `route="/healthz",`) == strings.Contains(string(data), `route=""`) {
		t.Errorf("the route label is not the template:\n%.500s", data)
	}
}
