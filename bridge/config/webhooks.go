package config

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Webhooks says how webhooks are sent. Which there are is said by
// [Organisation].Webhooks and over the API.
type Webhooks struct {
	AllowHTTP       bool          `yaml:"allowHttp" doc:"Webhooks may have http addresses besides https."`
	AllowNetworks   []string      `yaml:"allowNetworks" doc:"Networks (CIDR) that are not of the public internet and that webhooks may be sent to nevertheless, such as 10.20.0.0/16."`
	RetryDelays     []string      `yaml:"retryDelays" doc:"Times between the attempts of one delivery, after the last of which it is dead; at most 20, each 1s to 7d."`
	Timeout         time.Duration `yaml:"timeout" doc:"How long one attempt may take; 1s to 30s."`
	Workers         int           `yaml:"workers" doc:"Attempts at the same time; 2 to 1024. Slow and failing webhooks share half of them."`
	PerWebhook      int           `yaml:"perWebhook" doc:"Attempts at the same time to one webhook; 1 to 64."`
	PerOrganisation int           `yaml:"perOrganisation" doc:"Webhooks that an organisation may create over the API; 1 to 1000."`
	Outbox          int           `yaml:"outbox" doc:"Deliveries of one webhook that may wait, and as many dead ones that are kept; 10 to 1000000."`
	KeepDead        time.Duration `yaml:"keepDead" doc:"How long a dead delivery can be replayed; 1h to 90d."`
	DisableAfter    time.Duration `yaml:"disableAfter" doc:"A webhook to which every attempt fails for this long is disabled; 1h to 90d. 0 = never."`
}

// Webhook is an address that is told what happens to the sessions of an organisation.
type Webhook struct {
	ID         string   `yaml:"id" doc:"Lower-case UUID."`
	Name       string   `yaml:"name,omitempty" doc:"Free text."`
	URL        string   `yaml:"url" doc:"Where to; https unless webhooks.allowHttp."`
	Events     []string `yaml:"events,omitempty" doc:"Types that are told, such as cobrowse.session.created; empty = all. See docs/webhooks.md."`
	Disabled   bool     `yaml:"disabled,omitempty" doc:"Nothing is told."`
	Secret     Secret   `yaml:"secret,omitempty" doc:"whsec_ and 24 to 64 random bytes in base64. Another one signs from the next start on; the one before goes on for 24 hours."`
	SecretFile string   `yaml:"secretFile,omitempty" doc:"File with the secret, in place of secret; relative to the configuration file."`
}

func defaultWebhooks() Webhooks {
	return Webhooks{
		RetryDelays: []string{"5s", "5m", "30m", "2h", "5h", "10h", "14h", "20h", "24h"}, Timeout: 15 * time.Second,
		Workers: 64, PerWebhook: 4, PerOrganisation: 20, Outbox: 10_000, KeepDead: 14 * day, DisableAfter: 5 * day,
	}
}

// WebhookTypes returns the types of events that webhooks can be told of; a test
// compares them with those of package notify.
func WebhookTypes() []string {
	return []string{
		"cobrowse.session.created", "cobrowse.session.updated", "cobrowse.session.activated", "cobrowse.session.ended",
		"cobrowse.participant.added", "cobrowse.participant.joined", "cobrowse.participant.connected", "cobrowse.participant.disconnected",
		"cobrowse.participant.left", "cobrowse.participant.removed", "cobrowse.page.visited", "cobrowse.grant.given", "cobrowse.grant.revoked",
	}
}

// Networks returns AllowNetworks as prefixes. Entries that are none are left out.
func (w Webhooks) Networks() []netip.Prefix {
	var all []netip.Prefix
	for _, cidr := range w.AllowNetworks {
		if p, err := netip.ParsePrefix(cidr); err == nil {
			all = append(all, p.Masked())
		}
	}
	return all
}

// Delays returns RetryDelays as times, never nil. Entries that are none are left out.
func (w Webhooks) Delays() []time.Duration {
	all := make([]time.Duration, 0, len(w.RetryDelays))
	for _, text := range w.RetryDelays {
		if d, err := parseDuration(text); err == nil {
			all = append(all, d)
		}
	}
	return all
}

func (c Config) checkWebhooks(found *problems) {
	const section, maxDelays = "webhooks.", 20
	w := c.Webhooks
	for i, cidr := range w.AllowNetworks {
		if _, err := netip.ParsePrefix(cidr); err != nil {
			found.add(fmt.Sprintf("%sallowNetworks[%d]", section, i), "%q, want a network such as 10.0.0.0/8 or 192.0.2.7/32", cidr)
		}
	}
	if n := len(w.RetryDelays); n > maxDelays {
		found.add(section+"retryDelays", "%d of them, want at most %d", n, maxDelays)
	}
	for i, text := range w.RetryDelays {
		at := fmt.Sprintf("%sretryDelays[%d]", section, i)
		d, err := parseDuration(text)
		if err != nil {
			found.add(at, "%q, want a duration such as 90s, 15m or 14d", text)
			continue
		}
		within(found, at, d, time.Second, 7*day)
	}
	within(found, section+"timeout", w.Timeout, time.Second, 30*time.Second)
	within(found, section+"workers", w.Workers, 2, 1024)
	within(found, section+"perWebhook", w.PerWebhook, 1, 64)
	within(found, section+"perOrganisation", w.PerOrganisation, 1, 1000)
	within(found, section+"outbox", w.Outbox, 10, 1_000_000)
	within(found, section+"keepDead", w.KeepDead, time.Hour, 90*day)
	if w.DisableAfter != 0 {
		within(found, section+"disableAfter", w.DisableAfter, time.Hour, 90*day)
	}
}

func (w Webhook) check(found *problems, path string, allowHTTP bool) {
	if n := utf8.RuneCountInString(w.Name); n > maxNameLen {
		found.add(path+".name", "%d characters, want at most %d", n, maxNameLen)
	}
	u, err := url.Parse(w.URL)
	switch { // the URL may have a secret in it, so it is not shown
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || len(w.URL) > 2048 || u.User != nil || strings.Contains(w.URL, "#"):
		found.add(path+".url", "want an absolute https URL without user and fragment, of at most 2048 bytes")
	case u.Scheme == "http" && !allowHTTP:
		found.add(path+".url", "http, want https, or webhooks.allowHttp")
	}
	for i, t := range w.Events {
		if !slices.Contains(WebhookTypes(), t) || slices.Contains(w.Events[:i], t) {
			found.add(fmt.Sprintf("%s.events[%d]", path, i), "%q, want a type of docs/webhooks.md, each once", t)
		}
	}
	encoded, ok := strings.CutPrefix(w.Secret.Reveal(), "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	switch {
	case w.Secret == "" && w.SecretFile == "":
		found.add(path+".secret", "missing, want it or secretFile")
	case w.Secret != "" && (!ok || err != nil || len(key) < 24 || len(key) > 64):
		found.add(path+".secret", "want whsec_ and 24 to 64 bytes in base64")
	}
}
