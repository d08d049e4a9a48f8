package bridge_test

import (
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge/bridge"
	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/docs"
)

// TestEveryRouteIsDocumented compares what the assembled service answers with the
// API document, in both directions.
func TestEveryRouteIsDocumented(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	// What is optional is documented too.
	cfg.Legacy.Organisation, cfg.Legacy.Deployment = config.DemoOrgID, config.DemoShopDeploymentID
	cfg.Legacy.Enabled, cfg.Legacy.Knowledge.Enabled = true, true
	cfg.Store = "bolt:" + filepath.Join(t.TempDir(), "store.db")
	app, err := bridge.Open(t.Context(), cfg, bridge.Options{Log: slog.New(slog.DiscardHandler), Clock: time.Now})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := app.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	doc, err := openapi3.NewLoader().LoadFromData(docs.OpenAPI)
	if err != nil {
		t.Fatalf("load openapi.yaml: %v", err)
	}
	var documented []string
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			documented = append(documented, method+" "+path)
		}
	}
	served := slices.DeleteFunc(app.Routes(), func(route string) bool {
		method, path, _ := strings.Cut(route, " ")
		// Parts of pages, and the HEAD that comes with each GET.
		return strings.HasPrefix(path, "/docs/") || strings.HasPrefix(path, "/cobrowse/assets/") || strings.HasPrefix(path, "/cobrowse/js/") ||
			// CometD has one address for everything, and a protocol of its own; the other one is the same history again.
			strings.HasPrefix(path, "/cobrowse/cometd") || strings.HasPrefix(path, "/history/sessions/") ||
			method == http.MethodHead && !slices.Contains(documented, route)
	})
	slices.Sort(documented)
	slices.Sort(served)
	if diff := cmp.Diff(documented, served); diff != "" {
		t.Errorf("the document (-) and the routes (+) differ:\n%s", diff)
	}
}
