package bolt_test

import (
	"path/filepath"
	"testing"

	"github.com/cobridge/cobridge/bridge/engine/enginetest"
)

func TestWebhooks(t *testing.T) {
	t.Parallel()
	enginetest.RunWebhooks(t, func(t *testing.T) enginetest.Engine {
		return reopenable(t, filepath.Join(t.TempDir(), "store.db"))
	})
}
