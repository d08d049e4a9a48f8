//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// stopLimit is how long a child may take to end before it is killed.
	stopLimit = 15 * time.Second
	// clockTicks per second is what /proc counts processor time in, on every
	// architecture that Go runs on.
	clockTicks = 100
)

// child is a server in a process of its own.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
	first string // line on its standard output
}

// startChild starts a program, gives it input, and waits for its first line.
func startChild(ctx context.Context, input any, program string, args ...string) (*child, error) {
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // G204: the binary to measure, or ourselves
	cmd.Env = environ()
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopLimit
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", args[0], err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", args[0], err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", args[0], err)
	}
	c := &child{cmd: cmd, stdin: stdin}
	if input != nil {
		if err := json.NewEncoder(stdin).Encode(input); err != nil {
			return nil, errors.Join(fmt.Errorf("tell %s what to do: %w", args[0], err), c.stop())
		}
	}
	reader := bufio.NewReader(stdout)
	line, err := reader.ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s printed no line: %w", args[0], err), c.stop())
	}
	c.first = strings.TrimSpace(line)
	go func() { _, _ = io.Copy(io.Discard, reader) }() // ends with the child
	return c, nil
}

// environ is ours without what would configure the service.
func environ() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "COBRIDGE_") {
			env = append(env, v)
		}
	}
	return env
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// stop ends the child and waits for it.
func (c *child) stop() error {
	_ = c.stdin.Close()                       // a floor ends with it
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	kill := time.AfterFunc(stopLimit, func() { _ = c.cmd.Process.Kill() })
	defer kill.Stop()
	err := c.cmd.Wait()
	if _, ended := errors.AsType[*exec.ExitError](err); ended {
		return nil // the signal shows in the status
	}
	return err
}

// processor returns the time that a process and its threads have run.
func processor(pid int) (time.Duration, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, fmt.Errorf("read processor time: %w", err)
	}
	// The name, in brackets, may hold anything; utime and stime are the 12th and 13th after it.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 13 {
		return 0, errors.New("read processor time: short line")
	}
	return ticks(fields[11]) + ticks(fields[12]), nil
}

// machineBusy returns the time that all processors were busy, and that the
// hypervisor took from them.
func machineBusy() (time.Duration, error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("read processor time: %w", err)
	}
	line, _, _ := strings.Cut(string(data), "\n")
	fields := strings.Fields(line) // cpu user nice system idle iowait irq softirq steal …
	if len(fields) < 9 {
		return 0, errors.New("read processor time: short line")
	}
	var busy time.Duration
	for _, i := range []int{1, 2, 3, 6, 7, 8} {
		busy += ticks(fields[i])
	}
	return busy, nil
}

func ticks(text string) time.Duration {
	n, _ := strconv.ParseInt(text, 10, 64) // the kernel writes numbers
	return time.Duration(n) * time.Second / clockTicks
}

// rssAnon returns the memory of a process that no file stands behind, in bytes.
func rssAnon(pid int) (int64, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "RssAnon:" {
			kilobytes, err := strconv.ParseInt(fields[1], 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, errors.New("read memory: no RssAnon")
}
