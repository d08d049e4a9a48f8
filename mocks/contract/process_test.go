package contract_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
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

// demoLine is the line that demo --json prints, or mock --json.
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

	// The site whose pages can be shared; of mock --json alone.
	DeploymentID string   `json:"deploymentId"`
	SiteOrigins  []string `json:"siteOrigins"`
}

// startProcess starts the binary over TLS on a free port of loopback and returns
// when it is ready. It is stopped, and must stop well, when the test ends.
func startProcess(t *testing.T, args ...string) process {
	t.Helper()
	cmd := exec.Command(binary(t), append(args, "--listen", "127.0.0.1:0", "--tls-self-signed")...)
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "COBRIDGE_") {
			cmd.Env = append(cmd.Env, entry)
		}
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %v: %v", args, err)
	}
	// The address stands in the line of demo --json, or in the log of serve.
	var p process
	started := make(chan process, 2)
	var log bytes.Buffer // whole when the pipes are read to their ends
	var pipes sync.WaitGroup
	pipes.Go(func() {
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			var demo demoLine
			if json.Unmarshal(lines.Bytes(), &demo) == nil && demo.BaseURL != "" {
				started <- process{address: strings.TrimPrefix(demo.BaseURL, "https://"), demo: demo}
			}
		}
	})
	pipes.Go(func() {
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			log.WriteString(lines.Text() + "\n")
			var line struct{ Msg, Address string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" {
				started <- process{address: line.Address}
			}
		}
	})
	ended := make(chan error, 1)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		pipes.Wait() // before Wait, which closes the pipes
		ended <- cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-gone:
			if err := <-ended; err != nil {
				t.Errorf("%v ended with %v\n%s", args, err, &log)
			}
		case <-time.After(30 * time.Second):
			_ = cmd.Process.Kill()
			t.Errorf("%v did not end within 30 s of SIGTERM", args)
		}
	})
	select {
	case p = <-started:
	case <-gone:
		t.Fatalf("%v ended at its start", args)
	case <-time.After(30 * time.Second):
		t.Fatalf("%v does not listen after 30 s", args)
	}
	p.baseURL = "https://" + p.address
	p.cert = certificate(t, p.address)
	p.client = clientTrusting(t, p.cert)
	ready(t, p.client, p.baseURL)
	return p
}

// certificate returns the certificate of a TLS server, for the test to trust.
func certificate(t *testing.T, address string) []byte {
	t.Helper()
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatalf("speak TLS with %s: %v", address, err)
	}
	defer func() { _ = conn.Close() }()
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: conn.ConnectionState().PeerCertificates[0].Raw})
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
