package oauth_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/oauth"
)

// TestSatisfies goes through the rows of the scope table: the tutorial's names, the
// official ones, and what must not follow from one another.
func TestSatisfies(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		granted  string
		required oauth.Scope
		want     bool
	}{
		{"cobrowse:session:write", oauth.ScopeCobrowseWrite, true},
		{"cobrowse:session:read", oauth.ScopeCobrowseRead, true},
		{"cobrowse:session:write", oauth.ScopeCobrowseRead, false},
		{"cobrowse:session:read", oauth.ScopeCobrowseWrite, false},

		{"conversations:read", oauth.ScopeConversationsRead, true},
		{"conversations:read", oauth.ScopeConversationsReadonly, true},
		{"conversations:readonly", oauth.ScopeConversationsRead, true},
		{"conversations", oauth.ScopeConversationsRead, true},
		{"conversations:write", oauth.ScopeConversationsRead, true},
		{"conversations:write", oauth.ScopeConversationsWrite, true},
		{"conversations:write", oauth.ScopeConversations, true},
		{"conversations", oauth.ScopeConversationsWrite, true},
		{"conversations:readonly", oauth.ScopeConversationsWrite, false},
		{"conversations:read", oauth.ScopeConversationsWrite, false},
		{"conversations:read", oauth.ScopeConversations, false},

		{"user:read", oauth.ScopeUserRead, true},
		{"user:read", oauth.ScopeUsersReadonly, true},
		{"users:readonly", oauth.ScopeUserRead, true},
		{"users", oauth.ScopeUserRead, true},
		{"user:read", oauth.ScopeUsers, false},
		{"users:readonly", oauth.ScopeUsers, false},

		{"oauth", oauth.ScopeOAuthReadonly, true},
		{"oauth:readonly", oauth.ScopeOAuth, false},
		{"webdeployments", oauth.ScopeWebDeploymentsReadonly, true},
		{"webdeployments:readonly", oauth.ScopeWebDeployments, false},
		{"analytics", oauth.ScopeAnalyticsReadonly, true},
		{"analytics:readonly", oauth.ScopeAnalytics, false},
		{"notifications", oauth.ScopeNotifications, true},
		{"user-basic-info", oauth.ScopeUserBasicInfo, true},
		{"users", oauth.ScopeUserBasicInfo, false},

		{"", oauth.ScopeNotifications, false},
		{"users analytics cobrowse:session:read", oauth.ScopeCobrowseRead, true},
		{"USERS", oauth.ScopeUsers, false},
		{"users:readonly:readonly", oauth.ScopeUsersReadonly, false},
	} {
		granted := strings.Fields(test.granted)
		if got := oauth.Satisfies(granted, test.required); got != test.want {
			t.Errorf("Satisfies(%v, %s) = %v, want %v", granted, test.required, got, test.want)
		}
		if got := oauth.Require(granted, test.required) == nil; got != test.want {
			t.Errorf("Require(%v, %s) == nil is %v, want %v", granted, test.required, got, test.want)
		}
	}
}

// TestAlternatives holds Alternatives against Satisfies over all pairs of known scopes.
func TestAlternatives(t *testing.T) {
	t.Parallel()
	for _, required := range oauth.Scopes() {
		alternatives := oauth.Alternatives(required.Scope)
		for _, granted := range oauth.Scopes() {
			got := slices.Contains(alternatives, string(granted.Scope))
			if want := oauth.Satisfies([]string{string(granted.Scope)}, required.Scope); got != want {
				t.Errorf("Alternatives(%s) = %v: holds %s is %v, want %v", required.Scope, alternatives, granted.Scope, got, want)
			}
		}
	}
	want := []string{"users:readonly", "users", "user:read"}
	if diff := cmp.Diff(want, oauth.Alternatives(oauth.ScopeUserRead)); diff != "" {
		t.Errorf("Alternatives(user:read) (-want +got):\n%s", diff)
	}
}

func TestScopesList(t *testing.T) {
	t.Parallel()
	list := oauth.Scopes()
	if !slices.IsSortedFunc(list, func(a, b oauth.ScopeInfo) int { return strings.Compare(string(a.Scope), string(b.Scope)) }) {
		t.Errorf("Scopes() is not ordered by name: %v", list)
	}
	for _, s := range list {
		if !s.Scope.Known() || s.Description == "" {
			t.Errorf("scope %q: known %v, description %q", s.Scope, s.Scope.Known(), s.Description)
		}
	}
	for _, s := range []oauth.Scope{"", "cobrowse", "users:write", "conversations:readonly:readonly"} {
		if s.Known() {
			t.Errorf("Scope(%q).Known() = true, want false", s)
		}
	}
}

func TestRequireNamesAlternatives(t *testing.T) {
	t.Parallel()
	err := oauth.Principal{Scopes: []string{"analytics"}}.Require(oauth.ScopeUserRead)
	if got := cobridge.CodeOf(err); got != cobridge.CodeMissingScope {
		t.Fatalf("Require = %v, want code %s", err, cobridge.CodeMissingScope)
	}
	if want := "[users:readonly, users, user:read]"; !strings.Contains(err.Error(), want) {
		t.Errorf("Require = %q, want it to name %s", err, want)
	}
}
