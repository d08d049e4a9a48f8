package api_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge/bridge/api"
	"github.com/cobridge/cobridge/docs"
)

func TestRoutesAreTheDocumentsOperations(t *testing.T) {
	t.Parallel()
	doc, err := openapi3.NewLoader().LoadFromData(docs.OpenAPI)
	if err != nil {
		t.Fatalf("load openapi.yaml: %v", err)
	}
	var documented, mounted []string
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			if operation.Extensions["x-mounted-by"] != nil {
				continue // another adapter's; bridge compares the whole
			}
			documented = append(documented, method+" "+path+" "+needs(doc, operation))
		}
	}
	for _, r := range api.Routes() {
		scope := "scope:" + r.Scope
		if r.Open {
			scope = "open"
		}
		mounted = append(mounted, r.Method+" "+r.Path+" "+scope)
	}
	slices.Sort(documented)
	slices.Sort(mounted)
	if diff := cmp.Diff(documented, mounted); diff != "" {
		t.Errorf("the document (-) and the routes (+) differ:\n%s", diff)
	}
}

// needs says what an operation asks of the caller.
func needs(doc *openapi3.T, operation *openapi3.Operation) string {
	security := doc.Security
	if operation.Security != nil {
		security = *operation.Security
	}
	for _, requirement := range security {
		if scopes, ok := requirement["oauth"]; ok {
			return "scope:" + strings.Join(scopes, ",")
		}
	}
	return "open"
}

// Every route is really there: an app that lacked one would answer 404 http.
func TestRoutesAreMounted(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var got []string
	for _, routes := range h.app.Stack() {
		for _, r := range routes {
			got = append(got, r.Method+" "+r.Path)
		}
	}
	for _, r := range api.Routes() {
		path := strings.NewReplacer("{", ":", "}", "").Replace(r.Path)
		if !slices.Contains(got, r.Method+" "+path) {
			t.Errorf("%s %s is not mounted", r.Method, r.Path)
		}
	}
}
