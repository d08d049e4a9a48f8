package operations_test

import (
	"bytes"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// The Dockerfile as BuildKit reads it, with what its linter says of the instructions.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	read, err := parser.Parse(bytes.NewReader(read(t, "../../Dockerfile")))
	if err != nil {
		t.Fatal(err)
	}
	for _, warning := range read.Warnings {
		t.Errorf("%+v", warning)
	}
	lint := linter.New(&linter.Config{Warn: func(rule, _, _, message string, at []parser.Range) {
		t.Errorf("%s: %s at %+v", rule, message, at)
	}})
	stages, _, err := instructions.Parse(read.AST, lint)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(stages); n != 2 || stages[n-1].BaseName != "scratch" {
		t.Errorf("%d stages, want two, the last from scratch", n)
	}
}

// compose.yaml as docker compose reads it.
func TestCompose(t *testing.T) {
	t.Parallel()
	project, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir: "../..", ConfigFiles: []types.ConfigFile{{Filename: "compose.yaml", Content: read(t, "../../compose.yaml")}},
	}, func(o *loader.Options) { o.SetProjectName("cobridge", true) })
	if err != nil {
		t.Fatal(err)
	}
	service, err := project.GetService("cobridge")
	if err != nil {
		t.Fatal(err)
	}
	if !service.ReadOnly || len(service.Volumes) != 2 || service.StopGracePeriod == nil {
		t.Errorf("the service is %+v", service)
	}
}
