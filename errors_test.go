package cobridge_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
)

func TestCodeOf(t *testing.T) {
	t.Parallel()
	coded := &cobridge.Error{Code: cobridge.CodeConflict, Message: "Taken.", Err: errors.New("cause")}
	for name, tt := range map[string]struct {
		err  error
		want cobridge.Code
	}{
		"nil":     {nil, ""},
		"coded":   {coded, cobridge.CodeConflict},
		"wrapped": {fmt.Errorf("start session: %w", coded), cobridge.CodeConflict},
		"unknown": {errors.New("boom"), cobridge.CodeInternal},
	} {
		if got := cobridge.CodeOf(tt.err); got != tt.want {
			t.Errorf("%s: CodeOf = %q, want %q", name, got, tt.want)
		}
	}
}

func TestCodesAreUnique(t *testing.T) {
	t.Parallel()
	seen := map[cobridge.Code]bool{}
	for _, c := range cobridge.Codes() {
		if c == "" || seen[c] {
			t.Errorf("code %q is empty or listed twice", c)
		}
		seen[c] = true
	}
}

func TestClockCutsToMilliseconds(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, time.March, 4, 6, 6, 7, 89_999_999, time.FixedZone("", 3600))
	if got, want := cobridge.Clock(func() time.Time { return at }).Now(), time.Date(2026, time.March, 4, 5, 6, 7, 89_000_000, time.UTC); !got.Equal(want) || got.Location() != time.UTC {
		t.Errorf("Now = %v, want %v", got, want)
	}
}
