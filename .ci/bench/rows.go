//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net/http"
	"sync/atomic"
	"time"
)

// row is one line of the table: a call of the service and what it is compared with.
type row struct {
	work   string
	floor  string
	target float64 // least ratio of the two rates
	conns  int
	want   int // status
	spec   floorSpec
	// request makes what is sent, in a round that is to last as long, at about so many a second.
	service, bare func(ctx context.Context, addr string, lasts time.Duration, rate float64) (requests, error)
	// check is called with the number of requests that were answered; may be nil.
	check func(ctx context.Context, answered int) error
}

// requests are load.request and load.answer.
type requests struct {
	next   func(conn int, buf []byte) ([]byte, bool)
	answer func(conn int, body []byte) error
}

// same sends one request again and again. A size above 0 is that of every answer.
func same(request []byte, size int) requests {
	r := requests{next: func(_ int, buf []byte) ([]byte, bool) { return append(buf, request...), true }}
	if size > 0 {
		r.answer = func(_ int, body []byte) error {
			if len(body) != size {
				return fmt.Errorf("an answer of %d bytes, want %d: %.200s", len(body), size, body)
			}
			return nil
		}
	}
	return r
}

// getRow reads one session by its id.
func getRow(ctx context.Context, s *service) (row, error) {
	id, _, err := s.createSession(ctx)
	if err != nil {
		return row{}, err
	}
	var session any
	body, err := s.call(ctx, http.MethodGet, sessionsPath+"/"+id, "", nil, http.StatusOK, &session)
	if err != nil {
		return row{}, err
	}
	get := func(_ context.Context, addr string, _ time.Duration, _ float64) (requests, error) {
		return same([]byte(head(http.MethodGet, sessionsPath+"/"+id, addr, s.bearer())+"\r\n"), len(body)), nil
	}
	return row{
		work: "`GET` session by id", floor: fmt.Sprintf("bare Fiber handler, the same %d bytes", len(body)), target: 0.50, conns: 32, want: http.StatusOK,
		spec: floorSpec{Kind: floorGet, Body: body}, service: get, bare: get,
	}, nil
}

// tokenRow gets access tokens.
func tokenRow(_ context.Context, s *service) (row, error) {
	header, claims, err := parseToken(s.token)
	if err != nil {
		return row{}, err
	}
	body := s.tokenForm()
	post := func(_ context.Context, addr string, _ time.Duration, _ float64) (requests, error) {
		return same(withBody(nil, head(http.MethodPost, tokenPath, addr, formHeader), body), 0), nil
	}
	return row{
		work: "`POST /oauth/token`", floor: fmt.Sprintf("bare fasthttp handler, signs the same JWT (%v)", header["alg"]), target: 0.60, conns: 32, want: http.StatusOK,
		spec: floorSpec{Kind: floorToken, Header: header, Claims: claims}, service: post, bare: post,
	}, nil
}

// createRow creates sessions, each on a conversation of its own: a conversation
// has one session at a time. The conversations are started before each round.
func createRow(ctx context.Context, s *service, answer []byte, stored int, dir string) (row, error) {
	before, err := s.liveSessions(ctx)
	if err != nil {
		return row{}, err
	}
	start := func(addr string) string { return head(http.MethodPost, sessionsPath, addr, s.bearer(), jsonHeader) }
	service := func(ctx context.Context, addr string, lasts time.Duration, rate float64) (requests, error) {
		ids, err := s.conversations(ctx, int(math.Ceil(rate*lasts.Seconds())))
		if err != nil {
			return requests{}, err
		}
		start := start(addr)
		var taken atomic.Int64
		return requests{next: func(_ int, buf []byte) ([]byte, bool) {
			i := int(taken.Add(1)) - 1
			if i >= len(ids) {
				return nil, false
			}
			return withBody(buf, start, s.session(ids[i])), true
		}}, nil
	}
	bare := func(_ context.Context, addr string, _ time.Duration, _ float64) (requests, error) {
		return same(withBody(nil, start(addr), s.session("00000000-0000-4000-8000-000000000000")), 0), nil
	}
	return row{
		work: "`POST` session, durable", floor: fmt.Sprintf("bare fasthttp handler, append + fdatasync of the same %d bytes, grouped", stored), target: 0.30, conns: 64, want: http.StatusCreated,
		spec:    floorSpec{Kind: floorAppend, Body: answer, Record: bytes.Repeat([]byte{'x'}, stored), Dir: dir},
		service: service, bare: bare,
		check: func(ctx context.Context, answered int) error {
			after, err := s.liveSessions(ctx)
			if err == nil && after-before != answered {
				err = fmt.Errorf("%d sessions were acknowledged, %d are there", answered, after-before)
			}
			return err
		},
	}, nil
}
