package bolt_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Whoever goes backwards finds everything that is left, wherever the transaction has
// emptied pages before.
func TestBackwardsOverEmptiedPages(t *testing.T) {
	t.Parallel()
	const all = 600
	for name, gone := range map[string]struct{ from, to, below int }{
		"nothing":              {0, 0, all},
		"all":                  {0, all, all},
		"all, looked for amid": {0, all, 300},
		"the first":            {0, 400, all},
		"the last":             {200, all, all},
		"the middle":           {200, 400, all},
		"the middle, from it":  {200, 400, 300},
		"all but the first":    {1, all, all},
		"all but the last":     {0, all - 1, all},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := mustOpen(t, filepath.Join(t.TempDir(), "store.db"))
			key := func(i int) string { return fmt.Sprintf("key-%0100d", i) }
			if err := store.Do(t.Context(), func(put func(key, value []byte)) error {
				for i := range all {
					put([]byte(key(i)), []byte("v"))
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			var want []string
			for i := range gone.below {
				if i < gone.from || i >= gone.to {
					want = append(want, key(i))
				}
			}
			slices.Reverse(want)
			got, err := store.Backwards(func(k []byte) bool {
				return string(k) >= key(gone.from) && string(k) < key(gone.to)
			}, []byte(key(gone.below)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("going backwards from below %d differs (-want +got):\n%s", gone.below, diff)
			}
		})
	}
}
