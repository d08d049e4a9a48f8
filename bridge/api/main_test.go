package api_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/cobridge/cobridge/bridge/api"
	"github.com/cobridge/cobridge/docs/openapitest"
)

// checkers holds the one checker of a run: loading the document takes long.
type checkers struct {
	once sync.Once
	one  *openapitest.Checker
}

var shared checkers

func (s *checkers) get(tb testing.TB) *openapitest.Checker {
	tb.Helper()
	s.once.Do(func() { s.one = openapitest.NewChecker(tb) })
	return s.one
}

// Every documented answer is given by at least one test, when all of them run.
func TestMain(m *testing.M) {
	code := m.Run()
	all := flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.skip").Value.String() == "" &&
		flag.Lookup("test.list").Value.String() == "" && flag.Lookup("test.fuzz").Value.String() == ""
	if all && code == 0 && shared.one != nil {
		for _, missing := range shared.one.Missing() {
			if !slices.ContainsFunc(api.Routes(), func(r api.Route) bool { return r.Method+" "+r.Path == missing.Operation }) {
				continue // another adapter's
			}
			fmt.Fprintf(os.Stderr, "no test saw the documented answer %v\n", missing)
			code = 1
		}
	}
	os.Exit(code)
}
