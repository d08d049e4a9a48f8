package gcb_test

import (
	"testing"

	"github.com/cobridge/cobridge/bridge/testenv"
)

func TestMain(m *testing.M) { testenv.VerifyNoLeaks(m) }
