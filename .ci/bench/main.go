//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// floorRole as the first argument makes this process a floor.
const floorRole = "floor"

// harness is what can be chosen of a run.
type harness struct {
	rounds    int
	lasts     time.Duration
	warm      time.Duration
	calibrate bool
	only      string
	binary    string
	write     bool
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == floorRole {
		if err := serveFloor(); err != nil {
			fmt.Fprintln(os.Stderr, "floor:", err)
			os.Exit(1)
		}
		return
	}
	var h harness
	flag.IntVar(&h.rounds, "rounds", 5, "pairs of rounds per row")
	flag.DurationVar(&h.lasts, "round", 4*time.Second, "length of a round")
	flag.DurationVar(&h.warm, "warm", 1500*time.Millisecond, "length of the warm-up of each side")
	flag.BoolVar(&h.calibrate, "calibrate", false, "compare the floors with themselves")
	flag.StringVar(&h.only, "only", "", "some of get, create, token, relay, paced, viewers, bayeux, activation, browser, doubles and process, with commas; empty = all")
	flag.StringVar(&h.binary, "binary", "", "measure this binary instead of building one")
	flag.BoolVar(&h.write, "write", false, "write the report into "+reportPath)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := h.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (h *harness) wants(name string) bool {
	return h.only == "" || strings.Contains(","+h.only+",", ","+name+",")
}

// run measures and reports. A missed target is a result, not a failure.
func (h *harness) run(ctx context.Context) (err error) {
	// Not below the system's directory for temporary files, which may be in memory.
	if err := os.MkdirAll(".cache", 0o750); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	dir, err := os.MkdirTemp(".cache", "bench-")
	if err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if dir, err = filepath.Abs(dir); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	if filesystem(dir) == "tmpfs" {
		return errors.New("the working directory is in memory (tmpfs); durable writes cannot be measured here")
	}
	if runtime.NumCPU() != 2 {
		fmt.Fprintf(os.Stderr, "bench: this machine has %d cores; the targets are meant for two\n", runtime.NumCPU())
	}
	binary := h.binary
	if binary == "" {
		h.say("building")
		if binary, err = build(ctx, dir, "cobridge"); err != nil {
			return err
		}
	}
	found, err := h.all(ctx, binary, dir)
	if err != nil {
		return err
	}
	text := h.report(found, dir)
	if _, err := fmt.Print(text); err != nil {
		return fmt.Errorf("print report: %w", err)
	}
	if found.missed() {
		h.say("something was missed or is invalid, see the report")
	}
	if h.write {
		return writeReport(text)
	}
	return nil
}

// all measures what is wanted.
func (h *harness) all(ctx context.Context, binary, dir string) (found findings, err error) {
	if found.requests, err = h.rows(ctx, binary, dir); err != nil {
		return found, err
	}
	if found.relay, err = h.relay(ctx, binary, dir); err != nil {
		return found, err
	}
	if found.viewers, err = h.viewers(ctx, binary, dir); err != nil {
		return found, err
	}
	if found.parked, err = h.parked(ctx, binary, dir); err != nil {
		return found, err
	}
	if found.activated, err = h.activation(ctx, binary, dir); err != nil {
		return found, err
	}
	if found.browser, err = h.browser(ctx, binary, dir); err != nil {
		return found, err
	}
	if found.doubles, err = h.doubles(ctx, binary, dir); err != nil {
		return found, err
	}
	if h.wants("process") {
		h.say("process")
		found.process, err = h.process(ctx, binary, dir)
	}
	return found, err
}

// say tells on standard error what is going on; the report has standard output.
func (h *harness) say(what string) { fmt.Fprintln(os.Stderr, "bench:", what) }

// rows measures the rows that compare, the one that fills the store last.
func (h *harness) rows(ctx context.Context, binary, dir string) (results []*result, err error) {
	if !h.wants("get") && !h.wants("token") && !h.wants("create") {
		return nil, nil
	}
	data := filepath.Join(dir, "data")
	answer, stored, err := sessionSize(ctx, binary, data)
	if err != nil {
		return nil, err
	}
	s, err := startService(ctx, binary, data)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	for _, row := range []struct {
		name string
		make func() (row, error)
	}{
		{"get", func() (row, error) { return getRow(ctx, s) }},
		{"token", func() (row, error) { return tokenRow(ctx, s) }},
		{"create", func() (row, error) { return createRow(ctx, s, answer, stored, dir) }},
	} {
		if !h.wants(row.name) {
			continue
		}
		h.say(row.name)
		r, err := row.make()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", row.name, err)
		}
		measured, err := h.measure(ctx, r, s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", row.name, err)
		}
		results = append(results, measured)
	}
	return results, nil
}

// sessionSize creates a session and returns the answer and how many bytes the
// store keeps of it.
func sessionSize(ctx context.Context, binary, data string) (answer []byte, stored int, err error) {
	s, err := startService(ctx, binary, data)
	if err != nil {
		return nil, 0, err
	}
	id, answer, err := s.createSession(ctx)
	if err := errors.Join(err, s.stop()); err != nil {
		return nil, 0, err
	}
	stored, err = storedBytes(data, id)
	return answer, stored, err
}

// process measures what a process takes and how large the binary is.
func (h *harness) process(ctx context.Context, binary, dir string) (*footprint, error) {
	f, err := measureProcess(ctx, binary, dir)
	if err != nil {
		return nil, err
	}
	if f.binary, err = size(binary); err != nil {
		return nil, err
	}
	stripped, err := build(ctx, dir, "stripped", "-ldflags=-s -w")
	if err != nil {
		return nil, err
	}
	f.stripped, err = size(stripped)
	return &f, err
}
