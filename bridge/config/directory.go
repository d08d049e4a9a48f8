package config

import (
	"slices"
	"strings"
	"time"
)

// The kinds of directory.
const (
	DirectoryLocal        = "local"
	DirectoryGenesysCloud = "genesyscloud"
)

// GenesysCloud says how to reach the organisation of which conversations and users are
// read with directory: genesyscloud.
type GenesysCloud struct {
	Region           string        `yaml:"region" doc:"Region of the organisation, by id or domain: eu_central_1, eu-central-1 or mypurecloud.de. See docs/genesys-cloud.md."`
	BaseURL          string        `yaml:"baseUrl" doc:"In place of region: the address below which /api/v2 is, such as https://api.mypurecloud.de."`
	LoginURL         string        `yaml:"loginUrl" doc:"Address below which /oauth/token is. Empty: that of the region; of baseUrl, //api. becomes //login."`
	ClientID         string        `yaml:"clientId" doc:"Id of an OAuth client of the organisation with the grant type Client Credentials."`
	ClientSecret     Secret        `yaml:"clientSecret" doc:"Its secret."`
	ClientSecretFile string        `yaml:"clientSecretFile" doc:"File with the secret, in place of clientSecret; relative to the configuration file."`
	Organisation     string        `yaml:"organisation" doc:"Id of the organisation here whose conversations and users are read there. Empty: the only one of organisations."`
	Timeout          time.Duration `yaml:"timeout" doc:"How long one question to it may take, repeats included; 100ms to 1m."`
	Poll             time.Duration `yaml:"poll" doc:"How often the conversations of live sessions are looked at, so that a session ends when its conversation does; 1s to 10m. Each look is one request per session; ten times fewer where the organisation sends notifications."`
}

func defaultGenesysCloud() GenesysCloud {
	return GenesysCloud{Timeout: 5 * time.Second, Poll: 30 * time.Second}
}

// DirectoryOrganisation returns the id of the organisation whose conversations and
// users are read from Genesys Cloud, "" if nothing says which.
func (c Config) DirectoryOrganisation() string {
	if c.GenesysCloud.Organisation == "" && len(c.Organisations) == 1 {
		return c.Organisations[0].ID
	}
	return c.GenesysCloud.Organisation
}

// regions are those of package conversations/genesys, which a test compares, by id and
// by domain.
func regions() []string {
	return []string{
		"us_east_1", "mypurecloud.com", "eu_west_1", "mypurecloud.ie", "ap_southeast_2", "mypurecloud.com.au", "ap_northeast_1", "mypurecloud.jp",
		"eu_central_1", "mypurecloud.de", "us_west_2", "usw2.pure.cloud", "ca_central_1", "cac1.pure.cloud", "ap_northeast_2", "apne2.pure.cloud",
		"eu_west_2", "euw2.pure.cloud", "ap_south_1", "aps1.pure.cloud", "us_east_2", "use2.us-gov-pure.cloud", "sa_east_1", "sae1.pure.cloud",
		"me_central_1", "mec1.pure.cloud", "ap_northeast_3", "apne3.pure.cloud", "eu_central_2", "euc2.pure.cloud", "mx_central_1", "mxc1.pure.cloud",
		"ap_southeast_1", "apse1.pure.cloud", "eusc_de_east_1", "edee1.eusc-pure.cloud",
	}
}

func knownRegion(name string) bool {
	name = strings.ToLower(name)
	return slices.Contains(regions(), name) || slices.Contains(regions(), strings.ReplaceAll(name, "-", "_"))
}

func (c Config) checkDirectory(found *problems) {
	const section = "genesysCloud."
	g := c.GenesysCloud
	oneOf(found, "directory", c.Directory, DirectoryLocal, DirectoryGenesysCloud)
	if g.Region != "" && !knownRegion(g.Region) {
		found.add(section+"region", "%q, want the id or the domain of a region, for instance eu_central_1", g.Region)
	}
	if g.Region != "" && g.BaseURL != "" {
		found.add(section+"region", "stands beside baseUrl, want one of them")
	}
	checkBaseURL(found, section+"baseUrl", g.BaseURL, true)
	checkBaseURL(found, section+"loginUrl", g.LoginURL, true)
	if g.Organisation != "" && !uuidPattern.MatchString(g.Organisation) {
		found.add(section+"organisation", "%q, want a lower-case UUID", g.Organisation)
	}
	within(found, section+"timeout", g.Timeout, 100*time.Millisecond, time.Minute)
	within(found, section+"poll", g.Poll, time.Second, 10*time.Minute)
	if c.Directory != DirectoryGenesysCloud {
		return
	}
	if g.Region == "" && g.BaseURL == "" {
		found.add(section+"region", "missing beside directory: genesyscloud, want it or baseUrl")
	}
	if g.ClientID == "" {
		found.add(section+"clientId", "missing beside directory: genesyscloud")
	}
	switch {
	case g.ClientSecret != "":
	case g.ClientSecretFile != "":
		found.add(section+"clientSecretFile", "no secret in it")
	default:
		found.add(section+"clientSecret", "missing beside directory: genesyscloud, want it or clientSecretFile")
	}
	if c.DirectoryOrganisation() == "" {
		found.add(section+"organisation", "missing beside directory: genesyscloud, and organisations has %d of them", len(c.Organisations))
	}
}

// directoryWarnings are those of [Config.Warnings].
func (c Config) directoryWarnings() []string {
	if c.Directory != DirectoryGenesysCloud {
		return nil
	}
	var all []string
	for _, address := range []struct{ key, url string }{{"baseUrl", c.GenesysCloud.BaseURL}, {"loginUrl", c.GenesysCloud.LoginURL}} {
		if host, ok := plainHost(address.url); ok && !loopback(host) {
			all = append(all, "genesysCloud."+address.key+" is plain http on a host that is not this machine: the secret of the OAuth client travels readable.")
		}
	}
	for _, o := range c.Organisations {
		if o.ID == c.DirectoryOrganisation() && len(o.Users)+len(o.Conversations) > 0 {
			all = append(all, "organisations has users or conversations for "+o.ID+", which are not used: those of directory: genesyscloud are.")
		}
	}
	return all
}
