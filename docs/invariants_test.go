package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestNamedTestsExist: a page that names a test as its proof must not outlive the test.
func TestNamedTestsExist(t *testing.T) {
	t.Parallel()
	tests := testsByDirectory(t)
	for _, page := range []string{"architecture.md", "security.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		named := regexp.MustCompile("`(\\w+)\\.((?:Test|Fuzz)\\w+)`").FindAllStringSubmatch(string(text), -1)
		if len(named) < 10 {
			t.Errorf("%s names %d tests; is it still written as `package.TestName`?", page, len(named))
		}
		for _, m := range named {
			if !tests[m[1]+"."+m[2]] {
				t.Errorf("%s names %s.%s, which does not exist", page, m[1], m[2])
			}
		}
		if loose := regexp.MustCompile("`(?:Test|Fuzz)\\w+`").FindAllString(string(text), -1); len(loose) > 0 {
			t.Errorf("%s names tests without their package: %v", page, loose)
		}
	}
}

// testsByDirectory returns every test of the repository as "directory.TestName".
func testsByDirectory(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil {
				found[filepath.Base(filepath.Dir(path))+"."+fn.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("walk: %v", err)
	}
	return found
}
