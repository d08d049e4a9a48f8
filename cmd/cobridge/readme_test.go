package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
)

// What README.md says to paste is sent to the demo as it stands there.
func TestReadme(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```sh\nbase=(\\S+)\n(.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatal("README.md has no block that starts with base=")
	}
	if got, want := string(block[1]), "http://"+newDemo(console{}).Flag("listen").DefValue; got != want {
		t.Errorf("base is %s, but the demo is at %s", got, want)
	}
	form := url.Values{}
	for _, m := range regexp.MustCompile(`-d (\w+)=([^\s|]+)`).FindAllSubmatch(block[2], -1) {
		form.Set(string(m[1]), string(m[2]))
	}
	body := regexp.MustCompile(`(?s)-d '(\{.*\})'`).FindSubmatch(block[2])
	if body == nil {
		t.Fatal("README.md creates no session")
	}

	info, _ := demo(t)
	post := func(path, contentType, token, body string, want int) []byte {
		t.Helper()
		if !strings.Contains(string(block[2]), `"$base`+path+`"`) {
			t.Errorf("README.md does not call %s", path)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, info.BaseURL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", contentType)
		req.Header.Set("Authorization", token)
		client := http.Client{Timeout: limit, Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		answer, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != want {
			t.Fatalf("POST %s = %d %s (%v), want %d", path, resp.StatusCode, answer, err, want)
		}
		return answer
	}
	var token struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(post("/oauth/token", "application/x-www-form-urlencoded", "", form.Encode(), http.StatusOK), &token); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{http.StatusCreated, http.StatusConflict} { // the table below the calls has both
		post("/api/v2/cobrowse/sessions", "application/json", "Bearer "+token.AccessToken, string(body[1]), want)
	}
}
