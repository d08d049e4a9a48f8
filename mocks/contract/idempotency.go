package contract

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

func idempotencyCases() []Case {
	return []Case{
		{"idempotency a repeat gives the same session with fresh join URLs", repeatCreate},
		{"idempotency another body under the same key is 400", repeatOtherBody},
		{"idempotency parallel repeats make one session", repeatParallel},
		{"idempotency a repeat after the end is 200 and shows the end", repeatAfterEnd},
		{"idempotency only successes are remembered", repeatAfterFailure},
		{"idempotency a key belongs to its client", repeatOtherClient},
		{"idempotency a key lives 24 hours", repeatAfterDay},
		{"idempotency keys that are none are 400", repeatBadKey},
	}
}

const replayedHeader = "Idempotent-Replayed"

// keyed is POST sessions under a key. Keys name the conversation and the run, so
// that a suite which runs twice does not meet its own keys.
func (s *suite) keyed(t T, key string, in body) call {
	t.Helper()
	return s.keyedExactly(t, key+"-"+s.run, in)
}

func (s *suite) keyedExactly(t T, key string, in body) call {
	t.Helper()
	c := s.post(t, sessionsPath, in)
	c.header = http.Header{"Idempotency-Key": {key}}
	return c
}

func repeatCreate(t T, sc *scene) {
	conv := sc.conversation(t, "message").ID
	c := sc.keyed(t, "repeat-"+conv, sc.createBody(conv))
	var first, second sessionBody
	a := sc.want(t, http.StatusCreated, c)
	a.into(t, &first)
	if got := a.header.Get(replayedHeader); got != "" {
		t.Errorf("the first answer has %s: %s", replayedHeader, got)
	}
	sc.want(t, http.StatusOK, sc.patch(t, first.ID, body{"settings": body{"timeoutInMinutes": 77}}))
	a = sc.want(t, http.StatusCreated, c)
	a.into(t, &second)
	if second.ID != first.ID || second.CreatedBy == nil || second.timeout() != 77*time.Minute {
		t.Errorf("the repeat gives session %s with time-out %v, want %s as it is now", second.ID, second.timeout(), first.ID)
	}
	for _, role := range []string{"agent", "supervisor"} {
		one, two := tokenOf(t, first.participant(role).JoinURL), tokenOf(t, second.participant(role).JoinURL)
		if one == two {
			t.Errorf("the repeat has the first join URL of the %s, want a fresh one", role)
		}
		sc.opens(t, two)
	}
	// Without the key it is an ordinary second create.
	c.header = nil
	sc.refused(t, http.StatusConflict, "request.conflict", c)
}

func repeatOtherBody(t T, sc *scene) {
	conv := sc.conversation(t, "message").ID
	sc.want(t, http.StatusCreated, sc.keyed(t, "other-"+conv, sc.createBody(conv)))
	other := sc.createBody(conv)
	other["settings"] = body{"timeoutInMinutes": 11}
	sc.refused(t, http.StatusBadRequest, "idempotency.key.reused", sc.keyed(t, "other-"+conv, other))
	sc.refused(t, http.StatusConflict, "request.conflict", sc.keyed(t, "another-"+conv, sc.createBody(conv)))
}

func repeatParallel(t T, sc *scene) {
	conv := sc.conversation(t, "message").ID
	c := sc.keyed(t, "parallel-"+conv, sc.createBody(conv))
	answers := make([]answer, 16)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			a, faults, err := sc.send(t.Context(), c)
			if err != nil {
				t.Errorf("%v", err)
			}
			for _, fault := range faults {
				t.Errorf("%v\n\t%s", a, fault)
			}
			answers[i] = a
		})
	}
	wg.Wait()
	ids := map[string]bool{}
	for _, a := range answers {
		if a.status != http.StatusCreated {
			t.Errorf("%v, want 201", a)
			continue
		}
		var b sessionBody
		a.into(t, &b)
		ids[b.ID] = true
	}
	if len(ids) != 1 {
		t.Errorf("parallel repeats gave %d sessions, want one", len(ids))
	}
}

func repeatAfterEnd(t T, sc *scene) {
	conv := sc.conversation(t, "message").ID
	c := sc.keyed(t, "ended-"+conv, sc.createBody(conv))
	var first, second sessionBody
	sc.want(t, http.StatusCreated, c).into(t, &first)
	sc.want(t, http.StatusNoContent, sc.deleteOf(t, sessionPath(first.ID)))
	a := sc.want(t, http.StatusOK, c)
	a.into(t, &second)
	if got := a.header.Get(replayedHeader); got != "true" {
		t.Errorf("%s is %q, want true", replayedHeader, got)
	}
	if second.ID != first.ID || second.State != "ended" || strings.Contains(string(a.body), "joinUrl") {
		t.Errorf("the repeat gives session %s, %s, want %s, ended and without join URLs", second.ID, second.State, first.ID)
	}
	// The key stands for the first session still; another key makes another one.
	if other := sc.want(t, http.StatusCreated, sc.keyed(t, "ended-2-"+conv, sc.createBody(conv))); strings.Contains(string(other.body), first.ID) {
		t.Errorf("a new key gave the ended session")
	}
}

func repeatAfterFailure(t T, sc *scene) {
	conv := sc.conversation(t, "message").ID
	key := "failure-" + conv
	sc.refused(t, http.StatusNotFound, "conversation.error.conversation.not.found", sc.keyed(t, key, sc.createBody(unknownID(70))))
	sc.badRequest(t, sc.keyed(t, key, body{"conversationId": conv}))
	blocker := sc.sessionOn(t, conv)
	sc.refused(t, http.StatusConflict, "request.conflict", sc.keyed(t, key, sc.createBody(conv)))
	sc.want(t, http.StatusNoContent, sc.deleteOf(t, sessionPath(blocker.ID)))
	var b sessionBody
	sc.want(t, http.StatusCreated, sc.keyed(t, key, sc.createBody(conv))).into(t, &b)
	if b.ID == blocker.ID {
		t.Errorf("the key gives the session that was in its way")
	}
}

func repeatOtherClient(t T, sc *scene) {
	sc.needOther(t)
	conv := sc.conversation(t, "message").ID
	key := "client-" + conv
	sc.want(t, http.StatusCreated, sc.keyed(t, key, sc.createBody(conv)))
	c := sc.keyed(t, key, sc.createBody(conv))
	c.token = sc.other(t)
	sc.refused(t, http.StatusNotFound, "conversation.error.conversation.not.found", c)
}

func repeatAfterDay(t T, sc *scene) {
	sc.needAdvance(t)
	conv := sc.conversation(t, "message").ID
	key := "day-" + conv
	var first, second sessionBody
	sc.want(t, http.StatusCreated, sc.keyed(t, key, sc.createBody(conv))).into(t, &first)
	sc.advance(23 * time.Hour)
	sc.want(t, http.StatusOK, sc.keyed(t, key, sc.createBody(conv))).into(t, &second)
	if second.ID != first.ID {
		t.Errorf("after 23 hours the key gives session %s, want %s", second.ID, first.ID)
	}
	sc.advance(time.Hour + time.Second)
	sc.want(t, http.StatusCreated, sc.keyed(t, key, sc.createBody(conv))).into(t, &second)
	if second.ID == first.ID {
		t.Errorf("after 24 hours the key still gives the first session")
	}
}

func repeatBadKey(t T, sc *scene) {
	conv := sc.conversation(t, "message").ID
	for _, key := range []string{strings.Repeat("k", 256), "schlüssel"} {
		e := sc.badRequest(t, sc.keyedExactly(t, key, sc.createBody(conv)))
		if len(e.Details) != 1 || !strings.EqualFold(e.Details[0].FieldName, "Idempotency-Key") {
			t.Errorf("a key of %s bytes: details are %+v, want one for Idempotency-Key", strconv.Itoa(len(key)), e.Details)
		}
	}
	sc.noSession(t, conv)
	sc.want(t, http.StatusCreated, sc.keyedExactly(t, conv+sc.run+strings.Repeat("k", 255-len(conv)-len(sc.run)), sc.createBody(conv)))
}
