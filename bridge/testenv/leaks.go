package testenv

import (
	"testing"

	"go.uber.org/goleak"
)

// VerifyNoLeaks is for the TestMain of a package that runs servers: it fails when
// a goroutine is left behind that is not fasthttp's own.
func VerifyNoLeaks(m *testing.M) {
	goleak.VerifyTestMain(m,
		// It keeps the time of the Date header in a goroutine that never ends,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		// and one per server that notices the end only after a nap of ten seconds.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
	)
}
