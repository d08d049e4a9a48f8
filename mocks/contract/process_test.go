package contract_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// builder builds the command once for all tests of the package.
type builder struct {
	once sync.Once
	path string
	err  error
}

var command builder

// binary returns the path of the command.
func binary(t *testing.T) string {
	t.Helper()
	command.once.Do(func() {
		dir, err := os.MkdirTemp("", "cobridge-contract-") //nolint:usetesting // it outlives the test that comes first
		if err != nil {
			command.err = err
			return
		}
		command.path = filepath.Join(dir, "cobridge")
		if out, err := exec.Command("go", "build", "-o", command.path, "github.com/cobridge/cobridge/cmd/cobridge").CombinedOutput(); err != nil {
			command.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if command.err != nil {
		t.Fatalf("build cmd/cobridge: %v", command.err)
	}
	return command.path
}

func TestMain(m *testing.M) {
	code := m.Run()
	if command.path != "" {
		_ = os.RemoveAll(filepath.Dir(command.path))
	}
	os.Exit(code)
}

// process is a running binary.
type process struct {
	address string // host:port
	baseURL string // https://host:port
	client  *http.Client
	cert    []byte // PEM of the certificate that it made for itself
	demo    demoLine
}

// demoLine is the line that demo --json prints.
type demoLine struct {
	BaseURL          string `json:"baseUrl"`
	OrgID            string `json:"orgId"`
	ClientID         string `json:"clientId"`
	ClientSecret     string `json:"clientSecret"`
	ConversationID   string `json:"conversationId"`
	AgentUserID      string `json:"agentUserId"`
	SupervisorUserID string `json:"supervisorUserId"`
	CustomerURL      string `json:"customerUrl"`
	JoinURLs         struct {
		Agent      string `json:"agent"`
		Supervisor string `json:"supervisor"`
	} `json:"joinUrls"`
}

// startProcess starts the binary over TLS on a free port of loopback and returns
// when it is ready. It is stopped, and must stop well, when the test ends.
func startProcess(t *testing.T, args ...string) process {
	t.Helper()
	p := process{address: freeAddress(t)}
	p.baseURL = "https://" + p.address
	cmd := exec.Command(binary(t), append(args, "--listen", p.address, "--tls-self-signed")...)
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "COBRIDGE_") {
			cmd.Env = append(cmd.Env, entry)
		}
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %v: %v", args, err)
	}
	lines := make(chan string, 1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		first, _ := bufio.NewReader(stdout).ReadString('\n')
		lines <- first
		_, _ = io.Copy(io.Discard, stdout)
	}()
	ended := make(chan error, 1)
	go func() {
		<-read
		ended <- cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("%v ended with %v\n%s", args, err, &stderr)
			}
		case <-time.After(30 * time.Second):
			_ = cmd.Process.Kill()
			t.Errorf("%v did not end within 30 s of SIGTERM", args)
		}
	})
	if args[0] == "demo" {
		select {
		case line := <-lines:
			if err := json.Unmarshal([]byte(line), &p.demo); err != nil {
				t.Fatalf("demo --json printed %q: %v", line, err)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("demo --json printed nothing within 30 s")
		}
		if p.demo.BaseURL != p.baseURL {
			t.Errorf("demo --json says baseUrl %q, want %q", p.demo.BaseURL, p.baseURL)
		}
	}
	p.cert = certificate(t, p.address)
	p.client = clientTrusting(t, p.cert)
	ready(t, p.client, p.baseURL)
	return p
}

// freeAddress returns an address of loopback that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	return address
}

// certificate waits until somebody speaks TLS at the address and returns the
// certificate, for the test to trust.
func certificate(t *testing.T, address string) []byte {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(30 * time.Second)
	for {
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12})
		if err == nil {
			raw := conn.ConnectionState().PeerCertificates[0].Raw
			_ = conn.Close()
			return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
		}
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("nobody speaks TLS at %s after 30 s: %v", address, err)
		}
	}
}

// configFile copies a configuration of testdata beside a store of its own, and
// adds to it.
func configFile(t *testing.T, name, more string) string {
	t.Helper()
	dir := t.TempDir()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, append(text, "\nstore: bolt:"+filepath.Join(dir, "store.db")+"\n"+more...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
