package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/api"
)

const conversationsURL = "/api/v2/conversations"

type talkAnswer struct {
	ID           string `json:"id"`
	Participants []struct {
		ID      string `json:"id"`
		Purpose string `json:"purpose"`
	} `json:"participants"`
}

func TestConversations(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	golden(t, "conversations", h.want(t, http.StatusOK, http.MethodGet, conversationsURL+"?state=active&limit=5", ""))
	golden(t, "conversation", h.want(t, http.StatusOK, http.MethodGet, conversationsURL+"/"+string(talk), ""))
	for query, want := range map[string]int{
		"": 2, "?limit=1": 1, "?pageSize=1&limit=2": 1, "?communicationType=call": 1, "?communicationType=chat": 0,
		"?state=disconnected": 0, "?state=any": 2, "?pageNumber=2": 0,
	} {
		var page struct {
			Entities []talkAnswer `json:"entities"`
		}
		h.want(t, http.StatusOK, http.MethodGet, conversationsURL+query, "").into(t, &page)
		if len(page.Entities) != want {
			t.Errorf("%q lists %d conversations, want %d", query, len(page.Entities), want)
		}
	}
	for _, query := range []string{"?state=x", "?limit=0", "?limit=101", "?communicationType=fax"} {
		h.refused(t, http.StatusBadRequest, cobridge.CodeInvalidQueryParam, http.MethodGet, conversationsURL+query, "")
	}
	h.refused(t, http.StatusNotFound, cobridge.CodeConversationNotFound, http.MethodGet, conversationsURL+"/nothing", "")
	h.refused(t, http.StatusNotFound, cobridge.CodeConversationNotFound, http.MethodPost, conversationsURL+"/nothing/disconnect", "")
	h.refused(t, http.StatusBadRequest, cobridge.CodeNotAUser, http.MethodDelete, conversationsURL+"/"+string(talk), "")
}

func TestConversationLife(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	created := h.want(t, http.StatusCreated, http.MethodPost, conversationsURL, `{"mediaType":"chat","participants":[{"purpose":"customer","attributes":{"a":"1"}},{"purpose":"agent","userId":"`+string(ann)+`"}]}`)
	var c talkAnswer
	created.into(t, &c)
	self := conversationsURL + "/" + c.ID
	if got := created.header.Get("Location"); got != self {
		t.Errorf("Location = %q, want %q", got, self)
	}
	attributes := self + "/participants/" + c.Participants[0].ID + "/attributes"
	if a := h.want(t, http.StatusAccepted, http.MethodPatch, attributes, `{"attributes":{"b":"2"}}`); a.body != "" {
		t.Errorf("PATCH answers %q, want nothing", a.body)
	}
	if a := h.want(t, http.StatusOK, http.MethodGet, self, ""); !strings.Contains(a.body, `"attributes":{"a":"1","b":"2"}`) {
		t.Errorf("attributes were not merged: %s", a.body)
	}
	h.refused(t, http.StatusBadRequest, cobridge.CodeAttributeNull, http.MethodPatch, attributes, `{"attributes":null}`)
	h.refused(t, http.StatusBadRequest, cobridge.CodeConstraintValidation, http.MethodPatch, attributes, `{"attributes":{"b":2}}`)
	h.refused(t, http.StatusBadRequest, cobridge.CodeConstraintValidation, http.MethodPatch, attributes, `{}`)
	h.refused(t, http.StatusNotFound, cobridge.CodeParticipantNotFound, http.MethodPatch, self+"/participants/nobody/attributes", `{"attributes":{}}`)
	for range 2 {
		if a := h.want(t, http.StatusAccepted, http.MethodPost, self+"/disconnect", ""); !strings.HasPrefix(a.body, `"`) {
			t.Errorf("disconnect answers %s, want a JSON string", a.body)
		}
	}
	ended := h.want(t, http.StatusOK, http.MethodGet, self, "")
	if !strings.Contains(ended.body, `"state":"disconnected"`) || !strings.Contains(ended.body, `"endTime"`) {
		t.Errorf("the ended conversation is %s", ended.body)
	}
	h.refused(t, http.StatusNotFound, cobridge.CodeConversationNotFound, http.MethodPost, sessionsURL, strings.Replace(createBody(talk), string(talk), c.ID, 1))
	h.refused(t, http.StatusNotFound, cobridge.CodeUserNotFound, http.MethodPost, conversationsURL, `{"mediaType":"chat","participants":[{"purpose":"agent","userId":"nobody"}]}`)
}

func TestConversationsFromElsewhere(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(d *api.Deps) { d.Conversations = nil })
	h.refused(t, http.StatusMethodNotAllowed, cobridge.CodeMethodNotAllowed, http.MethodPost, conversationsURL, `{"mediaType":"chat","participants":[{"purpose":"customer"}]}`)
}

func TestUsers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	golden(t, "users", h.want(t, http.StatusOK, http.MethodGet, "/api/v2/users", ""))
	golden(t, "user", h.want(t, http.StatusOK, http.MethodGet, "/api/v2/users/"+string(ben)+"?expand=presence", ""))
	for query, want := range map[string]int{
		"?state=any": 4, "?state=inactive": 1, "?state=deleted": 1, "?id=" + string(ann) + "&id=" + string(ben): 2,
		"?id=" + string(ann) + "," + string(ben) + ",nobody": 2, "?id=" + string(eve): 0,
	} {
		var page struct {
			Total int `json:"total"`
		}
		h.want(t, http.StatusOK, http.MethodGet, "/api/v2/users"+query, "").into(t, &page)
		if page.Total != want {
			t.Errorf("%q finds %d users, want %d", query, page.Total, want)
		}
	}
	h.refused(t, http.StatusBadRequest, cobridge.CodeInvalidQueryParam, http.MethodGet, "/api/v2/users?id="+strings.Repeat("a,", 101), "")
	h.refused(t, http.StatusBadRequest, cobridge.CodeInvalidQueryParam, http.MethodGet, "/api/v2/users?state=x", "")
	h.refused(t, http.StatusBadRequest, cobridge.CodeNotAUser, http.MethodGet, "/api/v2/users/me", "")
	golden(t, "user-authorization", h.want(t, http.StatusOK, http.MethodGet, "/api/v2/users/"+string(ann)+"?expand=presence,authorization", ""))
	for query, want := range map[string]bool{"?expand=authorization": true, "?expand=presence&expand=authorization": true, "?expand=authorizations": false, "": false} {
		var body struct {
			Authorization *struct {
				Permissions []string `json:"permissions"`
			} `json:"authorization"`
		}
		h.want(t, http.StatusOK, http.MethodGet, "/api/v2/users/"+string(ben)+query, "").into(t, &body)
		if got := body.Authorization != nil; got != want {
			t.Errorf("%q shows the authorization: %t, want %t", query, got, want)
		}
	}
	h.want(t, http.StatusOK, http.MethodGet, "/api/v2/users/"+string(dan), "")
	h.want(t, http.StatusOK, http.MethodGet, "/api/v2/users/"+string(gus)+"?state=deleted", "")
	for _, path := range []string{string(gus), string(eve), "nobody", string(ann) + "?state=inactive", "%25zz"} {
		h.refused(t, http.StatusNotFound, cobridge.CodeUserNotFound, http.MethodGet, "/api/v2/users/"+path, "")
	}
	h.refused(t, http.StatusBadRequest, cobridge.CodeInvalidQueryParam, http.MethodGet, "/api/v2/users/"+string(ann)+"?state=x", "")
}
