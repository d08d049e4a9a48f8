package docs_test

import (
	"regexp"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/cobridge/cobridge/docs"
)

func TestOpenAPIIsValid(t *testing.T) {
	t.Parallel()
	doc, err := openapi3.NewLoader().LoadFromData(docs.OpenAPI)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Errorf("validate: %v", err)
	}
	if !doc.IsOpenAPI31OrLater() {
		t.Errorf("openapi is %q, want 3.1", doc.OpenAPI)
	}
}

// Anchors and merge keys are YAML 1.1; readers of 1.2, browsers among them, take
// "<<" for a member's name.
func TestOpenAPIHasNoMergeKeys(t *testing.T) {
	t.Parallel()
	if found := regexp.MustCompile(`(?m)^\s*<<:.*$|: [&*]\w+.*$`).Find(docs.OpenAPI); found != nil {
		t.Errorf("openapi.yaml has %q", found)
	}
}
