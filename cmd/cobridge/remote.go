package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cobridge/cobridge/cobrowse/client"
)

// The variables of the commands that call a running service.
const (
	envServer     = "COBRIDGE_SERVER"
	envClientID   = "COBRIDGE_CLIENT_ID"
	envSecret     = "COBRIDGE_CLIENT_SECRET"
	envSecretFile = "COBRIDGE_CLIENT_SECRET_FILE"
	envCAFile     = "COBRIDGE_CA_FILE"
)

// clientVariables are no keys of the service's configuration.
func clientVariables() []string {
	return []string{envServer, envClientID, envSecret, envSecretFile, envCAFile, envJoinURL, envImportFrom, envImportUser, envImportPassword, envImportPasswordFile}
}

const remoteHelp = `These commands call a running service through its API, as the OAuth client that the flags or
COBRIDGE_SERVER, COBRIDGE_CLIENT_ID, COBRIDGE_CLIENT_SECRET or COBRIDGE_CLIENT_SECRET_FILE, and
COBRIDGE_CA_FILE name. There is no flag for the secret itself: everybody on the machine could read it.`

// onService adds the flags that find the service to all commands below cmd, and
// returns what makes a client of it.
func onService(cmd *cobra.Command, c console) func() (*client.Client, error) {
	cmd.Long = cmd.Short + ".\n\n" + remoteHelp
	options := serviceFlags(cmd, c)
	return func() (*client.Client, error) {
		o, err := options()
		if err != nil {
			return nil, err
		}
		made, err := client.New(o)
		if err != nil {
			return nil, usageError(err.Error())
		}
		return made, nil
	}
}

// serviceFlags adds the flags that find the service, and returns what reads them.
func serviceFlags(cmd *cobra.Command, c console) func() (client.Options, error) {
	flags := cmd.PersistentFlags()
	address := flags.String("server", "", "public base URL of the service (default http://127.0.0.1:8080)")
	id := flags.String("client-id", "", "OAuth client")
	secretFile := flags.String("client-secret-file", "", "file with the client's secret; - reads it from standard input")
	caFile := flags.String("ca-file", "", "PEM file with a certificate to trust besides the system's")
	timeout := flags.Duration("timeout", 10*time.Second, "of one request")
	return func() (client.Options, error) {
		o := client.Options{
			BaseURL: first(*address, c.getenv(envServer), "http://127.0.0.1:8080"), ClientID: first(*id, c.getenv(envClientID)),
			ClientSecret: c.getenv(envSecret), Timeout: *timeout, UserAgent: "cobridge/" + buildVersion(),
		}
		if o.Timeout <= 0 {
			return o, usageError("--timeout: want more than 0, such as 10s")
		}
		if o.ClientID == "" {
			return o, usageError("which OAuth client? give --client-id or " + envClientID)
		}
		file := *secretFile
		if file == "" && o.ClientSecret == "" {
			file = c.getenv(envSecretFile)
		}
		if file != "" {
			secret, err := readSecret(c, file)
			if err != nil {
				return o, err
			}
			o.ClientSecret = secret
		}
		if o.ClientSecret == "" {
			return o, usageError("no client secret: give --client-secret-file, " + envSecretFile + " or " + envSecret)
		}
		if ca := first(*caFile, c.getenv(envCAFile)); ca != "" {
			transport, err := trusting(ca)
			if err != nil {
				return o, err
			}
			o.Transport = transport
		}
		return o, nil
	}
}

func first(values ...string) string {
	i := slices.IndexFunc(values, func(v string) bool { return v != "" })
	if i < 0 {
		return ""
	}
	return values[i]
}

func readSecret(c console, path string) (string, error) {
	const limit = 4096 // a wrong path may lead to something huge
	in := c.in
	if path != "-" {
		file, err := os.Open(path) //nolint:gosec // the caller names the file
		if err != nil {
			return "", fmt.Errorf("read secret: %w", err)
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	secret := strings.TrimSpace(string(text))
	if len(text) > limit || secret == "" {
		return "", errors.New("read secret: empty or too long")
	}
	return secret, nil
}

// trusting returns a transport that trusts the system's certificates and one file more.
func trusting(path string) (http.RoundTripper, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the caller names the file
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read certificate: %s has none", path)
	}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second,
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
	}, nil
}

// hideUnless leaves all but the named flags out of the help.
func hideUnless(names ...string) func(*pflag.Flag) {
	return func(f *pflag.Flag) { f.Hidden = !slices.Contains(names, f.Name) }
}
