package cobridge_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/cobridge/cobridge"

// Third-party modules, by the names that the table uses. A package of the module
// counts as the module.
const (
	cobra      = "github.com/spf13/cobra"
	fasthttp   = "github.com/valyala/fasthttp"
	fiber      = "github.com/gofiber/fiber/v2"
	gobreaker  = "github.com/sony/gobreaker/v2"
	goCmp      = "github.com/google/go-cmp"
	goleak     = "go.uber.org/goleak"
	httpmock   = "github.com/jarcoal/httpmock"
	jsonschema = "github.com/santhosh-tekuri/jsonschema/v6"
	jwt        = "github.com/golang-jwt/jwt/v5"
	kinOpenAPI = "github.com/getkin/kin-openapi"
	koanf      = "github.com/knadh/koanf"
	bbolt      = "go.etcd.io/bbolt"
	oauth2     = "golang.org/x/oauth2"
	pflag      = "github.com/spf13/pflag"
	prometheus = "github.com/prometheus/client_golang"
	rueidis    = "github.com/redis/rueidis"
	resty      = "github.com/go-resty/resty/v2"
	uuid       = "github.com/google/uuid"
	websocket  = "github.com/fasthttp/websocket"
	xnet       = "golang.org/x/net"
	xrate      = "golang.org/x/time"
	yaml       = "go.yaml.in/yaml/v3"

	anyThirdParty = "*" // whatever is neither ours nor the standard library's
)

// house is the table of packages: what each may import besides the root package
// and the standard library. Imports run down the floors and never sideways
// between adapters. A package that has no row fails the test; a row is added or
// widened together with a record in docs/adr.
var house = map[string][]string{
	"": {}, // the root package: the ground everything stands on

	// What starts things.
	"cmd/cobridge":   {"bridge", "bridge/config", "bridge/devtools", "bridge/engine/bolt", "bridge/gcb", "bridge/maskproof", "cobrowse", "cobrowse/client", "cobrowse/client/live", "mocks", "mocks/contract", cobra, pflag},
	"mocks":          {"bridge", "bridge/config", "cobrowse", "conversations", "oauth", httpmock},
	"mocks/contract": {},

	// The service put together, by hand.
	"bridge": {
		"bridge/api", "bridge/stream", "bridge/pages", "bridge/engine/bolt", "bridge/engine/redis", "bridge/gcb", "bridge/legacy", "bridge/bayeux", "bridge/knowledge", "bridge/limit", "bridge/web", "bridge/config",
		"bridge/cluster", "bridge/cluster/tunnel", "bridge/egress", "bridge/notify", "bridge/notify/socket", "bridge/notify/webhook",
		"cobrowse", "cobrowse/relay", "cobrowse/webui", "conversations", "conversations/genesys", "oauth", "docs", anyThirdParty,
	},

	// The adapters.
	"bridge/api":               {"cobrowse", "conversations", "oauth", "bridge/limit", "bridge/notify", "bridge/web", "docs", fiber, jsonschema, prometheus, uuid, yaml},
	"bridge/stream":            {"cobrowse", "cobrowse/relay", "bridge/cluster", "bridge/web", fiber, websocket},
	"bridge/cluster":           {"cobrowse"},
	"bridge/cluster/tunnel":    {"bridge/cluster", "bridge/web", "cobrowse", fiber},
	"bridge/pages":             {"cobrowse", "cobrowse/webui", "bridge/web", "docs", fiber},
	"bridge/bayeux":            {"bridge/web", fiber, websocket, xrate},
	"bridge/legacy":            {"bridge/bayeux", "cobrowse", "conversations", "oauth", "bridge/knowledge", "bridge/web", fiber, uuid},
	"bridge/gcb":               {"cobrowse", resty, gobreaker},
	"bridge/notify/socket":     {"bridge/notify", "bridge/web", fiber, websocket, xrate},
	"bridge/notify/webhook":    {"bridge/egress", "bridge/notify"},
	"bridge/engine/bolt":       {"cobrowse", "conversations", "oauth", "bridge/knowledge", "bridge/notify", bbolt},
	"bridge/engine/redis":      {"cobrowse", "conversations", "oauth", "bridge/cluster", "bridge/knowledge", "bridge/notify", rueidis},
	"bridge/engine/enginetest": {"cobrowse", "conversations", "oauth", "bridge/knowledge", "bridge/notify", goCmp},
	"bridge/egress":            {},
	"bridge/limit":             {xrate},
	"bridge/web":               {fiber, fasthttp, uuid},
	"bridge/config":            {koanf, yaml, pflag},
	"bridge/devtools":          {websocket},
	"bridge/maskproof":         {"bridge/devtools"},
	"bridge/testenv":           {goleak}, // for test files only, so no row may name it

	// The rules, and what is read by people and browsers.
	"cobrowse":              {"conversations", jwt, uuid},
	"cobrowse/client":       {"cobrowse", resty, oauth2},
	"cobrowse/client/live":  {websocket, xnet},
	"cobrowse/relay":        {},
	"cobrowse/webui":        {},
	"conversations":         {uuid},
	"conversations/genesys": {"conversations", resty, oauth2, gobreaker, websocket},
	"oauth":                 {jwt, uuid},
	"docs":                  {},
	"bridge/knowledge":      {},
	"bridge/notify":         {"cobrowse", "conversations", "oauth", uuid},

	// For test files only, so no row may name them.
	"cobrowse/webui/e2e": {},
	"docs/openapitest":   {"docs", kinOpenAPI},
}

// domains know no HTTP and no database, not even the standard library's.
var domains = []string{"cobrowse", "cobrowse/relay", "conversations", "oauth", "bridge/knowledge", "bridge/notify"}

// forTests are the packages that may import package testing outside of test files.
var forTests = []string{"bridge/engine/enginetest", "bridge/testenv", "docs/openapitest"}

// listed is the part of go list's output that is looked at here.
type listed struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
	Standard   bool
}

// row is the package's key in the table.
func (p listed) row() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

// packages lists the module's packages. The test cache does not see what a child
// process reads: run with -count=1, or with -shuffle=on, which is never cached.
func packages(t *testing.T) []listed {
	t.Helper()
	return goList(t, "-json=ImportPath,Dir,GoFiles,Imports", "./...")
}

func goList(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var p listed
		if err := dec.Decode(&p); err != nil {
			t.Fatalf("read go list: %v", err)
		}
		all = append(all, p)
	}
	return all
}

// violation says what is wrong with an import of the package, or "".
func violation(pkg, imported string, standard bool) string {
	if standard {
		switch {
		case slices.Contains(domains, pkg) && (imported == "net/http" || strings.HasPrefix(imported, "net/http/") || imported == "database/sql"):
			return "the domain knows no HTTP and no database"
		case imported == "testing" && !slices.Contains(forTests, pkg):
			return "the service must not carry package testing"
		}
		return ""
	}
	if imported == module {
		return ""
	}
	own, isOwn := strings.CutPrefix(imported, module+"/")
	for _, allowed := range house[pkg] {
		switch {
		case isOwn && own == allowed:
			return ""
		case !isOwn && (allowed == anyThirdParty || imported == allowed || strings.HasPrefix(imported, allowed+"/")):
			return ""
		}
	}
	return "its row in the table does not have it"
}

func TestImports(t *testing.T) {
	t.Parallel()
	standard := map[string]bool{}
	for _, p := range goList(t, "-json=ImportPath,Standard", "std") {
		standard[p.ImportPath] = p.Standard
	}
	for _, p := range packages(t) {
		if len(p.GoFiles) == 0 {
			continue // tests only: nothing can import it
		}
		if _, ok := house[p.row()]; !ok {
			t.Errorf("package %s has no row in the table: add one, with a record in docs/adr", p.row())
			continue
		}
		for _, imported := range p.Imports {
			if why := violation(p.row(), imported, standard[imported]); why != "" {
				t.Errorf("package %q imports %s: %s", p.row(), imported, why)
			}
		}
	}
}

// The table itself: a check that lets everything through would pass TestImports.
func TestImportTable(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pkg, imported string
		standard      bool
		want          bool // allowed
	}{
		{"cobrowse", "time", true, true},
		{"cobrowse", module, false, true},
		{"cobrowse", module + "/conversations", false, true},
		{"cobrowse", module + "/oauth", false, false},
		{"cobrowse", "net/http", true, false},
		{"oauth", "net/http/httptest", true, false},
		{"conversations", fiber, false, false},
		{"bridge/api", "net/http", true, true},
		{"bridge/api", fiber + "/middleware/adaptor", false, true},
		{"bridge/api", "github.com/gofiber/fiber/v22", false, false},
		{"bridge/api", module + "/bridge/stream", false, false},
		{"bridge/api", module + "/bridge/engine/bolt", false, false},
		{"bridge", module + "/bridge/engine/bolt", false, true},
		{"bridge", module + "/mocks", false, false},
		{"bridge", module + "/bridge/testenv", false, false},
		{"bridge", xrate + "/rate", false, true},
		{"mocks/contract", "testing", true, false},
		{"bridge/engine/enginetest", "testing", true, true},
	} {
		if why := violation(tt.pkg, tt.imported, tt.standard); (why == "") != tt.want {
			t.Errorf("%s imports %s: allowed = %t (%s), want %t", tt.pkg, tt.imported, why == "", why, tt.want)
		}
	}
	for pkg, row := range house {
		for _, allowed := range row {
			if _, own := house[allowed]; !own && allowed != anyThirdParty && !strings.Contains(allowed, ".") {
				t.Errorf("row %q allows %q, which is neither a package of the table nor a module", pkg, allowed)
			}
		}
	}
}

// Without the pin the module graph selects a fasthttp from before the fixes for
// request smuggling (duplicate Content-Length and Transfer-Encoding, CRLF in
// headers) and for the reader of hijacked connections.
func TestFasthttpIsPinned(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Version}}", fasthttp).Output()
	if err != nil {
		t.Fatalf("go list -m %s: %v", fasthttp, err)
	}
	if got, want := strings.TrimSpace(string(out)), "v1.73.0"; got != want {
		t.Errorf("%s is %s, want %s", fasthttp, got, want)
	}
}

func TestEachPackageHasOneDocGo(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		var with []string
		for _, name := range p.GoFiles {
			path := filepath.Join(p.Dir, name)
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Errorf("parse %s: %v", path, err)
				continue
			}
			if comment(file) != "" {
				with = append(with, name)
			}
		}
		if want := []string{"doc.go"}; len(p.GoFiles) > 0 && !slices.Equal(with, want) {
			t.Errorf("package %q has its package comment in %q, want %q", p.row(), with, want)
		}
	}
}

// comment is the text of the package comment, without directives such as go:build.
func comment(file *ast.File) string {
	return strings.TrimSpace(file.Doc.Text())
}

// topLevel is everything that may stand at the top besides dot files.
var topLevel = []string{
	"cmd", "bridge", "oauth", "cobrowse", "conversations", "mocks", "docs",
	"go.mod", "go.sum", "README.md", "Makefile", "LICENSE", "NOTICE", "CHANGELOG.md", "CONTRIBUTING.md", "Dockerfile", "compose.yaml",
	"cobridge.go", "doc.go", "errors.go", "errors_test.go", "deps_test.go",
}

func TestTopLevel(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, path := range files(t) {
		first, _, _ := strings.Cut(path, "/")
		seen[first] = true
	}
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		if !strings.HasPrefix(name, ".") && !slices.Contains(topLevel, name) {
			t.Errorf("%s is not a name for the top level", name)
		}
	}
	for _, name := range []string{"LICENSE", "go.mod", "doc.go"} {
		if !seen[name] {
			t.Errorf("%s is missing at the top level", name)
		}
	}
}

// maxLines is where a file surely has a second subject in it.
const maxLines = 600

// noNames say nothing about what a file holds.
var noNames = []string{"util", "utils", "helper", "helpers", "common", "misc", "types", "interfaces"}

var (
	written   = regexp.MustCompile(`\.(go|js|ts|css)$`)
	elsewhere = regexp.MustCompile(`(^|/)(testdata|third_party|dist)/`)
	binary    = regexp.MustCompile(`\.(png|ico|woff2|gz)$`)

	// A conflict that was not resolved, and a path of one person's machine.
	leftover = regexp.MustCompile(`(?m)^(<{7}|>{7}) |/(home|Users)/[a-z][\w.-]*/|[\s"'` + "`" + `=(:]/root/`)
	// A marker for work to do carries the number of an issue.
	unnumbered = regexp.MustCompile(`\b(TODO|FIXME|XXX)\b(\(#\d+\))?`)
)

func TestFiles(t *testing.T) {
	t.Parallel()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files(t) {
		if elsewhere.MatchString(path) || binary.MatchString(path) || strings.HasSuffix(path, ".sum") {
			continue
		}
		text, err := os.ReadFile(filepath.FromSlash(path))
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted and not committed yet
		}
		if err != nil {
			t.Errorf("read %s: %v", path, err)
			continue
		}
		if lines := bytes.Count(text, []byte("\n")); written.MatchString(path) && lines > maxLines {
			t.Errorf("%s has %d lines, want at most %d: look for the second subject in it", path, lines, maxLines)
		}
		base := strings.TrimSuffix(filepath.Base(path), "_test.go")
		if base = strings.TrimSuffix(base, filepath.Ext(base)); written.MatchString(path) && slices.Contains(noNames, base) {
			t.Errorf("%s: a file is named after what it holds", path)
		}
		if path == "deps_test.go" {
			continue // it names what the others must not have
		}
		if found := leftover.Find(text); found != nil {
			t.Errorf("%s has %q in it", path, found)
		}
		// A short path such as /src may stand anywhere for other reasons.
		if strings.Count(here, "/") >= 2 && bytes.Contains(text, []byte(here)) {
			t.Errorf("%s names the directory of this clone", path)
		}
		for _, found := range unnumbered.FindAllSubmatch(text, -1) {
			if written.MatchString(path) && len(found[2]) == 0 {
				t.Errorf("%s has a %s without the number of an issue", path, found[1])
			}
		}
	}
}

// files lists what the repository holds, with slashes. Where git cannot say it,
// for instance in an unpacked archive, it lists what the directory holds.
func files(t *testing.T) []string {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "git", "ls-files", "-z").Output(); err == nil && len(out) > 0 {
		return strings.Split(strings.TrimRight(string(out), "\x00"), "\x00")
	}
	var all []string
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (path == ".git" || path == "bin"):
			return filepath.SkipDir
		case !entry.IsDir():
			all = append(all, filepath.ToSlash(path))
		}
		return nil
	})
	if err != nil {
		t.Fatalf("list files: %v", err)
	}
	return all
}
