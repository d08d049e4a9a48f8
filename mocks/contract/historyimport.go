package contract

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// importID returns an id that no earlier run on the same target has imported.
func (sc *scene) importID(t T) string {
	t.Helper()
	b := sc.session(t) // it is not this one, but as new as it
	return b.ID[:8] + "-2f6e-11ef" + b.ID[18:]
}

// recordToImport ended an hour before the target's present.
func (sc *scene) recordToImport(t T) body {
	t.Helper()
	b := sc.session(t)
	end := date(t, "dateCreated", b.DateCreated).Add(-time.Hour)
	at := func(before time.Duration) string { return end.Add(-before).UTC().Format("2006-01-02T15:04:05.000Z") }
	return body{
		"sessionToken": "007215938", "dateCreated": at(6 * time.Minute), "dateActivated": at(5 * time.Minute), "dateEnded": at(0),
		"pages": []any{
			body{"url": shop + "/cart", "title": "Cart", "dateEntered": at(5*time.Minute - 85*time.Millisecond), "durationSeconds": 239},
			body{"url": "https://kim:secret@shop.example/pay?card=4111#x", "dateEntered": at(time.Minute), "durationSeconds": 60},
		},
	}
}

func (sc *scene) importOf(t T, id string, in body) call {
	t.Helper()
	return call{method: http.MethodPut, path: historyPath + "/" + id, token: sc.token(t), body: in}
}

func historyImport(t T, sc *scene) {
	id, in := sc.importID(t), sc.recordToImport(t)
	path := historyPath + "/" + id
	sc.refused(t, http.StatusNotFound, "not.found", sc.get(t, path))
	a := sc.want(t, http.StatusCreated, sc.importOf(t, id, in))
	if got := a.header.Get("Location"); !strings.HasSuffix(got, path) {
		t.Errorf("Location is %q, want the record", got)
	}
	var first recordBody
	a.into(t, &first)
	if first.ID != id || first.SessionID != id || first.State != "ended" || first.EndReason != "ended" || first.SessionToken != "007215938" || first.DateCreated != in["dateCreated"] || first.DateEnded != in["dateEnded"] || len(first.Participants) != 0 {
		t.Errorf("the imported record is %+v", first.sessionBody)
	}
	if text := string(a.body); strings.Contains(text, "secret") || strings.Contains(text, "4111") || !strings.Contains(text, `"durationSeconds":239`) || !strings.Contains(text, `"durationSeconds":60`) {
		t.Errorf("the pages are %+v, want their seconds, and addresses without what may be private", first.Pages)
	}
	// The same again, another one, and its own answer: nothing changes.
	other := sc.recordToImport(t)
	other["sessionToken"], other["pages"] = "123123123", []any{}
	for _, again := range []any{in, other, string(a.body)} {
		c := sc.importOf(t, id, nil)
		c.body = again
		b := sc.want(t, http.StatusOK, c)
		if string(b.body) != string(a.body) || b.header.Get("Location") != "" {
			t.Errorf("an import of what is there answers %v, want the record as it was, and no Location", b)
		}
	}
	for _, read := range []string{path, sessionPath(id)} {
		var got recordBody
		sc.want(t, http.StatusOK, sc.get(t, read)).into(t, &got)
		if got.ID != id || got.State != "ended" {
			t.Errorf("%s reads as %+v", read, got.sessionBody)
		}
	}
	listed := sc.records(t, historyPath+"?pageSize=100&from="+first.DateEnded+"&to="+date(t, "dateEnded", first.DateEnded).Add(time.Millisecond).Format("2006-01-02T15:04:05.000Z"))
	if !slices.ContainsFunc(listed.Entities, func(e recordBody) bool { return e.ID == id }) {
		t.Errorf("the list of records has no imported one among %d", len(listed.Entities))
	}
}

func historyImportRefused(t T, sc *scene) {
	id := sc.importID(t)
	long := date(t, "dateEnded", sc.recordToImport(t)["dateEnded"].(string)).Add(-sc.target.Limits.Retention)
	for _, tt := range []struct {
		name   string
		change body // nil removes
		want   []string
	}{
		{"no digits", body{"sessionToken": nil}, []string{"sessionToken"}},
		{"eight digits", body{"sessionToken": "12345678"}, []string{"sessionToken"}},
		{"still live", body{"dateEnded": nil}, []string{"dateEnded"}},
		{"a live state", body{"state": "active"}, []string{"state"}},
		{"an end in words", body{"dateEnded": "yesterday"}, []string{"dateEnded"}},
		{"an end before its beginning", body{"dateCreated": "2999-01-01T00:00:00Z", "dateActivated": nil, "pages": []any{}}, []string{"dateEnded"}},
		{"an end long ago", body{"dateCreated": long.Format(time.RFC3339), "dateActivated": nil, "dateEnded": long.Format(time.RFC3339), "pages": []any{}}, []string{"dateEnded"}},
		{"a reason that is none", body{"endReason": "bored"}, []string{"endReason"}},
		{"somebody in it", body{"participants": []any{invite(sc.target.AgentUserID, "agent")}}, []string{"participants"}},
		{"a conversation", body{"conversationId": unknownID(94)}, []string{"conversationId"}},
		{"another id", body{"id": unknownID(95)}, []string{"id"}},
		{"another session", body{"sessionId": unknownID(95)}, []string{"sessionId"}},
		{"a page that is a script", body{"pages": []any{body{"url": "javascript:alert(1)", "dateEntered": sc.recordToImport(t)["dateCreated"], "durationSeconds": 1}}}, []string{"pages[0].url"}},
		{"a negative time", body{"pages": []any{body{"url": shop, "dateEntered": sc.recordToImport(t)["dateCreated"], "durationSeconds": -1}}}, []string{"pages[0].durationSeconds"}},
	} {
		t.Run(tt.name, func(t T) {
			in := sc.recordToImport(t)
			for name, value := range tt.change {
				if in[name] = value; value == nil {
					delete(in, name)
				}
			}
			e := sc.badRequest(t, sc.importOf(t, id, in))
			if got := e.fields(); !slices.Equal(got, tt.want) {
				t.Errorf("details name %q, want %q", got, tt.want)
			}
		})
	}
	sc.badRequest(t, sc.importOf(t, "no-uuid", sc.recordToImport(t)))
	in := sc.recordToImport(t)
	in["padding"] = strings.Repeat("x", 200<<10)
	sc.refused(t, http.StatusRequestEntityTooLarge, "request.entity.too.large", sc.importOf(t, id, in))
	sc.refused(t, http.StatusNotFound, "not.found", sc.get(t, historyPath+"/"+id))
}

func historyImportTaken(t T, sc *scene) {
	live := sc.session(t)
	sc.refused(t, http.StatusConflict, "request.conflict", sc.importOf(t, live.ID, sc.recordToImport(t)))
	if got := sc.read(t, live.ID); got.State != "idle" {
		t.Errorf("after the import the session is %s", got.State)
	}
	sc.want(t, http.StatusNoContent, sc.deleteOf(t, sessionPath(live.ID)))
	sc.want(t, http.StatusOK, sc.importOf(t, live.ID, sc.recordToImport(t)))
	sc.needOther(t)
	theirs := sc.importOf(t, live.ID, sc.recordToImport(t))
	theirs.token = sc.other(t)
	sc.refused(t, http.StatusNotFound, "not.found", theirs)
}
