package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/cobridge/cobridge"
)

const oldID = "0b5c3a52-2f6e-11ef-9c1e-0242ac120002"

// oldRecord is the example of the old server's reference, moved to the time of the tests.
const oldRecord = `{"sessionToken":"407215938","dateCreated":"2026-03-04T04:19:55.021Z","dateActivated":"2026-03-04T04:20:02.110Z","dateEnded":"2026-03-04T04:25:55.482Z",
 "pages":[{"url":"https://shop.example/cart?secret=1","dateEntered":"2026-03-04T04:20:02.195Z","durationSeconds":96},
  {"url":"https://shop.example/checkout","dateEntered":"2026-03-04T04:21:38.240Z","durationSeconds":257}]}`

func TestImport(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	imported := h.want(t, http.StatusCreated, http.MethodPut, historyURL+"/"+oldID, oldRecord)
	golden(t, "record-imported", imported)
	if again := h.want(t, http.StatusOK, http.MethodPut, historyURL+"/"+oldID, imported.body); again.body != imported.body {
		t.Errorf("its own answer imports as %s", again.body)
	}
	if read := h.want(t, http.StatusOK, http.MethodGet, historyURL+"/"+oldID, ""); read.body != imported.body {
		t.Errorf("it reads as %s", read.body)
	}
	stored, err := h.store.Session(t.Context(), oldID)
	if err != nil {
		t.Fatalf("read store: %v", err)
	}
	// Whole seconds on the wire, but nothing is lost between pages that follow each other.
	if p := stored.Pages; len(p) != 2 || !p[0].LeftAt.Equal(p[1].EnteredAt) || !p[1].LeftAt.Equal(stored.EndedAt) || !stored.Legacy {
		t.Errorf("what is stored is %+v", stored)
	}
}

func TestImportRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	live := h.create(t, talk)
	h.refused(t, http.StatusConflict, cobridge.CodeConflict, http.MethodPut, historyURL+"/"+live.ID, oldRecord)
	h.refused(t, http.StatusBadRequest, cobridge.CodeConstraintValidation, http.MethodPut, historyURL+"/"+oldID, strings.Replace(oldRecord, "2026", "2025", 3))
	h.refused(t, http.StatusBadRequest, cobridge.CodeConstraintValidation, http.MethodPut, historyURL+"/"+oldID, strings.Replace(oldRecord, "{", `{"id":"`+live.ID+`",`, 1))
	h.refused(t, http.StatusNotFound, cobridge.CodeNotFound, http.MethodGet, historyURL+"/"+oldID, "")
	h.refused(t, http.StatusNotFound, cobridge.CodeNotFound, http.MethodPut, historyURL+"/"+live.ID, oldRecord, "Authorization: Bearer "+h.grant(t, "other-client"))
}

// A record may have more bytes than other bodies: as many as one has room for.
func TestImportOfManyPages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var in map[string]any
	if err := json.Unmarshal([]byte(oldRecord), &in); err != nil {
		t.Fatal(err)
	}
	pages := make([]any, 700)
	for i := range pages {
		pages[i] = map[string]any{"url": fmt.Sprintf("https://shop.example/%0120d", i), "dateEntered": "2026-03-04T04:20:02.195Z", "durationSeconds": 0}
	}
	in["pages"] = pages
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(body); n < 64<<10 || n > 192<<10 {
		t.Fatalf("the body has %d bytes", n)
	}
	var got struct{ Pages []struct{ URL string } }
	h.want(t, http.StatusCreated, http.MethodPut, historyURL+"/"+oldID, string(body)).into(t, &got)
	if n := len(got.Pages); n > 500 || n < 400 || !strings.HasSuffix(got.Pages[n-1].URL, "0699") || !strings.HasSuffix(got.Pages[n-2].URL, fmt.Sprintf("%04d", n-2)) {
		t.Errorf("%d pages are kept, want the first ones that there is room for, and the last", n)
	}
}
