package contract_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
	for _, command := range []string{"demo", "mock"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			tell(t, startProcess(t, command, "--json"), dir, "NODE_EXTRA_CA_CERTS", node, "story.mjs")
		})
	}
}

// The official Go SDK does the same, in testdata/sdkgo, a module of its own. To
// compile it takes a minute or two, so that is for those who ask for it.
func TestOfficialGoSDK(t *testing.T) {
	t.Parallel()
	if os.Getenv("COBRIDGE_GO_SDK") == "" {
		t.Skip("compiling the official Go SDK takes a minute or two: set COBRIDGE_GO_SDK=1, or run make sdk-go")
	}
	program := filepath.Join(t.TempDir(), "sdkgo")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	build.Dir = filepath.Join("testdata", "sdkgo")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build testdata/sdkgo: %v\n%s", err, out)
	}
	tell(t, startProcess(t, "demo", "--json"), build.Dir, "SSL_CERT_FILE", program)
}

// tell has a program tell its story against a process. The program trusts the
// certificates in the file that the variable names.
func tell(t *testing.T, p process, dir, trusted, program string, args ...string) {
	t.Helper()
	cert := filepath.Join(t.TempDir(), "cert.pem")
	if err := os.WriteFile(cert, p.cert, 0o600); err != nil {
		t.Fatal(err)
	}
	site := p.demo
	if site.DeploymentID == "" { // the demonstration's
		_, port, _ := strings.Cut(p.address, ":")
		site.DeploymentID, site.SiteOrigins = config.DemoShopDeploymentID, []string{"https://shop.localhost:" + port}
	}
	line, err := json.Marshal(site)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append(args, string(line))...)
	cmd.Dir = dir
	// The SDKs read a file of settings below HOME.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), trusted + "=" + cert}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.HasSuffix(bytes.TrimSpace(out), []byte("told")) {
		t.Fatalf("its story: %v\n%s", err, out)
	}
	t.Logf("its story:\n%s", out)
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
