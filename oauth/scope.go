package oauth

import (
	"slices"
	"strings"

	"github.com/cobridge/cobridge"
)

// Scope names a part of the API. Official scopes come as <domain> and
// <domain>:readonly, of which the first includes the second. The tutorial's clients use
// other names for some of them; each such name is nothing but another spelling.
type Scope string

// The known scopes. Cobrowse sessions have no official scope of their own, so there the
// tutorial's names stand alone: write does not include read, since the tutorial asks for
// both.
const (
	ScopeCobrowseRead  Scope = "cobrowse:session:read"
	ScopeCobrowseWrite Scope = "cobrowse:session:write"

	ScopeConversationsRead  Scope = "conversations:read"  // tutorial's name of ScopeConversationsReadonly
	ScopeConversationsWrite Scope = "conversations:write" // tutorial's name of ScopeConversations
	ScopeUserRead           Scope = "user:read"           // tutorial's name of ScopeUsersReadonly

	ScopeAnalytics              Scope = "analytics"
	ScopeAnalyticsReadonly      Scope = "analytics:readonly"
	ScopeConversations          Scope = "conversations"
	ScopeConversationsReadonly  Scope = "conversations:readonly"
	ScopeNotifications          Scope = "notifications"
	ScopeOAuth                  Scope = "oauth"
	ScopeOAuthReadonly          Scope = "oauth:readonly"
	ScopeUserBasicInfo          Scope = "user-basic-info"
	ScopeUsers                  Scope = "users"
	ScopeUsersReadonly          Scope = "users:readonly"
	ScopeWebDeployments         Scope = "webdeployments"
	ScopeWebDeploymentsReadonly Scope = "webdeployments:readonly"
)

// ScopeInfo is one row of the list of scopes.
type ScopeInfo struct {
	Scope       Scope
	Description string // one sentence, for people
}

// Scopes returns every known scope with its description, ordered by name.
func Scopes() []ScopeInfo {
	return []ScopeInfo{
		{ScopeAnalytics, "Query analytics data and manage analytics jobs."},
		{ScopeAnalyticsReadonly, "Query analytics data."},
		{ScopeCobrowseRead, "Read cobrowse sessions and their history, and issue join tokens."},
		{ScopeCobrowseWrite, "Create, change and end cobrowse sessions."},
		{ScopeConversations, "Create, read, change and end conversations."},
		{ScopeConversationsRead, "Read conversations; the same as conversations:readonly."},
		{ScopeConversationsReadonly, "Read conversations."},
		{ScopeConversationsWrite, "Change conversations; the same as conversations."},
		{ScopeNotifications, "Open notification channels and subscribe to topics."},
		{ScopeOAuth, "Read and change OAuth clients."},
		{ScopeOAuthReadonly, "Read OAuth clients."},
		{ScopeUserBasicInfo, "Read the basic information of the token's own user."},
		{ScopeUserRead, "Read users; the same as users:readonly."},
		{ScopeUsers, "Read and change users."},
		{ScopeUsersReadonly, "Read users."},
		{ScopeWebDeployments, "Read and change web deployments."},
		{ScopeWebDeploymentsReadonly, "Read web deployments."},
	}
}

// Known reports whether s is one of [Scopes].
func (s Scope) Known() bool {
	switch s {
	case ScopeCobrowseRead, ScopeCobrowseWrite,
		ScopeConversationsRead, ScopeConversationsWrite, ScopeUserRead,
		ScopeAnalytics, ScopeAnalyticsReadonly, ScopeConversations, ScopeConversationsReadonly, ScopeNotifications,
		ScopeOAuth, ScopeOAuthReadonly, ScopeUserBasicInfo, ScopeUsers, ScopeUsersReadonly,
		ScopeWebDeployments, ScopeWebDeploymentsReadonly:
		return true
	default:
		return false
	}
}

// official returns the official spelling of s.
func (s Scope) official() Scope {
	switch s {
	case ScopeConversationsRead:
		return ScopeConversationsReadonly
	case ScopeConversationsWrite:
		return ScopeConversations
	case ScopeUserRead:
		return ScopeUsersReadonly
	default:
		return s
	}
}

// Satisfies reports whether one of the granted scopes is the required one, an alias of
// it, or includes it. It does not allocate.
func Satisfies(granted []string, required Scope) bool {
	required = required.official()
	full, readonly := strings.CutSuffix(string(required), ":readonly")
	for _, name := range granted {
		g := Scope(name).official()
		if g == required || readonly && g == Scope(full) {
			return true
		}
	}
	return false
}

// Alternatives returns every scope that satisfies the required one: the official names
// first, narrowest first, then the tutorial's.
func Alternatives(required Scope) []string {
	official := required.official()
	names := []string{string(official)}
	if full, readonly := strings.CutSuffix(string(official), ":readonly"); readonly {
		names = append(names, full)
	}
	for _, alias := range []Scope{ScopeConversationsRead, ScopeConversationsWrite, ScopeUserRead} {
		if slices.Contains(names, string(alias.official())) {
			names = append(names, string(alias))
		}
	}
	return names
}

// Require returns nil if the granted scopes satisfy the required one, else an error with
// CodeMissingScope whose message names the alternatives in brackets, as the real
// service's does.
func Require(granted []string, required Scope) error {
	if Satisfies(granted, required) {
		return nil
	}
	alternatives := "[" + strings.Join(Alternatives(required), ", ") + "]"
	return &cobridge.Error{
		Code:    cobridge.CodeMissingScope,
		Message: "The client lacks the required scope; one of these is needed: " + alternatives + ".",
		Params:  map[string]string{"scopes": alternatives},
	}
}
