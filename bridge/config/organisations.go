package config

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	minSecretLen = 32 // characters; 256 random bits have 43 as base64url, 64 as hex
	maxSecretLen = 256
	maxNameLen   = 200 // characters

	minLifetime = 300 * time.Second // bounds of accessTokenValiditySeconds at Genesys Cloud
	maxLifetime = 172800 * time.Second

	maxParticipants = 50
)

var (
	uuidPattern     = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	clientIDPattern = regexp.MustCompile(`^[A-Za-z0-9._~-]{1,128}$`)
	languagePattern = regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)
)

// scopes are those of package oauth, which a test compares: the rules below are
// checked before anything is built.
func scopes() []string {
	return []string{
		"analytics", "analytics:readonly", "cobrowse:session:read", "cobrowse:session:write", "conversations", "conversations:read",
		"conversations:readonly", "conversations:write", "notifications", "oauth", "oauth:readonly", "user-basic-info", "user:read",
		"users", "users:readonly", "webdeployments", "webdeployments:readonly",
	}
}

// ids remembers where an id was used: none may stand twice, whatever it names and
// whatever organisation it belongs to.
type ids map[string]string

func (seen ids) check(found *problems, path, id string, pattern *regexp.Regexp, want string) {
	at := path + ".id"
	if !pattern.MatchString(id) {
		found.add(at, "%q, want %s", id, want)
		return
	}
	if first, ok := seen[id]; ok {
		found.add(at, "%s, stands at %s already", id, first)
		return
	}
	seen[id] = at
}

func (c Config) checkOrganisations(found *problems) {
	const uuid = "a lower-case UUID"
	seen := ids{}
	for i, o := range c.Organisations {
		at := fmt.Sprintf("organisations[%d]", i)
		seen.check(found, at, o.ID, uuidPattern, uuid)
		checkName(found, at, o.Name)
		users := map[string]bool{}
		for j, u := range o.Users {
			at := fmt.Sprintf("%s.users[%d]", at, j)
			seen.check(found, at, u.ID, uuidPattern, uuid)
			checkName(found, at, u.Name)
			if u.State != "" {
				oneOf(found, at+".state", u.State, "active", "inactive", "deleted")
			}
			if u.Email != "" && !strings.Contains(u.Email, "@") {
				found.add(at+".email", "%q, want a mail address", u.Email)
			}
			users[u.ID] = true
		}
		for j, conversation := range o.Conversations {
			at := fmt.Sprintf("%s.conversations[%d]", at, j)
			seen.check(found, at, conversation.ID, uuidPattern, uuid)
			conversation.check(found, at, users)
		}
		for j, client := range o.Clients {
			at := fmt.Sprintf("%s.clients[%d]", at, j)
			seen.check(found, at, client.ID, clientIDPattern, "a UUID, or 1 to 128 of A-Z a-z 0-9 . _ ~ -")
			checkName(found, at, client.Name)
			client.check(found, at, c.Demo)
		}
		defaults := map[string]string{}
		for j, d := range o.Deployments {
			at := fmt.Sprintf("%s.deployments[%d]", at, j)
			seen.check(found, at, d.ID, uuidPattern, uuid)
			checkName(found, at, d.Name)
			d.check(found, at)
			d.checkDefaults(found, at, defaults)
		}
		for j, w := range o.Webhooks {
			at := fmt.Sprintf("%s.webhooks[%d]", at, j)
			seen.check(found, at, w.ID, uuidPattern, uuid)
			w.check(found, at, c.Webhooks.AllowHTTP)
		}
	}
}

func checkName(found *problems, path, name string) {
	if n := utf8.RuneCountInString(strings.TrimSpace(name)); n < 1 || n > maxNameLen {
		found.add(path+".name", "%d characters, want 1..%d", n, maxNameLen)
	}
}

func (c Conversation) check(found *problems, path string, users map[string]bool) {
	oneOf(found, path+".mediaType", c.MediaType, "call", "callback", "chat", "email", "message")
	if n := len(c.Participants); n < 1 || n > maxParticipants {
		found.add(path+".participants", "%d of them, want 1..%d", n, maxParticipants)
	}
	for i, p := range c.Participants {
		at := fmt.Sprintf("%s.participants[%d]", path, i)
		oneOf(found, at+".purpose", p.Purpose, "agent", "user", "customer", "external", "acd", "ivr")
		person := p.Purpose == "agent" || p.Purpose == "user"
		switch {
		case person && p.UserID == "":
			found.add(at+".userId", "missing, an %s participant needs one", p.Purpose)
		case !person && p.UserID != "":
			found.add(at+".userId", "%q, only agents and users have one", p.UserID)
		case p.UserID != "" && !users[p.UserID]:
			found.add(at+".userId", "%q is no user of this organisation", p.UserID)
		}
	}
}

func (c Client) check(found *problems, path string, demo bool) {
	if len(c.Scopes) == 0 {
		found.add(path+".scopes", "none, want at least one of %s", strings.Join(scopes(), ", "))
	}
	for i, scope := range c.Scopes {
		if !slices.Contains(scopes(), scope) {
			found.add(fmt.Sprintf("%s.scopes[%d]", path, i), "%q, want one of %s", scope, strings.Join(scopes(), ", "))
		}
	}
	if c.Lifetime != 0 {
		if c.Lifetime < minLifetime || c.Lifetime > maxLifetime || c.Lifetime%time.Second != 0 {
			found.add(path+".lifetime", "%s, want 300s..172800s in whole seconds", formatDuration(c.Lifetime))
		}
	}
	secret := c.Secret.Reveal()
	// One is enough to refuse: who knows the other is in.
	if !demo && (c.ID == DemoClientID || secret == DemoClientSecret) {
		found.add(path, "these are the well-known credentials of the demonstration, want your own")
	}
	switch n := len(secret); {
	case n == 0 && c.SecretFile != "":
		if !found.has(path + ".secretFile") { // a file that cannot be read was named already
			found.add(path+".secretFile", "no secret in it")
		}
	case n < minSecretLen || n > maxSecretLen:
		found.add(path+".secret", "%d characters, want %d..%d", n, minSecretLen, maxSecretLen)
	case strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' }):
		found.add(path+".secret", "has characters that are not printable ASCII")
	}
}

func (d Deployment) check(found *problems, path string) {
	if len(d.AllowedOrigins) == 0 {
		found.add(path+".allowedOrigins", "none, want at least one")
	}
	checkPages(found, path+".allowedOrigins", d.AllowedOrigins)
	checkOrigins(found, path+".assetOrigins", d.AssetOrigins)
	if d.StartURL != "" && !slices.Contains(d.AllowedOrigins, originOf(d.StartURL)) {
		found.add(path+".startUrl", "%q, want a page on one of allowedOrigins", d.StartURL)
	}
	type selectors struct {
		key  string
		list []string
	}
	lists := []selectors{
		{"maskSelectors", d.MaskSelectors},
		{"showSelectors", d.ShowSelectors},
		{"blockSelectors", d.BlockSelectors},
		{"neverShowSelectors", d.NeverShowSelectors},
		{"readonlySelectors", d.ReadonlySelectors},
		{"controlSelectors", d.ControlSelectors},
	}
	for i, p := range d.PageRules {
		at := fmt.Sprintf("pageRules[%d]", i)
		// Which regular expressions mean the same to browsers is for the deployment to say.
		if _, err := regexp.Compile(p.URLPattern); err != nil || p.URLPattern == "" {
			found.add(path+"."+at+".urlPattern", "%q, want a regular expression", p.URLPattern)
		}
		lists = append(lists, selectors{at + ".maskSelectors", p.MaskSelectors}, selectors{at + ".readonlySelectors", p.ReadonlySelectors})
	}
	for _, list := range lists {
		for i, selector := range list.list {
			if strings.TrimSpace(selector) == "" {
				found.add(fmt.Sprintf("%s.%s[%d]", path, list.key, i), "empty, want a CSS selector")
			}
		}
	}
	for i, p := range d.PauseCriteria {
		at := fmt.Sprintf("%s.pauseCriteria[%d]", path, i)
		if p.URLFragment == "" {
			found.add(at+".urlFragment", "empty")
		}
		oneOf(found, at+".condition", p.Condition, "Includes", "DoesNotInclude", "StartsWith", "EndsWith", "Equals")
	}
	if d.TextMode != "" {
		oneOf(found, path+".textMode", d.TextMode, "visible", "private")
	}
	if d.ControlMode != "" {
		oneOf(found, path+".controlMode", d.ControlMode, "full", "fieldsOnly")
	}
	for _, language := range slices.Sorted(maps.Keys(d.ConsentTexts)) {
		if !languagePattern.MatchString(language) {
			found.add(path+".consentTexts", "%q, want a language such as de or pt-BR", language)
		}
		if strings.TrimSpace(d.ConsentTexts[language]) == "" {
			found.add(path+".consentTexts."+language, "empty, want what the customer reads")
		}
	}
	if len(d.ConsentTexts) > 0 && d.ConsentVersion == "" {
		found.add(path+".consentVersion", "missing, want a name for this wording of consentTexts")
	}
}

// checkDefaults finds roles that a deployment before has taken; taken has its path.
func (d Deployment) checkDefaults(found *problems, path string, taken map[string]string) {
	for i, role := range d.DefaultFor {
		at := fmt.Sprintf("%s.defaultFor[%d]", path, i)
		oneOf(found, at, role, "customer", "agent")
		if first, ok := taken[role]; ok {
			found.add(at, "%s, stands at %s already", role, first)
			continue
		}
		taken[role] = at
	}
}

func checkOrigins(found *problems, path string, origins []string) {
	for i, origin := range origins {
		if originOf(origin) != origin || origin == "" {
			found.add(fmt.Sprintf("%s[%d]", path, i), "%q, want scheme://host[:port] as browsers send it: lower case, no path, no default port", origin)
		}
	}
}

// checkPages demands of origins of pages that they are whole ones: a page's origin is
// compared as it is, so that one with a wildcard would let nobody in.
func checkPages(found *problems, path string, origins []string) {
	checkOrigins(found, path, origins)
	for i, origin := range origins {
		if strings.Contains(origin, "*") && originOf(origin) == origin {
			found.add(fmt.Sprintf("%s[%d]", path, i), "%q, want each origin in full: there are no wildcards", origin)
		}
	}
}

// originOf returns the origin of a URL as browsers serialise it, "" if it has none.
func originOf(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return ""
	}
	host := strings.ToLower(u.Host)
	if u.Scheme == "http" {
		host = strings.TrimSuffix(host, ":80")
	} else {
		host = strings.TrimSuffix(host, ":443")
	}
	return u.Scheme + "://" + host
}
