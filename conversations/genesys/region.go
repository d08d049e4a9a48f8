package genesys

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Region is one of the regions of Genesys Cloud.
type Region struct {
	ID     string // for instance eu_central_1
	Domain string // for instance mypurecloud.de
}

// APIURL is where the region's API is.
func (r Region) APIURL() string { return "https://api." + r.Domain }

// LoginURL is where its access tokens are given out.
func (r Region) LoginURL() string { return "https://login." + r.Domain }

// Regions returns every known region
// (https://developer.genesys.cloud/platform/api/#regions, and the SDKs' tables).
func Regions() []Region {
	return []Region{
		{"us_east_1", "mypurecloud.com"},
		{"eu_west_1", "mypurecloud.ie"},
		{"ap_southeast_2", "mypurecloud.com.au"},
		{"ap_northeast_1", "mypurecloud.jp"},
		{"eu_central_1", "mypurecloud.de"},
		{"us_west_2", "usw2.pure.cloud"},
		{"ca_central_1", "cac1.pure.cloud"},
		{"ap_northeast_2", "apne2.pure.cloud"},
		{"eu_west_2", "euw2.pure.cloud"},
		{"ap_south_1", "aps1.pure.cloud"},
		{"us_east_2", "use2.us-gov-pure.cloud"},
		{"sa_east_1", "sae1.pure.cloud"},
		{"me_central_1", "mec1.pure.cloud"},
		{"ap_northeast_3", "apne3.pure.cloud"},
		{"eu_central_2", "euc2.pure.cloud"},
		{"mx_central_1", "mxc1.pure.cloud"},
		{"ap_southeast_1", "apse1.pure.cloud"},
		{"eusc_de_east_1", "edee1.eusc-pure.cloud"},
	}
}

// RegionOf finds a region by its id, with underscores or hyphens, or its domain.
func RegionOf(name string) (Region, bool) {
	all := Regions()
	id := strings.ReplaceAll(strings.ToLower(name), "-", "_")
	i := slices.IndexFunc(all, func(r Region) bool { return r.ID == id || r.Domain == strings.ToLower(name) })
	if i < 0 {
		return Region{}, false
	}
	return all[i], true
}

// addresses returns the API's and the login's base URL, without slashes at the end.
// A login address that is not given follows from the API's as in the official SDKs:
// //api. becomes //login., and any other host is its own login.
func addresses(cfg Config) (api, login *url.URL, err error) {
	base, loginURL := cfg.BaseURL, cfg.LoginURL
	if cfg.Region != "" {
		region, ok := RegionOf(cfg.Region)
		switch {
		case base != "":
			return nil, nil, errors.New("genesys cloud: a region beside a base URL, want one of them")
		case !ok:
			return nil, nil, fmt.Errorf("genesys cloud: unknown region %q", cfg.Region)
		}
		base = region.APIURL()
	}
	if api, err = address("base URL", base); err != nil {
		return nil, nil, err
	}
	if loginURL == "" {
		loginURL = strings.Replace(api.String(), "//api.", "//login.", 1)
	}
	if login, err = address("login URL", loginURL); err != nil {
		return nil, nil, err
	}
	return api, login, nil
}

func address(what, text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimRight(text, "/"))
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("genesys cloud: %s: want an absolute http or https URL without query", what)
	case u.User != nil:
		return nil, fmt.Errorf("genesys cloud: %s: credentials do not belong into it", what)
	}
	return u, nil
}
