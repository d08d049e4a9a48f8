//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

const (
	sessionsPath      = "/api/v2/cobrowse/sessions"
	conversationsPath = "/api/v2/conversations"
	tokenPath         = "/oauth/token"

	jsonHeader = "Content-Type: application/json"
	formHeader = "Content-Type: application/x-www-form-urlencoded"
)

// service is the real binary in demo mode, which limits no rates, over a store of
// its own in a directory.
type service struct {
	*child
	addr   string // host:port
	token  string // access token
	client http.Client

	demo struct {
		BaseURL      string `json:"baseUrl"`
		ClientID     string `json:"clientId"`
		ClientSecret string `json:"clientSecret"`
		AgentID      string `json:"agentUserId"`
		SupervisorID string `json:"supervisorUserId"`
	}
}

// startService starts the binary on what may be in dir, and gets a token.
func startService(ctx context.Context, binary, dir string) (*service, error) {
	c, err := startChild(ctx, nil, binary, "demo", "--json", "--listen", "127.0.0.1:0", "--data", dir)
	if err != nil {
		return nil, err
	}
	s := &service{child: c, client: http.Client{Timeout: 10 * time.Second}}
	if err := s.connect(ctx); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func (s *service) connect(ctx context.Context) error {
	if err := json.Unmarshal([]byte(s.first), &s.demo); err != nil {
		return fmt.Errorf("read the demo's line: %w", err)
	}
	base, err := url.Parse(s.demo.BaseURL)
	if err != nil {
		return fmt.Errorf("read the demo's line: %w", err)
	}
	s.addr = base.Host
	return s.login(ctx)
}

// login gets an access token.
func (s *service) login(ctx context.Context) error {
	var granted struct {
		AccessToken string `json:"access_token"`
	}
	_, err := s.call(ctx, http.MethodPost, tokenPath, formHeader, s.tokenForm(), http.StatusOK, &granted)
	s.token = granted.AccessToken
	return err
}

// tokenForm is the body of a token request.
func (s *service) tokenForm() []byte {
	return []byte(url.Values{
		"grant_type": {"client_credentials"}, "client_id": {s.demo.ClientID}, "client_secret": {s.demo.ClientSecret},
	}.Encode())
}

// bearer is the header of a call.
func (s *service) bearer() string { return "Authorization: Bearer " + s.token }

// call makes one call outside of any measurement and returns the body.
func (s *service) call(ctx context.Context, method, path, contentType string, body []byte, want int, out any) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, s.demo.BaseURL+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	for _, header := range []string{contentType, s.bearer()} {
		if name, value, found := strings.Cut(header, ": "); found && value != "Bearer " {
			request.Header.Set(name, value)
		}
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer func() { _ = response.Body.Close() }() // it was read to its end
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if response.StatusCode != want {
		return nil, fmt.Errorf("%s %s: status %d, want %d: %.300s", method, path, response.StatusCode, want, answer)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return answer, nil
}

// conversation is the body that starts a conversation.
func (s *service) conversation() []byte {
	return []byte(`{"mediaType":"call","participants":[{"purpose":"customer","name":"Kim Customer"},{"purpose":"agent","userId":"` + s.demo.AgentID + `"}]}`)
}

// session is the body that creates a session, as the tutorial's client sends it:
// the agent shares, a supervisor watches.
func (s *service) session(conversation string) []byte {
	buf := append([]byte(nil), `{"conversationId":"`...)
	buf = append(buf, conversation...)
	buf = append(buf, `","participants":[{"userId":"`...)
	buf = append(buf, s.demo.AgentID...)
	buf = append(buf, `","role":"agent"},{"userId":"`...)
	buf = append(buf, s.demo.SupervisorID...)
	return append(buf, `","role":"supervisor"}],"settings":{"allowRemoteControl":true,"timeoutInMinutes":10}}`...)
}

// createSession creates a session on a conversation of its own and returns its id
// and the answer.
func (s *service) createSession(ctx context.Context) (id string, answer []byte, err error) {
	var created struct {
		ID string `json:"id"`
	}
	if _, err := s.call(ctx, http.MethodPost, conversationsPath, jsonHeader, s.conversation(), http.StatusCreated, &created); err != nil {
		return "", nil, err
	}
	answer, err = s.call(ctx, http.MethodPost, sessionsPath, jsonHeader, s.session(created.ID), http.StatusCreated, &created)
	return created.ID, answer, err
}

// conversations starts n conversations, on which n sessions can be created, and
// returns their ids.
func (s *service) conversations(ctx context.Context, n int) ([]string, error) {
	const conns = 64
	start := head(http.MethodPost, conversationsPath, s.addr, s.bearer(), jsonHeader)
	body := s.conversation()
	var mu sync.Mutex
	ids, left := make([]string, 0, n), n
	made, err := load{
		addr: s.addr, conns: conns, lasts: time.Minute, want: http.StatusCreated,
		request: func(_ int, buf []byte) ([]byte, bool) {
			mu.Lock()
			defer mu.Unlock()
			left--
			return withBody(buf, start, body), left >= 0
		},
		answer: func(_ int, body []byte) error {
			var created struct {
				ID string `json:"id"`
			}
			if err := json.Unmarshal(body, &created); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			ids = append(ids, created.ID)
			return nil
		},
	}.run(ctx)
	if err == nil {
		err = made.failure
	}
	if err == nil && len(ids) < n {
		err = fmt.Errorf("%d of %d in a minute", len(ids), n)
	}
	if err != nil {
		return nil, fmt.Errorf("start conversations: %w", err)
	}
	return ids, nil
}

// liveSessions returns how many sessions the service lists as live.
func (s *service) liveSessions(ctx context.Context) (int, error) {
	var page struct {
		Total int `json:"total"`
	}
	_, err := s.call(ctx, http.MethodGet, sessionsPath+"?pageSize=1", "", nil, http.StatusOK, &page)
	return page.Total, err
}

// storedBytes looks into the store of a service that was stopped for how many
// bytes a session takes there: every key and value that names it, except the
// conversation, to which its id is attached later.
func storedBytes(dir, id string) (int, error) {
	var file string
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".db" && entry.Type().IsRegular() {
			file = path
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("look for the store: %w", err)
	}
	db, err := bbolt.Open(file, 0o600, &bbolt.Options{Timeout: time.Second, ReadOnly: true})
	if err != nil {
		return 0, fmt.Errorf("open the store: %w", err)
	}
	defer func() { _ = db.Close() }() // it was only read
	size := 0
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			if bytes.HasPrefix(name, []byte("conversation")) {
				return nil
			}
			return b.ForEach(func(key, value []byte) error {
				if bytes.Contains(key, []byte(id)) || bytes.Contains(value, []byte(id)) {
					size += len(key) + len(value)
				}
				return nil
			})
		})
	})
	if err == nil && size == 0 {
		err = errors.New("the session is not in the store")
	}
	return size, err
}
