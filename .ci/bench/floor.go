//go:build linux

package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
)

// The floors, each a role in which the harness starts itself.
const (
	floorGet    = "get"    // a bare Fiber handler that writes Body
	floorAppend = "append" // a bare fasthttp handler that appends Record to a file, durably, and writes Body
	floorToken  = "token"  // a bare fasthttp handler that signs a token with Claims and writes it
)

// floorSpec is what a floor is told on its standard input.
type floorSpec struct {
	Kind   string
	Body   []byte
	Record []byte
	Dir    string // of the file that is appended to
	Header map[string]any
	Claims tokenClaims
}

// serveFloor answers on a free port, whose address it prints, until its standard
// input ends: so it ends with whoever started it.
func serveFloor() error {
	var spec floorSpec
	in := json.NewDecoder(os.Stdin)
	if err := in.Decode(&spec); err != nil {
		return fmt.Errorf("read what to do: %w", err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a free port of this machine needs no waiting
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	failed := make(chan error, 2)
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		failed <- err
	}()
	switch spec.Kind {
	case floorGet:
		app := fiber.New(fiber.Config{DisableStartupMessage: true})
		app.Get(sessionsPath+"/:id", func(c *fiber.Ctx) error {
			c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
			return c.Send(spec.Body)
		})
		go func() { failed <- app.Listener(ln) }()
	case floorAppend:
		log, err := newAppendLog(spec.Dir)
		if err != nil {
			return err
		}
		go func() { failed <- log.write() }()
		go func() {
			failed <- fasthttp.Serve(ln, func(ctx *fasthttp.RequestCtx) {
				if err := log.append(spec.Record); err != nil {
					ctx.SetStatusCode(fasthttp.StatusInternalServerError)
					return
				}
				ctx.SetStatusCode(fasthttp.StatusCreated)
				ctx.SetContentType(fiber.MIMEApplicationJSON)
				ctx.SetBody(spec.Body)
			})
		}()
	case floorToken:
		sign, err := newSigner(spec)
		if err != nil {
			return err
		}
		go func() {
			failed <- fasthttp.Serve(ln, func(ctx *fasthttp.RequestCtx) {
				token, err := sign()
				if err != nil {
					ctx.SetStatusCode(fasthttp.StatusInternalServerError)
					return
				}
				ctx.SetContentType(fiber.MIMEApplicationJSON)
				ctx.SetBodyString(`{"access_token":"` + token + `","token_type":"bearer","expires_in":86400,"scope":"` + spec.Claims.Scope + `"}`)
			})
		}()
	case floorRelay:
		go func() { failed <- serveFanout(ln) }()
	default:
		return fmt.Errorf("unknown floor %q", spec.Kind)
	}
	if _, err := fmt.Fprintln(os.Stdout, ln.Addr()); err != nil {
		return fmt.Errorf("print address: %w", err)
	}
	return <-failed
}

// maxGroup bounds the records of one sync, as the embedded store does.
const maxGroup = 512

// appendLog is durable storage reduced to its least: one file that records are
// appended to, one writer that takes what waits, writes it at once and syncs.
type appendLog struct {
	file     *os.File
	requests chan appendRequest
}

type appendRequest struct {
	record []byte
	done   chan error // has room for the one answer
}

func newAppendLog(dir string) (*appendLog, error) {
	file, err := os.OpenFile(filepath.Join(dir, "floor.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND|os.O_TRUNC, 0o600) //nolint:gosec // G304: the directory comes from whoever started us
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return &appendLog{file: file, requests: make(chan appendRequest, maxGroup)}, nil
}

// append returns when the record is durable.
func (l *appendLog) append(record []byte) error {
	r := appendRequest{record: record, done: make(chan error, 1)}
	l.requests <- r
	return <-r.done
}

func (l *appendLog) write() error {
	var group []appendRequest
	var buf []byte
	for r := range l.requests {
		group, buf = append(group[:0], r), append(buf[:0], r.record...)
	gather:
		for len(group) < maxGroup {
			select {
			case r := <-l.requests:
				group, buf = append(group, r), append(buf, r.record...)
			default:
				break gather
			}
		}
		_, err := l.file.Write(buf)
		if err == nil {
			err = syscall.Fdatasync(int(l.file.Fd()))
		}
		for _, r := range group {
			r.done <- err
		}
	}
	return errors.New("log closed")
}

// tokenClaims has the members of the service's access tokens in their order.
type tokenClaims struct {
	Issuer     string `json:"iss"`
	Audience   string `json:"aud"`
	Subject    string `json:"sub"`
	ClientID   string `json:"client_id"`
	OrgID      string `json:"org"`
	Scope      string `json:"scope"`
	TokenID    string `json:"jti"`
	Generation uint64 `json:"gen"`
	IssuedAt   int64  `json:"iat"`
	ExpiresAt  int64  `json:"exp"`

	jwt.Claims `json:"-"` // signing asks nothing of them
}

// newSigner returns what signs a token like the service's, with an id of its own
// and the present time.
func newSigner(spec floorSpec) (func() (string, error), error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return func() (string, error) {
		claims, now := spec.Claims, time.Now().Unix()
		claims.TokenID, claims.IssuedAt, claims.ExpiresAt = uuid.NewString(), now, now+86400
		token := jwt.Token{Header: spec.Header, Claims: claims, Method: jwt.SigningMethodEdDSA}
		return token.SignedString(key)
	}, nil
}

// parseToken takes a token of the service apart.
func parseToken(raw string) (header map[string]any, claims tokenClaims, err error) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return nil, tokenClaims{}, errors.New("the access token is no JWT")
	}
	parser := jwt.NewParser()
	for i, v := range []any{&header, &claims} {
		data, err := parser.DecodeSegment(parts[i])
		if err != nil {
			return nil, tokenClaims{}, fmt.Errorf("decode access token: %w", err)
		}
		if err := json.Unmarshal(data, v); err != nil {
			return nil, tokenClaims{}, fmt.Errorf("decode access token: %w", err)
		}
	}
	return header, claims, nil
}
