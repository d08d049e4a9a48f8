package config_test

import (
	"strings"
	"testing"

	"github.com/cobridge/cobridge/bridge/config"
)

// Addresses of stores have passwords in them, which are printed nowhere.
func TestStoreIsPrintedWithoutPasswords(t *testing.T) {
	t.Parallel()
	for store, want := range map[string]string{
		"bolt:a@b?c":                                  "store: bolt:a@b?c\n",
		"redis://h:1/2":                               "store: redis://h:1/2\n",
		"redis://kim:hunter2@h:1":                     "store: redis://***@h:1\n",
		"rediss://:hunter2@@h,i?prefix=hunter2":       "store: rediss://***@h,i?***\n",
		"redis-sentinel://h/m?sentinelPassword=hunt2": "store: redis-sentinel://h/m?***\n",
	} {
		c := config.Default()
		c.Store = store
		text, err := c.YAML()
		if err != nil {
			t.Fatalf("YAML: %v", err)
		}
		if !strings.Contains(string(text), want) || strings.Contains(string(text), "hunt") {
			t.Errorf("store %s is printed as\n%s\nwant %s", store, text, want)
		}
	}
}
