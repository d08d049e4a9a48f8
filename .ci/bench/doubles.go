//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"
)

const (
	doublesDir = ".ci/bench/doubles"

	doubleStarts = 3
	doubleConns  = 8
	doubleLasts  = 3 * time.Second
	doubleWait   = time.Minute // to the first answer

	pairsTarget = 5000.0 // create and token a second, through httpmock, on one core
)

// doubles are the test doubles, side by side, and the one in process.
type doubles struct {
	pairs   []float64 // create and token a second through package mocks, one each run
	others  []*double
	without string // why the others are not compared
}

// double is a mock server that stands in for the API.
type double struct {
	name    string
	created int // status of a session that was created
	command func(dir, addr string) *exec.Cmd
	ours    bool   // it prints a line of JSON and wants a token
	header  string // of each call; "" = none

	starts   []time.Duration // from exec to the first answer, sorted
	rates    [3]float64      // of the three calls
	memory   int64           // RssAnon after them
	conflict int             // status of a second session on one conversation
}

// doubles measures mock servers on the same three calls, and package mocks.
func (h *harness) doubles(ctx context.Context, binary, dir string) (*doubles, error) {
	if !h.wants("doubles") {
		return nil, nil //nolint:nilnil // not wanted
	}
	h.say("doubles")
	out := &doubles{}
	for range 3 {
		rate, err := mockPairs(ctx)
		if err != nil {
			return nil, err
		}
		out.pairs = append(out.pairs, rate)
	}
	packages, err := filepath.Abs(filepath.Join(doublesDir, "node_modules"))
	if err != nil {
		return nil, fmt.Errorf("find the other mock servers: %w", err)
	}
	if err := install(ctx); err != nil {
		out.without = err.Error()
		h.say(out.without)
	}
	document, err := filepath.Abs("docs/openapi.yaml")
	if err != nil {
		return nil, fmt.Errorf("find the document: %w", err)
	}
	routes, err := filepath.Abs(filepath.Join(doublesDir, "routes.json"))
	if err != nil {
		return nil, fmt.Errorf("find the routes: %w", err)
	}
	node := func(dir string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "node", args...) //nolint:gosec // G204: packages of our own lock
		cmd.Dir = dir
		return cmd
	}
	all := []*double{{
		name: "`cobridge mock`", created: http.StatusCreated, ours: true,
		command: func(dir, addr string) *exec.Cmd {
			cmd := exec.CommandContext(ctx, binary, "mock", "--json", "--listen", addr) //nolint:gosec // G204: the binary to measure
			cmd.Dir = dir
			return cmd
		},
	}}
	if out.without == "" {
		all = append(all, &double{
			name: "Prism 5.16, `prism mock docs/openapi.yaml`", created: http.StatusOK, header: "Authorization: Bearer any",
			command: func(dir, addr string) *exec.Cmd {
				host, port, _ := net.SplitHostPort(addr) // it is ours
				return node(dir, filepath.Join(packages, "@stoplight/prism-cli/dist/index.js"), "mock", "-v", "fatal", "-h", host, "-p", port, document)
			},
		}, &double{
			name: "json-server 0.17, two collections", created: http.StatusCreated,
			command: func(dir, addr string) *exec.Cmd {
				host, port, _ := net.SplitHostPort(addr) // it is ours
				return node(dir, filepath.Join(packages, "json-server/lib/cli/bin.js"), "--quiet", "--host", host, "--port", port, "--routes", routes, "db.json")
			},
		})
	}
	for i, d := range all {
		if err := d.measure(ctx, filepath.Join(dir, "double"+strconv.Itoa(i))); err != nil {
			return nil, fmt.Errorf("%s: %w", d.name, err)
		}
	}
	out.others = all
	return out, nil
}

var pairsPattern = regexp.MustCompile(`([0-9.]+) pairs/s`)

// mockPairs runs the benchmark of package mocks on one core.
func mockPairs(ctx context.Context) (float64, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run=^$", "-bench=CreateAndToken", "-cpu=1", "-benchtime=3s", "./mocks")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("run the benchmark of package mocks: %w", err)
	}
	found := pairsPattern.FindSubmatch(out)
	if found == nil {
		return 0, fmt.Errorf("the benchmark of package mocks says no pairs/s: %.300s", out)
	}
	return strconv.ParseFloat(string(found[1]), 64)
}

// install installs the other mock servers, unless they are there.
func install(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(doublesDir, "node_modules", ".package-lock.json")); err == nil {
		return nil
	}
	cmd := exec.CommandContext(ctx, "npm", "ci", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error")
	cmd.Dir, cmd.Stdout, cmd.Stderr = doublesDir, os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("the other mock servers could not be installed with npm: %w", err)
	}
	return nil
}

// measure starts the double several times and calls the last one.
func (d *double) measure(ctx context.Context, dir string) (err error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	for i := range doubleStarts {
		if err := os.WriteFile(filepath.Join(dir, "db.json"), []byte(`{"conversations":[],"sessions":[]}`), 0o600); err != nil {
			return fmt.Errorf("make the database: %w", err)
		}
		cmd, addr, line, err := d.start(ctx, dir)
		if err != nil {
			return err
		}
		if i == doubleStarts-1 {
			err = d.call(ctx, addr, line, cmd.Process.Pid)
		}
		if err := errors.Join(err, killServer(cmd)); err != nil {
			return err
		}
	}
	slices.Sort(d.starts)
	return nil
}

// start starts the double and waits for its first answer, whatever that is.
func (d *double) start(ctx context.Context, dir string) (cmd *exec.Cmd, addr string, line []byte, err error) {
	if addr, err = freeAddress(); err != nil {
		return nil, "", nil, err
	}
	cmd = d.command(dir, addr)
	cmd.Env = environ()
	var out io.Reader
	if d.ours {
		if out, err = cmd.StdoutPipe(); err != nil {
			return nil, "", nil, fmt.Errorf("start: %w", err)
		}
	}
	request := []byte(head(http.MethodGet, conversationsPath, addr, "Connection: close") + "\r\n")
	took, err := startAndAsk(ctx, cmd, addr, request, "HTTP/1.1 ", doubleWait)
	if err != nil {
		return nil, "", nil, fmt.Errorf("start: %w", err)
	}
	d.starts = append(d.starts, took)
	if d.ours { // it may answer before it has printed
		if line, err = bufio.NewReader(out).ReadBytes('\n'); err != nil {
			return nil, "", nil, errors.Join(fmt.Errorf("read its line: %w", err), killServer(cmd))
		}
	}
	return cmd, addr, line, nil
}

// call makes the three calls: a conversation, a session on it, and a look at a
// session; each for a while, on a few connections.
func (d *double) call(ctx context.Context, addr string, line []byte, pid int) error {
	s := &service{addr: addr, client: http.Client{Timeout: 10 * time.Second}}
	s.demo.BaseURL, s.demo.AgentID, s.demo.SupervisorID = "http://"+addr, "agent", "supervisor"
	headers := []string{jsonHeader}
	if d.ours {
		if err := json.Unmarshal(line, &s.demo); err != nil {
			return fmt.Errorf("read its line: %w", err)
		}
		if err := s.login(ctx); err != nil {
			return err
		}
		headers = append(headers, s.bearer())
	} else if d.header != "" {
		headers = append(headers, d.header)
	}
	var ids ids
	run := func(want int, lasts time.Duration, next func(buf []byte) ([]byte, bool)) (float64, error) {
		made, err := load{
			addr: addr, conns: doubleConns, lasts: lasts, want: want,
			request: func(_ int, buf []byte) ([]byte, bool) { return next(buf) }, answer: ids.note,
		}.run(ctx)
		if err == nil {
			err = made.failure
		}
		return made.rate(), err
	}
	conversation, start := s.conversation(), head(http.MethodPost, conversationsPath, addr, headers...)
	startOne := func(buf []byte) ([]byte, bool) { return withBody(buf, start, conversation), true }
	var err error
	if d.rates[0], err = run(http.StatusCreated, doubleLasts, startOne); err != nil {
		return fmt.Errorf("start conversations: %w", err)
	}
	// As many are needed as sessions are created in the next round.
	talks := ids.take()
	create := head(http.MethodPost, sessionsPath, addr, headers...)
	if d.rates[1], err = run(d.created, doubleLasts, func(buf []byte) ([]byte, bool) {
		talk, ok := talks.next()
		return withBody(buf, create, s.session(talk)), ok
	}); err != nil {
		return fmt.Errorf("create sessions: %w", err)
	}
	sessions := ids.take()
	id, ok := sessions.next()
	if !ok {
		return errors.New("no session was created")
	}
	read := []byte(head(http.MethodGet, sessionsPath+"/"+id, addr, headers...) + "\r\n")
	if d.rates[2], err = run(http.StatusOK, doubleLasts, func(buf []byte) ([]byte, bool) { return append(buf, read...), true }); err != nil {
		return fmt.Errorf("read a session: %w", err)
	}
	if d.memory, err = rssAnon(pid); err != nil {
		return err
	}
	return d.collide(ctx, addr, create, s.session(talks.first()))
}

// collide creates a second session on one conversation.
func (d *double) collide(ctx context.Context, addr, create string, session []byte) error {
	l := load{addr: addr, conns: 1}
	conns, err := l.open(ctx)
	if err != nil {
		return err
	}
	defer closeAll(conns)
	if err := conns[0].SetDeadline(time.Now().Add(hangLimit)); err != nil {
		return fmt.Errorf("set deadline: %w", err)
	}
	d.conflict, _, err = conns[0].exchange(withBody(nil, create, session))
	return err
}
