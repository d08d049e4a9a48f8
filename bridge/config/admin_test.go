package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cobridge/cobridge/bridge/config"
)

// The token of the admin address comes from a file, a variable or the configuration, and
// is never so short, or so missing, that whoever set it is wrong about who may have a backup.
func TestAdminToken(t *testing.T) {
	t.Parallel()
	const token = "0123456789-admin-token-0123456789"
	dir := t.TempDir()
	for name, text := range map[string]string{"token": token + "\n", "empty": "\n", "short": "secret"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ name, keys, env, want string }{
		{"none", "", "", ""},
		{"in a file", "adminTokenFile: token", "", ""},
		{"in a variable", "", "COBRIDGE_ADMIN_TOKEN=" + token, ""},
		{"both", "adminTokenFile: token", "COBRIDGE_ADMIN_TOKEN=" + token, "adminTokenFile: stands beside adminToken"},
		{"empty", "adminTokenFile: empty", "", "adminTokenFile: no secret in it"},
		{"missing", "adminTokenFile: nowhere", "", "adminTokenFile: open"},
		{"short", "adminTokenFile: short", "", "adminToken: 6 characters, want 32.."},
	} {
		path := filepath.Join(dir, tt.name+".yaml")
		if err := os.WriteFile(path, []byte(tt.keys+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Load(config.Sources{File: path, Env: []string{tt.env}})
		switch {
		case tt.want != "":
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), token) {
				t.Errorf("%s: Load = %v, want %q without the token", tt.name, err, tt.want)
			}
		case err != nil:
			t.Errorf("%s: Load = %v", tt.name, err)
		default:
			want := token
			if tt.name == "none" {
				want = ""
			}
			if got := cfg.AdminToken.Reveal(); got != want {
				t.Errorf("%s: the token is %q, want %q", tt.name, got, want)
			}
			if text, err := cfg.YAML(); err != nil || strings.Contains(string(text), token) {
				t.Errorf("%s: the configuration as it is printed shows the token, or %v", tt.name, err)
			}
		}
	}
}
