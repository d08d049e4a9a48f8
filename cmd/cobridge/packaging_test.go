package main

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/cobridge/cobridge/bridge/config"
)

// packaging are the files that start the program somewhere, by their paths in the repository.
func packaging(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, pattern := range []string{"Dockerfile", "compose.yaml", ".goreleaser.yaml", "docs/operations.md", "docs/operations/*"} {
		found, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(pattern)))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		for _, path := range found {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			all[strings.TrimPrefix(filepath.ToSlash(path), "../../")] = string(text)
		}
	}
	return all
}

// Every variable that is set somewhere is one that the program knows: it refuses others.
func TestPackagingVariables(t *testing.T) {
	t.Parallel()
	known := map[string]bool{config.EnvFile: true}
	for _, f := range config.Fields() {
		known[f.Env] = true
	}
	for _, name := range clientVariables() {
		known[name] = true
	}
	seen := 0
	for path, text := range packaging(t) {
		for _, name := range regexp.MustCompile(`\bCOBRIDGE_[A-Z_]+\b`).FindAllString(text, -1) {
			seen++
			if !known[name] {
				t.Errorf("%s has %s, which is no variable of the program", path, name)
			}
		}
	}
	if seen < 5 {
		t.Errorf("%d variables: are they still found?", seen)
	}
}

// commandLine finds command lines of the program: in prose between backquotes, in code,
// in units, and as lists.
var commandLine = regexp.MustCompile(`(?m)(?:^|[\s'"/` + "`" + `=])cobridge((?: (?:[a-z]+|--?[a-z-]+(?:=\S+)?|[^\s` + "`" + `']+))+)`)

// Every command line has a command and flags that the program has.
func TestPackagingCommands(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	check := func(path string, words []string) {
		root := newRoot(console{out: io.Discard, err: io.Discard})
		cmd, rest, err := root.Find(words)
		if err != nil || cmd == root {
			t.Errorf("%s: %q is no command of the program: %v", path, words, err)
			return
		}
		seen[cmd.Name()] = true
		for _, word := range rest {
			name, isFlag := strings.CutPrefix(word, "--")
			name, _, _ = strings.Cut(name, "=")
			if isFlag && cmd.Flags().Lookup(name) == nil && cmd.InheritedFlags().Lookup(name) == nil {
				t.Errorf("%s: %s has no flag --%s", path, cmd.CommandPath(), name)
			}
		}
	}
	commands := map[string]bool{}
	for _, cmd := range newRoot(console{}).Commands() {
		commands[cmd.Name()] = true
	}
	for path, text := range packaging(t) {
		for _, m := range commandLine.FindAllStringSubmatch(text, -1) {
			words := strings.Fields(m[1])
			if i := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, "#") || w == "|" || strings.HasPrefix(w, ">") }); i >= 0 {
				words = words[:i]
			}
			if len(words) > 0 && commands[words[0]] {
				check(path, words)
			}
		}
		// As a list, in a Dockerfile or a manifest.
		for _, m := range regexp.MustCompile(`(?m)(?:CMD \[|args: \[)([^\]]+)\]`).FindAllStringSubmatch(text, -1) {
			words := strings.FieldsFunc(m[1], func(r rune) bool { return strings.ContainsRune(`", `, r) })
			if words[0] == "/cobridge" {
				words = words[1:]
			}
			if len(words) > 0 {
				check(path, words)
			}
		}
	}
	for _, name := range []string{"serve", "backup", "restore", "check", "compact", "healthcheck", "create"} {
		if !seen[name] {
			t.Errorf("no command line with %s: are they still found? %v", name, slices.Sorted(maps.Keys(seen)))
		}
	}
}

// instructions returns a Dockerfile's, without comments, each on one line.
func instructions(text string) []string {
	text = regexp.MustCompile(`(?m)^\s*#.*\n`).ReplaceAllString(text, "")
	text = strings.ReplaceAll(text, "\\\n", " ")
	return slices.DeleteFunc(strings.Split(text, "\n"), func(s string) bool { return strings.TrimSpace(s) == "" })
}

// The image holds the program, certificates and a directory, runs as nobody in
// particular, and says how it is.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	all := instructions(packaging(t)["Dockerfile"])
	last := slices.IndexFunc(all, func(s string) bool { return s == "FROM scratch" })
	if last < 0 {
		t.Fatalf("no stage is from scratch: %q", all)
	}
	final := strings.Join(all[last:], "\n")
	for _, want := range []string{
		`USER 65532:65532`, `ENTRYPOINT ["/cobridge"]`, `CMD ["serve"]`, `HEALTHCHECK `, `CMD ["/cobridge", "healthcheck"]`, `VOLUME /data`, `EXPOSE 8080`,
		"COBRIDGE_LISTEN=:8080", "COBRIDGE_STORE=bolt:/data/", "--from=build", "ca-certificates.crt",
	} {
		if !strings.Contains(final, want) {
			t.Errorf("the last stage has no %s:\n%s", want, final)
		}
	}
	if regexp.MustCompile(`(?m)^(RUN|ADD) `).MatchString(final) {
		t.Errorf("the last stage runs or fetches something:\n%s", final)
	}
	known := []string{"FROM", "ARG", "WORKDIR", "COPY", "RUN", "ENV", "USER", "VOLUME", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
	for _, line := range all {
		if word, _, _ := strings.Cut(line, " "); !slices.Contains(known, word) {
			t.Errorf("%q is no instruction", line)
		}
	}
}

// node is YAML that is looked into by path.
type node map[string]any

func (n node) at(path ...any) any {
	var value any = map[string]any(n)
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := value.(map[string]any)
			value = m[step]
		case int:
			list, _ := value.([]any)
			if step >= len(list) {
				return nil
			}
			value = list[step]
		}
	}
	return value
}

func documents(t *testing.T, text string) []node {
	t.Helper()
	var all []node
	for decoder := yaml.NewDecoder(strings.NewReader(text)); ; {
		var n map[string]any // of a type without a name, so that those in it are too
		switch err := decoder.Decode(&n); {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			t.Fatal(err)
		}
		all = append(all, n)
	}
}

func TestCompose(t *testing.T) {
	t.Parallel()
	file := documents(t, packaging(t)["compose.yaml"])[0]
	service := func(path ...any) any { return file.at(append([]any{"services", "cobridge"}, path...)...) }
	for what, ok := range map[string]bool{
		"read-only root":    service("read_only") == true,
		"no capabilities":   service("cap_drop", 0) == "ALL",
		"no new privileges": service("security_opt", 0) == "no-new-privileges:true",
		"loopback alone":    service("ports", 0) == "127.0.0.1:8080:8080",
		"a volume":          service("volumes", 0) == "data:/data",
	} {
		if !ok {
			t.Errorf("compose.yaml: want %s", what)
		}
	}
	text, _ := service("stop_grace_period").(string)
	graceIsEnough(t, "compose.yaml", text)
}

// graceIsEnough: whoever stops the service waits longer than it takes to stop.
func graceIsEnough(t *testing.T, where, text string) {
	t.Helper()
	grace, err := time.ParseDuration(text)
	if drain := config.Default().Shutdown.Drain; err != nil || grace <= drain+5*time.Second {
		t.Errorf("%s waits %s for the end, want more than %s and 5s", where, text, drain)
	}
}

// The manifests fit together, and to the program.
func TestKubernetes(t *testing.T) {
	t.Parallel()
	byKind := map[string][]node{}
	for _, n := range documents(t, packaging(t)["docs/operations/kubernetes.yaml"]) {
		kind, _ := n.at("kind").(string)
		byKind[kind] = append(byKind[kind], n)
	}
	for _, kind := range []string{"ConfigMap", "PersistentVolumeClaim", "Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy"} {
		if len(byKind[kind]) == 0 {
			t.Fatalf("there is no %s", kind)
		}
	}
	deployment := byKind["Deployment"][0]
	pod := func(path ...any) any { return deployment.at(append([]any{"spec", "template", "spec"}, path...)...) }
	container := func(path ...any) any { return pod(append([]any{"containers", 0}, path...)...) }
	for what, ok := range map[string]bool{
		"one replica":             deployment.at("spec", "replicas") == 1,
		"Recreate":                deployment.at("spec", "strategy", "type") == "Recreate",
		"not root":                pod("securityContext", "runAsNonRoot") == true && pod("securityContext", "runAsUser") == 65532,
		"read-only root":          container("securityContext", "readOnlyRootFilesystem") == true,
		"no capabilities":         container("securityContext", "capabilities", "drop", 0) == "ALL",
		"no escalation":           container("securityContext", "allowPrivilegeEscalation") == false,
		"no token of the cluster": pod("automountServiceAccountToken") == false,
	} {
		if !ok {
			t.Errorf("the deployment: want %s", what)
		}
	}
	seconds, _ := pod("terminationGracePeriodSeconds").(int)
	graceIsEnough(t, "the deployment", (time.Duration(seconds) * time.Second).String())
	ports := map[any]bool{}
	for i := 0; container("ports", i) != nil; i++ {
		ports[container("ports", i, "name")] = true
	}
	for _, probe := range []string{"startupProbe", "livenessProbe", "readinessProbe"} {
		path := container(probe, "httpGet", "path")
		if want := map[bool]string{true: "/healthz", false: "/readyz"}[probe == "livenessProbe"]; path != want || !ports[container(probe, "httpGet", "port")] {
			t.Errorf("%s asks %v at %v, want %s at a port of the container", probe, path, container(probe, "httpGet", "port"), want)
		}
	}
	volumes := map[any]bool{}
	for i := 0; pod("volumes", i) != nil; i++ {
		volumes[pod("volumes", i, "name")] = true
	}
	mounted := false
	for i := 0; container("volumeMounts", i) != nil; i++ {
		if !volumes[container("volumeMounts", i, "name")] {
			t.Errorf("volume %v is not there", container("volumeMounts", i, "name"))
		}
		mounted = mounted || container("volumeMounts", i, "mountPath") == "/data"
	}
	if !mounted {
		t.Error("the store's directory is no volume")
	}
	labels := deployment.at("spec", "template", "metadata", "labels", "app.kubernetes.io/name")
	selectors := map[string][]any{
		"Deployment": {"spec", "selector", "matchLabels"}, "Service": {"spec", "selector"},
		"PodDisruptionBudget": {"spec", "selector", "matchLabels"}, "NetworkPolicy": {"spec", "podSelector", "matchLabels"},
	}
	for kind, path := range selectors {
		for _, n := range byKind[kind] {
			if got := n.at(append(path, "app.kubernetes.io/name")...); got != labels || labels == nil {
				t.Errorf("%s %v selects %v, the pods are %v", kind, n.at("metadata", "name"), got, labels)
			}
		}
	}
	for _, s := range byKind["Service"] {
		if port := s.at("spec", "ports", 0, "targetPort"); !ports[port] {
			t.Errorf("service %v leads to port %v, which the container does not have", s.at("metadata", "name"), port)
		}
	}
	text, _ := byKind["ConfigMap"][0].at("data", "cobridge.yaml").(string)
	file := writeFile(t, t.TempDir(), "cobridge.yaml", text)
	if _, err := config.Load(config.Sources{File: file, Env: []string{"COBRIDGE_ADMIN_LISTEN=:9090"}, Flags: pflag.NewFlagSet("", pflag.ContinueOnError)}); err != nil {
		t.Errorf("the configuration: %v", err)
	}
}

// What a release packs is there.
func TestGoreleaser(t *testing.T) {
	t.Parallel()
	file := documents(t, packaging(t)[".goreleaser.yaml"])[0]
	var paths []string
	files, _ := file.at("archives", 0, "files").([]any)
	for _, f := range files {
		name, _ := f.(string)
		paths = append(paths, name)
	}
	for i := 0; file.at("nfpms", 0, "contents", i) != nil; i++ {
		name, _ := file.at("nfpms", 0, "contents", i, "src").(string)
		paths = append(paths, name)
	}
	if main, _ := file.at("builds", 0, "main").(string); main != "" {
		paths = append(paths, main)
	}
	if len(paths) < 10 {
		t.Errorf("it names %q: are they still found?", paths)
	}
	for _, path := range paths {
		if found, err := filepath.Glob(filepath.Join("..", "..", path)); err != nil || len(found) == 0 {
			t.Errorf("%s is not there", path)
		}
	}
}

// The units as systemd reads them, where there is a systemd to ask. It wants to find the
// programs that they start.
func TestUnits(t *testing.T) {
	t.Parallel()
	units := packaging(t)
	service := units["docs/operations/cobridge.service"]
	if m := regexp.MustCompile(`(?m)^TimeoutStopSec=(\d+)$`).FindStringSubmatch(service); m == nil {
		t.Error("the unit has no TimeoutStopSec")
	} else {
		graceIsEnough(t, "the unit", m[1]+"s")
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not here")
	}
	program, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	args := []string{"verify", "--man=no"}
	for _, name := range []string{"cobridge.service", "cobridge-backup.service", "cobridge-backup.timer"} {
		text := strings.ReplaceAll(units["docs/operations/"+name], "ExecStart=cobridge ", "ExecStart="+program+" ")
		args = append(args, writeFile(t, dir, name, text))
	}
	if out, err := exec.CommandContext(t.Context(), analyze, args...).CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), analyze, "security", "--offline=yes", "--threshold=20", "--no-pager", args[2]).CombinedOutput()
	if strings.Contains(string(out), "unrecognized option") || strings.Contains(string(out), "Unknown") {
		t.Skip("this systemd-analyze does not look at files")
	}
	if err != nil {
		t.Errorf("the exposure of the unit is above 2.0: %v\n%.3000s", err, out)
	}
}
