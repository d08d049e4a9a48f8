package contract_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/bridge/testenv"
)

// The official JavaScript SDK of Genesys Cloud, as npm has it, works with the real
// binary: testdata/sdk/story.mjs says what it does, and what it wants to see.
func TestOfficialSDK(t *testing.T) {
	t.Parallel()
	node := testenv.Need(t, testenv.Node)
	dir := filepath.Join("testdata", "sdk")
	testenv.NeedPackages(t, dir)
	p := startProcess(t, "demo", "--json")
	cert := filepath.Join(t.TempDir(), "cert.pem")
	if err := os.WriteFile(cert, p.cert, 0o600); err != nil {
		t.Fatal(err)
	}
	line, err := json.Marshal(struct {
		demoLine
		DeploymentID string `json:"deploymentId"`
	}{p.demo, config.DemoShopDeploymentID})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "story.mjs", string(line))
	cmd.Dir = dir
	// The SDK reads a file of settings below HOME.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "NODE_EXTRA_CA_CERTS=" + cert}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.HasSuffix(bytes.TrimSpace(out), []byte("told")) {
		t.Fatalf("the story of the official SDK: %v\n%s", err, out)
	}
	t.Logf("the official SDK:\n%s", out)
}

// The lock names packages and their hashes, not a machine that has them.
func TestSDKLockNamesNoRegistry(t *testing.T) {
	t.Parallel()
	lock, err := os.ReadFile(filepath.Join("testdata", "sdk", "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(lock, []byte(`"integrity": "sha512-`)) || !json.Valid(lock) || bytes.Contains(lock, []byte(`"resolved"`)) {
		t.Error("package-lock.json has no hashes, or has addresses")
	}
}
