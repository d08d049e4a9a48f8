package enginetest

import (
	"testing"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
)

func deploymentTests() map[string]func(*testing.T, Engine) {
	return map[string]func(*testing.T, Engine){
		"a deployment is created, replaced and deleted":         testDeployment,
		"an id belongs to one organisation":                     testDeploymentConflict,
		"deployments are listed by name, then by id":            testDeployments,
		"a deployment shares no memory with the caller":         testDeploymentMemory,
		"secrets are kept by name and the first proposal stays": testSecrets,
	}
}

func deployment(id cobrowse.DeploymentID, name string) cobrowse.Deployment {
	return cobrowse.Deployment{
		ID: id, OrgID: org, Name: name, AllowedOrigins: []string{"https://shop.example"}, StartURL: "https://shop.example/", CreatedAt: t0,
		ConsentVersion: "v1", ConsentTexts: map[string]string{"de": "Darf diese Seite gezeigt werden?"}, DefaultFor: []cobrowse.Role{cobrowse.RoleCustomer},
		Rules: cobrowse.SharingRules{
			MaskSelectors: []string{"#card > input"}, PauseCriteria: []cobrowse.PauseCriterion{{URLFragment: "/pay", Condition: cobrowse.PauseIncludes}}, AllowDraw: true,
			PageRules: []cobrowse.PageRule{{URLPattern: `https://shop\.example/pay.*`, MaskSelectors: []string{".total"}, ReadonlySelectors: []string{"#send"}}},
		},
		Restrictions: []cobrowse.PageRule{{URLPattern: ".*", MaskSelectors: []string{"#pin"}}},
	}
}

func testDeployment(t *testing.T, e Engine) {
	_, err := e.Deployment(t.Context(), "d-1")
	wantCode(t, "Deployment", err, cobridge.CodeNotFound)
	want := deployment("d-1", "Shop")
	mustStore(t, e.PutDeployment(t.Context(), want))
	want.Name = "Store"
	mustStore(t, e.PutDeployment(t.Context(), want))
	for range 2 {
		got, err := e.Deployment(t.Context(), "d-1")
		mustStore(t, err)
		wantSame(t, "Deployment", got, want)
		e = e.Reopen(t)
	}
	for range 2 { // deleting what is not there succeeds
		if err := e.DeleteDeployment(t.Context(), "d-1"); err != nil {
			t.Errorf("DeleteDeployment = %v", err)
		}
	}
	_, err = e.Deployment(t.Context(), "d-1")
	wantCode(t, "Deployment after it was deleted", err, cobridge.CodeNotFound)
	list, err := e.Deployments(t.Context(), org)
	mustStore(t, err)
	wantSame(t, "Deployments after it was deleted", list, nil)
}

func testDeploymentConflict(t *testing.T, e Engine) {
	mustStore(t, e.PutDeployment(t.Context(), deployment("d-1", "Shop")))
	foreign := deployment("d-1", "Mine now")
	foreign.OrgID = otherOrg
	wantCode(t, "PutDeployment", e.PutDeployment(t.Context(), foreign), cobridge.CodeConflict)
	got, err := e.Deployment(t.Context(), "d-1")
	mustStore(t, err)
	wantSame(t, "Deployment", got, deployment("d-1", "Shop"))
	mustStore(t, e.DeleteDeployment(t.Context(), "d-1"))
	mustStore(t, e.PutDeployment(t.Context(), foreign))
}

func testDeployments(t *testing.T, e Engine) {
	foreign := deployment("d-0", "A")
	foreign.OrgID = otherOrg
	want := []cobrowse.Deployment{deployment("d-4", "A"), deployment("d-2", "B"), deployment("d-3", "B"), deployment("d-1", "C")}
	for _, i := range []int{2, 0, 3, 1} {
		mustStore(t, e.PutDeployment(t.Context(), want[i]))
	}
	mustStore(t, e.PutDeployment(t.Context(), foreign))
	got, err := e.Deployments(t.Context(), org)
	mustStore(t, err)
	wantSame(t, "Deployments", got, want)
}

func testDeploymentMemory(t *testing.T, e Engine) {
	mine := deployment("d-1", "Shop")
	mustStore(t, e.PutDeployment(t.Context(), mine))
	mine.AllowedOrigins[0], mine.Rules.MaskSelectors[0], mine.ConsentTexts["de"] = "changed", "changed", "changed"
	mine.Rules.PageRules[0].MaskSelectors[0], mine.Restrictions[0].URLPattern = "changed", "changed"
	read, err := e.Deployment(t.Context(), "d-1")
	mustStore(t, err)
	read.AllowedOrigins[0], read.ConsentTexts["de"] = "changed", "changed"
	got, err := e.Deployment(t.Context(), "d-1")
	mustStore(t, err)
	wantSame(t, "Deployment", got, deployment("d-1", "Shop"))
}

func testSecrets(t *testing.T, e Engine) {
	for _, name := range []string{"a", "b", "ä"} {
		mine := []byte("secret of " + name)
		got, err := e.Secret(t.Context(), name, mine)
		mustStore(t, err)
		clear(mine)
		if want := "secret of " + name; string(got) != want {
			t.Errorf("Secret(%q) = %q, want the proposed %q", name, got, want)
		}
	}
	e = e.Reopen(t)
	for _, name := range []string{"a", "b", "ä"} {
		got, err := e.Secret(t.Context(), name, []byte("another"))
		if want := "secret of " + name; err != nil || string(got) != want {
			t.Errorf("Secret(%q) after a restart = %q, %v, want %q", name, got, err, want)
		}
	}
}
