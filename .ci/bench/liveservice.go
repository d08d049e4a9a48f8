//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
)

const (
	liveUsers = 101 // as many agents and supervisors as one session here has, and one more

	liveOrgID        = "00000000-0000-4000-8000-000000000001"
	liveClientID     = "00000000-0000-4000-8000-0000000000e1"
	liveDeploymentID = "00000000-0000-4000-8000-0000000000d1"

	invitesAtOnce = 50 // most participants of one create

	liveShop = "https://shop.example" // origin of pages that no browser loads
)

type object = map[string]any

// liveUser returns the id of a user of the organisation, 0 up to liveUsers-1.
func liveUser(i int) string { return fmt.Sprintf("00000000-0000-4000-8000-1%011d", i) }

// liveConfig is the configuration of a service without limits: an organisation with
// a client, users who may cobrowse, and a site that is shared.
func liveConfig(secret string, origins []string, startURL string) object {
	users := make([]object, liveUsers)
	for i := range users {
		users[i] = object{"id": liveUser(i), "name": fmt.Sprintf("Sam Supervisor %d", i), "cobrowse": object{"voice": true, "digital": true}}
	}
	return object{
		"session": object{"maxViewers": 100, "oneSessionPerAgent": false},
		"limits": object{
			"tokenPerMinute": 0, "addressPerMinute": 0, "failedLoginsPerMinute": 0, "startsPerMinute": 0,
			"streamsPerAddress": 20000, "pageFramesPerSecond": 0, "pageBytesPerSecond": 0,
		},
		"organisations": []object{{
			"id": liveOrgID, "name": "Bench", "users": users,
			"clients": []object{{
				"id": liveClientID, "name": "Bench", "secret": secret,
				"scopes": []string{"cobrowse:session:read", "cobrowse:session:write", "conversations:read", "conversations:write"},
			}},
			"deployments": []object{{
				"id": liveDeploymentID, "name": "Orders", "allowedOrigins": origins, "startUrl": startURL,
				"showSelectors": []string{"[data-shown]"},
			}},
		}},
	}
}

// startLive starts serve with such a configuration over a store of its own in dir.
// The site is at startURL, on one of these origins.
func startLive(ctx context.Context, binary, dir string, origins []string, startURL string) (*service, error) {
	secret := rand.Text() + rand.Text()
	return startConfigured(ctx, binary, dir, secret, liveConfig(secret, origins, startURL))
}

// startLegacy is startLive with the surfaces of the old product, whose access rules are
// the defaults: customers' pages are known by their origin, agents and controllers by
// an access token.
func startLegacy(ctx context.Context, binary, dir string) (*service, error) {
	secret := rand.Text() + rand.Text()
	cfg := liveConfig(secret, []string{liveShop}, liveShop+"/")
	cfg["legacy"] = object{"enabled": true, "deployment": liveDeploymentID, "allowedOrigins": []string{liveShop}}
	return startConfigured(ctx, binary, dir, secret, cfg)
}

// startConfigured starts serve over a store of its own in dir. The secret is that of the client.
func startConfigured(ctx context.Context, binary, dir, secret string, cfg object) (*service, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	text, err := json.Marshal(cfg) // JSON is YAML too
	if err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	file := filepath.Join(dir, "cobridge.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	cmd, addr, _, err := startServe(ctx, binary, "COBRIDGE_CONFIG="+file, "COBRIDGE_STORE=bolt:"+filepath.Join(dir, "cobridge.db"))
	if err != nil {
		return nil, err
	}
	s := &service{child: &child{cmd: cmd, stdin: io.NopCloser(nil)}, addr: addr, client: http.Client{Timeout: hangLimit}}
	s.demo.BaseURL, s.demo.ClientID, s.demo.ClientSecret = "http://"+addr, liveClientID, secret
	s.demo.AgentID, s.demo.SupervisorID = liveUser(0), liveUser(1)
	if err := s.login(ctx); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// session on the wire, as far as it is needed here.
type createdSession struct {
	ID           string        `json:"id"`
	Participants []participant `json:"participants"`
}

type participant struct {
	ID      string `json:"id"`
	Role    string `json:"role"`
	JoinURL string `json:"joinUrl"`
}

// token returns the join token of a participant that was just invited.
func (p participant) token() (string, error) {
	u, err := url.Parse(p.JoinURL)
	if err != nil || u.Query().Get("token") == "" {
		return "", fmt.Errorf("participant %s has no join token", p.ID)
	}
	return u.Query().Get("token"), nil
}

// liveSession is a session that was created and that nobody has joined.
type liveSession struct {
	id      string
	sharer  string   // join token of the customer
	viewers []string // of the others
}

// openSession creates a session in which the customer shares, on a conversation of
// its own, with so many viewers.
func (s *service) openSession(ctx context.Context, viewers int) (liveSession, error) {
	var conversation struct {
		ID string `json:"id"`
	}
	if _, err := s.call(ctx, http.MethodPost, conversationsPath, jsonHeader, s.conversation(), http.StatusCreated, &conversation); err != nil {
		return liveSession{}, err
	}
	invited := []map[string]string{{"role": "customer", "name": "Kim Customer"}, {"role": "agent", "userId": liveUser(0)}}
	for i := 1; i < viewers; i++ {
		invited = append(invited, map[string]string{"role": "supervisor", "userId": liveUser(i)})
	}
	first := min(len(invited), invitesAtOnce)
	body, err := json.Marshal(map[string]any{
		"conversationId": conversation.ID, "participants": invited[:first], "settings": map[string]any{"timeoutInMinutes": 120},
	})
	if err != nil {
		return liveSession{}, err
	}
	var created createdSession
	if _, err := s.call(ctx, http.MethodPost, sessionsPath, jsonHeader, body, http.StatusCreated, &created); err != nil {
		return liveSession{}, err
	}
	for _, more := range invited[first:] {
		body, err := json.Marshal(more)
		if err != nil {
			return liveSession{}, err
		}
		var p participant
		if _, err := s.call(ctx, http.MethodPost, sessionsPath+"/"+created.ID+"/participants", jsonHeader, body, http.StatusCreated, &p); err != nil {
			return liveSession{}, err
		}
		created.Participants = append(created.Participants, p)
	}
	out := liveSession{id: created.ID}
	for _, p := range created.Participants {
		token, err := p.token()
		if err != nil {
			return liveSession{}, err
		}
		if p.Role == "customer" {
			out.sharer = token
		} else {
			out.viewers = append(out.viewers, token)
		}
	}
	return out, nil
}

// join opens the stream of a participant and waits for its welcome.
func (s *service) join(ctx context.Context, session, token string, buffer int) (*socket, error) {
	socket, err := dialSocket(ctx, s.addr, sessionsPath+"/"+session+"/stream", buffer, "Sec-WebSocket-Protocol: "+streamProtocol+", "+streamTokenPrefix+token)
	if err != nil {
		return nil, err
	}
	if _, err := socket.await("welcome"); err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	return socket, nil
}

// agree sends that the customer shares, without which no page is taken.
func (s *socket) agree() error {
	return s.send(opText, []byte(`{"t":"consent","kind":"sharing","ok":true,"text":"bench"}`))
}
