package web_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/web"
)

// createBody looks like the largest of the documented requests.
type createBody struct {
	ConversationID string `json:"conversationId"`
	Participants   []struct {
		UserID string `json:"userId"`
		Role   string `json:"role"`
	} `json:"participants"`
	Settings *struct {
		AllowRemoteControl bool `json:"allowRemoteControl"`
		TimeoutInMinutes   int  `json:"timeoutInMinutes"`
	} `json:"settings"`
	Attributes map[string]string `json:"attributes"`
	Grid       [][]int           `json:"grid"`
	From       web.Time          `json:"from"`
	Share      float64           `json:"share"`
	Count      uint8             `json:"count"`
}

func newDecodeApp() *fiber.App {
	app, _ := newApp(web.Config{})
	app.Post("/decode", func(c *fiber.Ctx) error {
		var in createBody
		if err := web.Decode(c, &in); err != nil {
			return err
		}
		return c.JSON(in)
	})
	app.Post("/large", func(c *fiber.Ctx) error {
		var in createBody
		if err := web.DecodeLimit(c, &in, 100_000); err != nil {
			return err
		}
		return c.JSON(in)
	})
	app.Post("/optional", func(c *fiber.Ctx) error {
		var in createBody
		if web.HasBody(c) {
			if err := web.Decode(c, &in); err != nil {
				return err
			}
		}
		return c.JSON(in)
	})
	return app
}

func TestDecode(t *testing.T) {
	t.Parallel()
	app := newDecodeApp()
	const kind = "application/json"
	deep := func(n int) string { return `{"x":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}` }
	for name, tt := range map[string]struct {
		target, kind, body string
		header             []string
		status             int
		code, field, text  string
	}{
		"good":                     {body: `{"conversationId":"c7","participants":[{"userId":"a1","role":"agent"}],"settings":{"timeoutInMinutes":10}}`, status: 200},
		"charset":                  {kind: kind + "; charset=UTF-8", body: `{}`, status: 200},
		"kind in another case":     {kind: "Application/JSON;charset=\"utf-8\"", body: `{}`, status: 200},
		"unknown members":          {body: `{"other":{"more":[1,2,{"x":null}]}}`, status: 200},
		"repeated member":          {body: `{"conversationId":"a","conversationId":"b"}`, status: 200},
		"space around":             {body: " \r\n\t{} \n", status: 200},
		"64 levels":                {body: deep(63), status: 200},
		"brackets in a string":     {body: `{"conversationId":"` + strings.Repeat(`[{\"\\`, 100) + `"}`, status: 200},
		"uncompressed":             {body: `{}`, header: []string{"Content-Encoding", "identity"}, status: 200},
		"large where allowed":      {target: "/large", body: `{"conversationId":"` + strings.Repeat("a", 80_000) + `"}`, status: 200},
		"empty where allowed":      {target: "/optional", status: 200},
		"empty, kind of a form":    {target: "/optional", kind: "text/plain", status: 200},
		"empty":                    {status: 400, code: "bad.request", text: "needs a JSON object"},
		"empty, no kind":           {kind: "-", status: 400, code: "bad.request", text: "needs a JSON object"},
		"no kind":                  {kind: "-", body: `{}`, status: 415, code: "unsupported.media.type"},
		"form":                     {kind: "application/x-www-form-urlencoded", body: `a=b`, status: 415, code: "unsupported.media.type"},
		"text":                     {kind: "text/json", body: `{}`, status: 415, code: "unsupported.media.type"},
		"another charset":          {kind: kind + "; charset=latin1", body: `{}`, status: 415, code: "unsupported.media.type"},
		"broken kind":              {kind: kind + "; charset=", body: `{}`, status: 415, code: "unsupported.media.type"},
		"compressed":               {body: `{}`, header: []string{"Content-Encoding", "gzip"}, status: 415, code: "unsupported.media.type"},
		"compressed twice":         {body: `{}`, header: []string{"Content-Encoding", "gzip, br"}, status: 415, code: "unsupported.media.type"},
		"kind before size":         {kind: "text/plain", body: strings.Repeat("a", 70_000), status: 415, code: "unsupported.media.type"},
		"too large":                {body: `{"conversationId":"` + strings.Repeat("a", 66_000) + `"}`, status: 413, code: "request.entity.too.large", text: "65536 bytes"},
		"too large where more":     {target: "/large", body: strings.Repeat(" ", 100_001), status: 413, code: "request.entity.too.large", text: "100000 bytes"},
		"65 levels":                {body: deep(64), status: 400, code: "bad.request", text: "64 levels"},
		"200 levels":               {body: strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200), status: 400, code: "bad.request", text: "64 levels"},
		"broken UTF-8":             {body: "{\"conversationId\":\"a\xff\"}", status: 400, code: "bad.request", text: "UTF-8"},
		"half a character":         {body: "{\"conversationId\":\"\xc3\"}", status: 400, code: "bad.request", text: "UTF-8"},
		"UTF-16":                   {body: "\xff\xfe{\x00}\x00", status: 400, code: "bad.request", text: "UTF-8"},
		"broken JSON":              {body: `{"conversationId":`, status: 400, code: "bad.request", text: "valid JSON"},
		"single quotes":            {body: `{'conversationId':'a'}`, status: 400, code: "bad.request", text: "valid JSON"},
		"comma at the end":         {body: `{"conversationId":"a",}`, status: 400, code: "bad.request", text: "valid JSON"},
		"not a number":             {body: `{"share":NaN}`, status: 400, code: "bad.request", text: "valid JSON"},
		"something behind":         {body: `{} {}`, status: 400, code: "bad.request", text: "valid JSON"},
		"garbage behind":           {body: `{}x`, status: 400, code: "bad.request", text: "valid JSON"},
		"array":                    {body: `[]`, status: 400, code: "bad.request", text: "one JSON object"},
		"string":                   {body: `"a"`, status: 400, code: "bad.request", text: "one JSON object"},
		"null":                     {body: `null`, status: 400, code: "bad.request", text: "one JSON object"},
		"spaces":                   {body: "  \n", status: 400, code: "bad.request", text: "one JSON object"},
		"number for a string":      {body: `{"conversationId":5}`, status: 400, code: "bad.request", field: "conversationId", text: "must be a string"},
		"string for a bool":        {body: `{"settings":{"allowRemoteControl":"yes"}}`, status: 400, code: "bad.request", field: "settings.allowRemoteControl", text: "true or false"},
		"string for an integer":    {body: `{"settings":{"timeoutInMinutes":"10"}}`, status: 400, code: "bad.request", field: "settings.timeoutInMinutes", text: "an integer"},
		"fraction for an integer":  {body: `{"settings":{"timeoutInMinutes":1.5}}`, status: 400, code: "bad.request", field: "settings.timeoutInMinutes", text: "an integer"},
		"overflow":                 {body: `{"settings":{"timeoutInMinutes":1e99}}`, status: 400, code: "bad.request", field: "settings.timeoutInMinutes", text: "an integer"},
		"negative":                 {body: `{"count":-1}`, status: 400, code: "bad.request", field: "count", text: "not negative"},
		"string for a number":      {body: `{"share":"1"}`, status: 400, code: "bad.request", field: "share", text: "a number"},
		"object for an array":      {body: `{"participants":{}}`, status: 400, code: "bad.request", field: "participants", text: "an array"},
		"string for an object":     {body: `{"settings":"no"}`, status: 400, code: "bad.request", field: "settings", text: "an object"},
		"array for an object":      {body: `{"settings":[1]}`, status: 400, code: "bad.request", field: "settings", text: "an object"},
		"in an array":              {body: `{"conversationId":"c","participants":[{"userId":"a","role":"agent"},{"userId":"b","x":[[1],{}],"role":{"is":1}}]}`, status: 400, code: "bad.request", field: "participants[1].role", text: "a string"},
		"element of an array":      {body: `{"participants":[{"userId":"a"},7]}`, status: 400, code: "bad.request", field: "participants[1]", text: "an object"},
		"first of an array":        {body: `{"participants":["a"]}`, status: 400, code: "bad.request", field: "participants[0]", text: "an object"},
		"array in an array":        {body: `{"grid":[[1,2],[3,"4"]]}`, status: 400, code: "bad.request", field: "grid[1][1]", text: "an integer"},
		"value of a map":           {body: `{"attributes":{"a":"b","c":1}}`, status: 400, code: "bad.request", field: "attributes.c", text: "a string"},
		"no date":                  {body: `{"from":"tomorrow"}`, status: 400, code: "bad.request", field: "from", text: "a date-time"},
		"number for a date":        {body: `{"from":12}`, status: 400, code: "bad.request", field: "from", text: "a date-time"},
		"long name of a map":       {body: `{"attributes":{"` + strings.Repeat("ä", 5000) + `":1}}`, status: 400, code: "bad.request", text: "..."},
		"wrong type, then garbage": {body: `{"conversationId":5,}`, status: 400, code: "bad.request", text: "valid JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.target == "" {
				tt.target = "/decode"
			}
			header := tt.header
			switch tt.kind {
			case "":
				header = append(header, "Content-Type", kind)
			case "-":
			default:
				header = append(header, "Content-Type", tt.kind)
			}
			a := send(t, app, http.MethodPost, tt.target, tt.body, header...)
			if tt.status == 200 {
				if a.status != 200 {
					t.Fatalf("%d %s, want 200", a.status, a.body)
				}
				return
			}
			e := wantEnvelope(t, a, tt.status, tt.code)
			if !strings.Contains(e.Message, tt.text) {
				t.Errorf("message = %q, want %q in it", e.Message, tt.text)
			}
			if tt.field != "" && (len(e.Details) != 1 || e.Details[0].FieldName != tt.field) {
				t.Errorf("details = %+v, want the field %q", e.Details, tt.field)
			}
			for _, word := range []string{"Go ", "struct", "web.", "createBody", "json:", "float64", "uint8", "int of"} {
				if strings.Contains(a.body, word) {
					t.Errorf("the answer speaks of Go (%q): %s", word, a.body)
				}
			}
			if len(a.body) > 1000 {
				t.Errorf("the answer repeats the request: %d bytes", len(a.body))
			}
		})
	}
}

func TestTimeOnTheWire(t *testing.T) {
	t.Parallel()
	type body struct {
		At   web.Time `json:"at"`
		Late web.Time `json:"late,omitzero"`
	}
	at := time.Date(2026, time.March, 4, 6, 6, 7, 89_999_999, time.FixedZone("", 3600))
	got, err := json.Marshal(body{At: web.Time(at)})
	if want := `{"at":"2026-03-04T05:06:07.089Z"}`; err != nil || string(got) != want {
		t.Errorf("Marshal = %s, %v, want %s", got, err, want)
	}
	if _, err := json.Marshal(web.Time(time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC))); err == nil {
		t.Error("Marshal of the year 10000 = nil, want an error")
	}
	for text, want := range map[string]string{
		"2026-03-04T05:06:07.089Z": "2026-03-04T05:06:07.089Z", "2026-03-04T06:06:07+01:00": "2026-03-04T05:06:07.000Z",
	} {
		var in body
		if err := json.Unmarshal([]byte(`{"at":"`+text+`","late":null}`), &in); err != nil {
			t.Fatalf("Unmarshal(%s): %v", text, err)
		}
		if diff := cmp.Diff(want, in.At.String()); diff != "" || !in.Late.IsZero() {
			t.Errorf("Unmarshal(%s) (-want +got):\n%s", text, diff)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"conversationId":"c7","participants":[{"userId":"a1","role":"agent"},{"userId":"b2","role":"supervisor"}],"settings":{"allowRemoteControl":false,"timeoutInMinutes":10}}`,
		`{"attributes":{"k":"v"}}`, `{"attributes":null}`, `{"state":"disconnected"}`, `{}`, ``, `null`, `[]`, `{"from":"2026-03-04T05:06:07.089Z"}`,
		`{"participants":[{"userId":1}]}`, `{"grid":[[1],["2"]]}`, `{"settings":{"timeoutInMinutes":1e99}}`, `{"a":"\ud800"}`, "{\"a\":\"\xff\"}",
		strings.Repeat(`{"a":`, 70), `{"x":"\"}`, `{"":{"":[{}]}}`, `{"attributes":{"a":{"b":[1,{"c":2}]}}}`,
	} {
		f.Add([]byte(seed))
	}
	app, _ := newApp(web.Config{})
	f.Fuzz(func(t *testing.T, body []byte) {
		c := newCtx(t, app)
		c.Request().Header.SetContentType("application/json")
		c.Request().SetBody(body)
		var in createBody
		err := web.Decode(c, &in)
		if err == nil {
			if !json.Valid(body) {
				t.Errorf("Decode(%q) = nil, want an error for what is no JSON", body)
			}
			return
		}
		e, ok := errors.AsType[*cobridge.Error](err)
		if !ok || web.StatusOf(e.Code) >= 500 {
			t.Fatalf("Decode(%q) = %v, want one of our errors below 500", body, err)
		}
		if text := fmt.Sprint(e.Message, e.Details); len(text) > 600 {
			t.Errorf("Decode(%q) answers with %d bytes, want a short text", body, len(text))
		}
	})
}
