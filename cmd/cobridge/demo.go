package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cobridge/cobridge/bridge/config"
)

func newDemo(c console) *cobra.Command {
	var o struct {
		listen, data              string
		json, selfSigned, limited bool
		names                     []string
	}
	cmd := &cobra.Command{
		Use: "demo", Short: "Run the service with an organisation to try it on", Args: cobra.NoArgs,
		Long: `Run the service with an organisation, users, an OAuth client and two conversations. Nothing has to
be set up, and nothing is kept unless --data says where.

The ids and the credentials are the same everywhere and well known, so that scripts find them. The
demo therefore listens on loopback only, and "cobridge serve" refuses them.`,
	}
	flags := cmd.Flags()
	flags.StringVar(&o.listen, "listen", "127.0.0.1:8080", "loopback address to listen on; port 0 takes any free one")
	flags.StringVar(&o.data, "data", "", "directory that keeps the store and the certificate (default: a temporary one)")
	flags.BoolVar(&o.json, "json", false, "print one line of JSON once it listens, instead of the text")
	flags.BoolVar(&o.selfSigned, "tls-self-signed", false, "speak TLS with a self-signed certificate")
	flags.StringSliceVar(&o.names, "tls-name", nil, "further host name in the certificate; may be repeated")
	flags.BoolVar(&o.limited, "rate-limit", false, "apply the usual rate limits")
	cmd.RunE = action(func(ctx context.Context, _ []string) error {
		if err := config.CheckDemoListen(o.listen); err != nil {
			return usageError(err.Error())
		}
		dir, remove, err := demoDir(o.data)
		if err != nil {
			return err
		}
		defer remove()
		cfg := config.Demo(config.DemoOptions{
			Listen: o.listen, Store: "bolt:" + filepath.Join(dir, "cobridge.db"), SelfSigned: o.selfSigned, TLSNames: o.names,
			RateLimit: o.limited, Now: time.Now(),
		})
		if err := cfg.Validate(); err != nil {
			return err
		}
		ctx, stop := untilSignalled(ctx)
		defer stop()
		show := printDemo
		if o.json {
			show = printDemoJSON
		}
		var unprinted error
		err = serve(ctx, cfg, newLog(cfg, c), func(s served) {
			if unprinted = show(c.out, s); unprinted != nil {
				stop() // nobody could use it
			}
		})
		return errors.Join(unprinted, err)
	})
	return cmd
}

// demoDir returns the directory to keep things in, and what to do in the end.
func demoDir(data string) (string, func(), error) {
	if data != "" {
		if err := os.MkdirAll(data, 0o700); err != nil {
			return "", nil, fmt.Errorf("make data directory: %w", err)
		}
		return data, func() {}, nil
	}
	dir, err := os.MkdirTemp("", "cobridge-demo-")
	if err != nil {
		return "", nil, fmt.Errorf("make temporary directory: %w", err)
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil
}

// demoInfo is the line of --json. Scripts read it; keys are never renamed.
type demoInfo struct {
	BaseURL          string   `json:"baseUrl"`
	OrgID            string   `json:"orgId"`
	ClientID         string   `json:"clientId"`
	ClientSecret     string   `json:"clientSecret"`
	ConversationID   string   `json:"conversationId"`
	AgentUserID      string   `json:"agentUserId"`
	SupervisorUserID string   `json:"supervisorUserId"`
	CustomerURL      string   `json:"customerUrl"`
	JoinURLs         joinURLs `json:"joinUrls"`
}

type joinURLs struct {
	Agent      string `json:"agent"`
	Supervisor string `json:"supervisor"`
}

func newDemoInfo(s served) demoInfo {
	base := s.cfg.BaseURL
	return demoInfo{
		BaseURL: base, OrgID: config.DemoOrgID, ClientID: config.DemoClientID, ClientSecret: config.DemoClientSecret,
		ConversationID: config.DemoConversationID, AgentUserID: config.DemoAgentID, SupervisorUserID: config.DemoSupervisorID,
		CustomerURL: base + config.DemoJoinCustomerPath,
		JoinURLs:    joinURLs{Agent: base + config.DemoJoinAgentPath, Supervisor: base + config.DemoJoinSupervisorPath},
	}
}

func printDemoJSON(out io.Writer, s served) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(newDemoInfo(s)) //nolint:gosec // its secret is well known, and said to be
}

func printDemo(out io.Writer, s served) error {
	info := newDemoInfo(s)
	curl, certificate := "curl -s", ""
	if s.certFile != "" {
		path := s.certFile
		if absolute, err := filepath.Abs(path); err == nil {
			path = absolute
		}
		curl += " --cacert '" + strings.ReplaceAll(path, "'", `'\''`) + "'"
		certificate = "\n  certificate    " + path
	}
	_, err := fmt.Fprintf(out, `cobridge demo on %[1]s (Ctrl-C stops it)
The credentials below are well known: this is for trying things on this machine only.

Click, in as many windows as you like; all three lead into one session:
  customer       %[2]s
  agent          %[3]s
  supervisor     %[4]s
  documentation  %[1]s/docs

Or as the old product had it, with nine digits in between:
  customer       %[13]s/shop/legacy
  agent          %[1]s/cobrowse/slave.html

Paste, for a session on another conversation (repeated, it finds the one that is there):
  TOKEN=$(%[5]s %[1]s/oauth/token -d grant_type=client_credentials -d client_id=%[6]s -d client_secret=%[7]s | grep -o '"access_token":"[^"]*"' | cut -d'"' -f4)
  SESSION=$(%[5]s %[1]s/api/v2/cobrowse/sessions -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '{"conversationId":"%[8]s","participants":[{"userId":"%[9]s","role":"agent"},{"userId":"%[10]s","role":"supervisor"}]}' | grep -o '"sessionId":"[^"]*"' | head -n1 | cut -d'"' -f4)
  %[5]s -X POST "%[1]s/api/v2/cobrowse/sessions/$SESSION/participants/%[9]s/tokens" -H "Authorization: Bearer $TOKEN"

  organisation   %[11]s
  client id      %[6]s
  client secret  %[7]s
  conversation   %[8]s
  agent          %[9]s
  supervisor     %[10]s%[12]s
`, info.BaseURL, info.CustomerURL, info.JoinURLs.Agent, info.JoinURLs.Supervisor, curl, info.ClientID, info.ClientSecret,
		info.ConversationID, info.AgentUserID, info.SupervisorUserID, info.OrgID, certificate, s.cfg.DemoShopOrigin())
	return err
}
