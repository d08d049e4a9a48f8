//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

const (
	starts    = 11
	idle      = 5 * time.Second
	startWait = 10 * time.Second
	pollEvery = 250 * time.Microsecond

	megabyte = 1_000_000

	memoryLimit = 30 * megabyte
	startLimit  = 80 * time.Millisecond
	binaryLimit = 40 * megabyte
)

// footprint is what the process itself takes.
type footprint struct {
	memory   int64           // RssAnon after the idle time, bytes
	starts   []time.Duration // from exec to the first 200 on /healthz, sorted
	binary   int64           // bytes
	stripped int64           // without symbols and debug information
}

// build builds the service into dir, as make build does, and returns its path.
func build(ctx context.Context, dir, name string, flags ...string) (string, error) {
	path := filepath.Join(dir, name)
	args := append([]string{"build", "-trimpath", "-o", path}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/cobridge")...) //nolint:gosec // G204: flags of our own
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build the service: %w", err)
	}
	return path, nil
}

// measureProcess starts serve over an empty store that exists, several times.
func measureProcess(ctx context.Context, binary, dir string) (footprint, error) {
	var f footprint
	for i := range starts + 1 {
		p, _, took, err := startServe(ctx, binary, "COBRIDGE_STORE=bolt:"+filepath.Join(dir, "empty.db"))
		if err != nil {
			return footprint{}, err
		}
		if i > 0 { // the first made the store
			f.starts = append(f.starts, took)
		}
		if i == starts {
			timer := time.NewTimer(idle)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
			}
			if f.memory, err = rssAnon(p.Process.Pid); err != nil {
				return footprint{}, errors.Join(err, endServe(p))
			}
		}
		if err := endServe(p); err != nil {
			return footprint{}, err
		}
	}
	slices.Sort(f.starts)
	return f, ctx.Err()
}

// startServe starts the service with these variables of its own, and returns its
// address and how long it took until it has answered.
func startServe(ctx context.Context, binary string, env ...string) (cmd *exec.Cmd, addr string, took time.Duration, err error) {
	if addr, err = freeAddress(); err != nil {
		return nil, "", 0, err
	}
	cmd = exec.CommandContext(ctx, binary, "serve")
	cmd.Env = append(append(environ(), "COBRIDGE_LISTEN="+addr, "COBRIDGE_LOG_LEVEL=error"), env...)
	cmd.Stderr = os.Stderr
	request := []byte(head(http.MethodGet, "/healthz", addr, "Connection: close") + "\r\n")
	if took, err = startAndAsk(ctx, cmd, addr, request, "HTTP/1.1 200", startWait); err != nil {
		return nil, "", 0, fmt.Errorf("start serve: %w", err)
	}
	return cmd, addr, took, nil
}

// freeAddress returns an address of this machine on which nothing listens.
func freeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a free port of this machine needs no waiting
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	if err := ln.Close(); err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return ln.Addr().String(), nil
}

// startAndAsk starts a server and asks it until an answer begins with these words. It
// returns how long that took; a server that did not answer has been killed.
func startAndAsk(ctx context.Context, cmd *exec.Cmd, addr string, request []byte, words string, limit time.Duration) (time.Duration, error) {
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	for time.Since(start) < limit && ctx.Err() == nil {
		if answers(addr, request, words) {
			return time.Since(start), nil
		}
		time.Sleep(pollEvery) //nolint:forbidigo // nothing tells that another process listens
	}
	return 0, errors.Join(fmt.Errorf("no answer within %s", limit), killServer(cmd))
}

// answers asks once. A listener that is not there yet refuses at once.
func answers(addr string, request []byte, words string) bool {
	conn, err := net.DialTimeout("tcp", addr, time.Second) //nolint:noctx // the caller's loop ends
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }() // one answer is all
	if conn.SetDeadline(time.Now().Add(startWait)) != nil {
		return false
	}
	if _, err := conn.Write(request); err != nil {
		return false
	}
	line := make([]byte, len(words))
	_, err = io.ReadFull(conn, line)
	return err == nil && string(line) == words
}

// killServer ends a server that has nothing to lose and may not listen to signals.
func killServer(cmd *exec.Cmd) error {
	if err := cmd.Process.Kill(); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	_ = cmd.Wait() // it was killed
	return nil
}

func endServe(cmd *exec.Cmd) error {
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop serve: %w", err)
	}
	kill := time.AfterFunc(stopLimit, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("stop serve: %w", err)
	}
	return nil
}

func size(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, fmt.Errorf("measure the binary: %w", err)
	}
	return info.Size(), nil
}
