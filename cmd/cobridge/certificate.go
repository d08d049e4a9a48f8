package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cobridge/cobridge/bridge/config"
)

const (
	certLifetime = 365 * 24 * time.Hour
	certRenewal  = 30 * 24 * time.Hour // left when a new one is made
)

// certificate returns the configured certificate, or the self-signed one that is
// kept beside the store, with the path of its file so that clients can be told to
// trust it.
func certificate(cfg config.Config, now time.Time) (tls.Certificate, string, error) {
	if !cfg.TLS.SelfSigned {
		pair, err := tls.LoadX509KeyPair(cfg.TLS.CertFile, cfg.TLS.KeyFile)
		if err != nil {
			return tls.Certificate{}, "", fmt.Errorf("read certificate: %w", err)
		}
		return pair, "", nil
	}
	store, err := cfg.StoreFile()
	if err != nil {
		return tls.Certificate{}, "", err
	}
	dir := filepath.Dir(store)
	certFile, keyFile := filepath.Join(dir, "cobridge-cert.pem"), filepath.Join(dir, "cobridge-key.pem")
	names := certNames(cfg)
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err == nil && usable(pair.Leaf, names, now) {
		return pair, certFile, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return tls.Certificate{}, "", fmt.Errorf("read self-signed certificate: %w", err)
	}
	if err := makeCertificate(certFile, keyFile, names, now); err != nil {
		return tls.Certificate{}, "", fmt.Errorf("make self-signed certificate: %w", err)
	}
	pair, err = tls.LoadX509KeyPair(certFile, keyFile)
	return pair, certFile, err
}

// certNames returns the names under which the service may be called.
func certNames(cfg config.Config) []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	for _, address := range []string{cfg.BaseURL, cfg.ViewerBaseURL} {
		if u, err := url.Parse(address); err == nil && u.Hostname() != "" {
			names = append(names, u.Hostname())
		}
	}
	if shop, err := url.Parse(cfg.DemoShopOrigin()); cfg.Demo && err == nil {
		names = append(names, shop.Hostname())
	}
	names = append(names, cfg.TLS.Names...)
	slices.Sort(names)
	return slices.Compact(names)
}

func usable(cert *x509.Certificate, names []string, now time.Time) bool {
	if cert == nil || now.Before(cert.NotBefore) || now.Add(certRenewal).After(cert.NotAfter) {
		return false
	}
	return !slices.ContainsFunc(names, func(name string) bool { return cert.VerifyHostname(name) != nil })
}

// makeCertificate writes a certificate that is good for servers alone: a client
// that trusts it trusts nothing else with it.
func makeCertificate(certFile, keyFile string, names []string, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	id := sha256.Sum256(public)
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "cobridge self-signed"}, SubjectKeyId: id[:20],
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certLifetime), // clocks differ
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(keyFile), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600); err != nil {
		return err
	}
	return os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o644) //nolint:gosec // it is public
}
