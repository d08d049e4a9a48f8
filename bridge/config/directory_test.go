package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/conversations/genesys"
)

// inTheCloud is a good configuration whose directory is a Genesys Cloud organisation.
func inTheCloud() config.Config {
	c := config.Default()
	c.Organisations = []config.Organisation{{ID: orgID, Name: "Example"}}
	c.Directory = config.DirectoryGenesysCloud
	c.GenesysCloud.Region, c.GenesysCloud.ClientID, c.GenesysCloud.ClientSecret = "eu_central_1", "client", secret
	return c
}

func TestValidateDirectory(t *testing.T) {
	t.Parallel()
	if err := inTheCloud().Validate(); err != nil {
		t.Fatalf("Validate of a good one = %v", err)
	}
	if got := inTheCloud().DirectoryOrganisation(); got != orgID {
		t.Errorf("organisation = %q, want the only one", got)
	}
	for _, tt := range []struct {
		name   string
		change func(*config.GenesysCloud)
		want   string // start of the only problem; empty = none
	}{
		{"by domain", func(g *config.GenesysCloud) { g.Region = "MyPureCloud.de" }, ``},
		{"with hyphens", func(g *config.GenesysCloud) { g.Region = "us-east-1" }, ``},
		{"by address", func(g *config.GenesysCloud) {
			g.Region, g.BaseURL, g.LoginURL = "", "http://127.0.0.1:1/x", "https://l.example"
		}, ``},
		{"nowhere", func(g *config.GenesysCloud) { g.Region = "" }, `genesysCloud.region: missing`},
		{"unknown region", func(g *config.GenesysCloud) { g.Region = "mars_1" }, `genesysCloud.region: "mars_1", want the id or the domain`},
		{"region and address", func(g *config.GenesysCloud) { g.BaseURL = "https://a.example" }, `genesysCloud.region: stands beside baseUrl`},
		{"address", func(g *config.GenesysCloud) { g.Region, g.BaseURL = "", "a.example" }, `genesysCloud.baseUrl: "a.example", want an absolute`},
		{"login", func(g *config.GenesysCloud) { g.LoginURL = "https://u:p@a.example" }, `genesysCloud.loginUrl: `},
		{"client", func(g *config.GenesysCloud) { g.ClientID = "" }, `genesysCloud.clientId: missing`},
		{"secret", func(g *config.GenesysCloud) { g.ClientSecret = "" }, `genesysCloud.clientSecret: missing`},
		{"organisation", func(g *config.GenesysCloud) { g.Organisation = "Example" }, `genesysCloud.organisation: "Example", want a lower-case UUID`},
		{"impatient", func(g *config.GenesysCloud) { g.Timeout = time.Millisecond }, `genesysCloud.timeout: 1ms, want 100ms..1m`},
		{"poll", func(g *config.GenesysCloud) { g.Poll = 0 }, `genesysCloud.poll: 0s, want 1s..10m`},
	} {
		c := inTheCloud()
		tt.change(&c.GenesysCloud)
		switch got := problemsOf(t, c.Validate()); {
		case tt.want == "" && len(got) > 0, tt.want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], tt.want)):
			t.Errorf("%s: problems = %q, want one that starts with %q", tt.name, got, tt.want)
		}
	}
	c := inTheCloud()
	c.Directory = "ldap"
	if got := problemsOf(t, c.Validate()); len(got) != 1 || got[0] != `directory: "ldap", want local or genesyscloud` {
		t.Errorf("another directory: problems = %q", got)
	}
	c = inTheCloud()
	c.Organisations = append(c.Organisations, config.Organisation{ID: siteID, Name: "Other"})
	if got := problemsOf(t, c.Validate()); len(got) != 1 || !strings.HasPrefix(got[0], "genesysCloud.organisation: missing") {
		t.Errorf("two organisations: problems = %q", got)
	}
}

func TestDirectoryWarnings(t *testing.T) {
	t.Parallel()
	quiet := inTheCloud()
	quiet.BaseURL, quiet.ViewerBaseURL = "http://127.0.0.1:8080", "http://localhost:8080"
	if got := quiet.Warnings(); len(got) > 0 {
		t.Fatalf("warnings = %q, want none", got)
	}
	for name, tt := range map[string]struct {
		change func(*config.Config)
		want   string
	}{
		"plain http": {func(c *config.Config) { c.GenesysCloud.Region, c.GenesysCloud.BaseURL = "", "http://api.example" }, "genesysCloud.baseUrl is plain http"},
		"users of nobody": {func(c *config.Config) {
			c.Organisations = []config.Organisation{{ID: orgID, Name: "Example", Users: []config.User{{ID: userID, Name: "Ada"}}}}
		}, "are not used"},
	} {
		c := quiet
		tt.change(&c)
		if got := c.Warnings(); len(got) != 1 || !strings.Contains(got[0], tt.want) {
			t.Errorf("%s: warnings = %q, want one with %q", name, got, tt.want)
		}
	}
}

// The list here is a copy, because this package stands below package genesys.
func TestRegionsAreThoseOfGenesys(t *testing.T) {
	t.Parallel()
	for _, r := range genesys.Regions() {
		for _, name := range []string{r.ID, r.Domain} {
			c := inTheCloud()
			c.GenesysCloud.Region = name
			if err := c.Validate(); err != nil {
				t.Errorf("region %s: %v", name, err)
			}
		}
	}
	var listed []string
	for _, name := range config.Regions() {
		r, ok := genesys.RegionOf(name)
		if !ok {
			t.Errorf("%s is no region", name)
		}
		if r.ID == name {
			listed = append(listed, name)
		}
	}
	if got, want := len(listed), len(genesys.Regions()); got != want {
		t.Errorf("%d regions, want %d", got, want)
	}
}

func TestClientSecretFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"secret": secret + "\n", "empty": "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ name, keys, want string }{
		{"good", "clientSecretFile: secret", ""},
		{"both", "clientSecretFile: secret, clientSecret: x", "genesysCloud.clientSecretFile: stands beside clientSecret"},
		{"empty", "clientSecretFile: empty", "genesysCloud.clientSecretFile: no secret in it"},
		{"missing", "clientSecretFile: nowhere", "genesysCloud.clientSecretFile: open"},
	} {
		path := filepath.Join(dir, "cobridge.yaml")
		text := "directory: genesyscloud\norganisations: [{id: " + orgID + ", name: E}]\ngenesysCloud: {region: us_east_1, clientId: c, " + tt.keys + "}\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Load(config.Sources{File: path})
		switch {
		case tt.want != "":
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), secret) {
				t.Errorf("%s: Load = %v, want %q without the secret", tt.name, err, tt.want)
			}
		case err != nil:
			t.Errorf("%s: Load = %v", tt.name, err)
		default:
			if diff := cmp.Diff(secret, cfg.GenesysCloud.ClientSecret.Reveal()); diff != "" {
				t.Errorf("%s: secret (-want +got):\n%s", tt.name, diff)
			}
		}
	}
}

// The example of docs/genesys-cloud.md is a configuration.
func TestDirectoryExample(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/genesys-cloud.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(page), "```yaml\n")
	example, _, found := strings.Cut(example, "```")
	if !found {
		t.Fatal("the page has no example")
	}
	path := file(t, example)
	for _, name := range []string{"genesys-cloud.secret", "desktop.secret"} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), name), []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := config.Load(config.Sources{File: path}); err != nil {
		t.Errorf("Load of the example = %v", err)
	}
}
