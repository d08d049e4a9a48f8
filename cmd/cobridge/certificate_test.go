package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge/config"
)

func selfSigned(dir string) config.Config {
	cfg := config.Default()
	cfg.Store = "bolt:" + filepath.Join(dir, "cobridge.db")
	cfg.BaseURL = "https://cobridge.example:8443/gw"
	cfg.TLS = config.TLS{SelfSigned: true, Names: []string{"myorg.mypurecloud.com"}}
	return cfg
}

func serial(t *testing.T, pair tls.Certificate, err error) string {
	t.Helper()
	if err != nil {
		t.Fatalf("certificate = %v", err)
	}
	return pair.Leaf.SerialNumber.String()
}

func TestSelfSignedCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Now()
	pair, path, err := certificate(selfSigned(dir), now)
	first := serial(t, pair, err)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		t.Fatalf("%s holds no certificate", path)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	for _, name := range []string{"localhost", "127.0.0.1", "::1", "cobridge.example", "myorg.mypurecloud.com"} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: pool}); err != nil {
			t.Errorf("verify for %s = %v", name, err)
		}
	}
	if pair.Leaf.IsCA {
		t.Error("who trusts the certificate would trust others that its key signs")
	}
	if info, err := os.Stat(filepath.Join(dir, "cobridge-key.pem")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the key = %v, %v, want 0600", info.Mode(), err)
	}

	pair, _, err = certificate(selfSigned(dir), now.Add(24*time.Hour))
	if got := serial(t, pair, err); got != first {
		t.Error("the second start made another certificate")
	}
	other := selfSigned(dir)
	other.TLS.Names = append(slices.Clone(other.TLS.Names), "other.example")
	pair, _, err = certificate(other, now)
	second := serial(t, pair, err)
	if second == first {
		t.Error("a new name made no new certificate")
	}
	pair, _, err = certificate(other, now.Add(340*24*time.Hour))
	if got := serial(t, pair, err); got == second {
		t.Error("a certificate that ends soon was not replaced")
	}
}

func TestCertificateFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir, "cobridge-cert.pem", "damaged")
	writeFile(t, dir, "cobridge-key.pem", "damaged")
	if _, _, err := certificate(selfSigned(dir), time.Now()); err == nil {
		t.Error("certificate over damaged files = nil, want an error: they may be somebody's")
	}
	cfg := config.Default()
	cfg.TLS = config.TLS{CertFile: filepath.Join(dir, "none.pem"), KeyFile: filepath.Join(dir, "none.pem")}
	if _, _, err := certificate(cfg, time.Now()); err == nil {
		t.Error("certificate from files that are not there = nil, want an error")
	}
}

func TestCertificateFromFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	made, path, err := certificate(selfSigned(dir), time.Now())
	want := serial(t, made, err)
	cfg := config.Default()
	cfg.TLS = config.TLS{CertFile: path, KeyFile: filepath.Join(dir, "cobridge-key.pem")}
	pair, shown, err := certificate(cfg, time.Now())
	if got := serial(t, pair, err); got != want || shown != "" {
		t.Errorf("certificate = %s, %q, want %s and no path", got, shown, want)
	}
}
