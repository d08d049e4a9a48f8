package client_test

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/cobridge/cobridge/cobrowse/client"
	"github.com/cobridge/cobridge/mocks"
)

// stage is what an example has in place of a test.
type stage struct {
	ctx      context.Context //nolint:containedctx // it stands for a test, which has one
	cleanups []func()
}

var _ mocks.T = (*stage)(nil)

// onStage gives an example the service in memory and a client of it; the function ends
// both. A test does the same with its *testing.T:
//
//	m := mocks.New(t)
//	c, err := client.New(client.Options{BaseURL: m.BaseURL, ClientID: m.ClientID, ClientSecret: m.ClientSecret, Transport: m.Transport, Clock: m.Now})
func onStage(options ...mocks.Option) (*mocks.Mock, *client.Client, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	t := &stage{ctx: ctx, cleanups: []func(){cancel}}
	m := mocks.New(t, options...)
	c, err := client.New(client.Options{BaseURL: m.BaseURL, ClientID: m.ClientID, ClientSecret: m.ClientSecret, Transport: m.Transport, Clock: m.Now})
	if err != nil {
		t.Fatalf("%v", err)
	}
	return m, c, func() {
		for _, f := range slices.Backward(t.cleanups) {
			f()
		}
	}
}

func (t *stage) Helper()                           {}
func (t *stage) Context() context.Context          { return t.ctx }
func (t *stage) Cleanup(f func())                  { t.cleanups = append(t.cleanups, f) }
func (t *stage) Logf(string, ...any)               {}
func (t *stage) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (t *stage) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func (t *stage) TempDir() string {
	dir, err := os.MkdirTemp("", "client-example-")
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
