package testenv

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// redisLimit bounds a start, and how long a cluster takes to agree on itself.
const redisLimit = 30 * time.Second

// RedisServer is a server of a test's own, with its files in a directory of the test's.
type RedisServer struct {
	// URL is where it listens, as bridge/engine/redis takes it.
	URL string

	network, address string
	program          string
	args             []string
	running          *exec.Cmd
	exited           chan struct{}
}

// StartRedis starts a server on a socket, which ends with the test. It stores everything
// in an append-only file and syncs it before it answers, unless the given arguments, which
// come last, say otherwise. Without the program the test is skipped, as by [Need].
func StartRedis(t testing.TB, args ...string) *RedisServer {
	t.Helper()
	dir, err := os.MkdirTemp("", "redis") //nolint:usetesting // the path of a socket must be shorter than t.TempDir makes it
	if err != nil {
		t.Fatalf("make a directory for redis-server: %v", err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove the directory of redis-server: %v", err)
		}
	})
	socket := filepath.Join(dir, "s")
	s := &RedisServer{
		URL: "redis+unix://" + socket, network: "unix", address: socket, program: Need(t, Redis),
		args: append([]string{"--port", "0", "--unixsocket", socket, "--dir", dir, "--save", "", "--appendonly", "yes", "--appendfsync", "always"}, args...),
	}
	t.Cleanup(func() { s.Kill(t) })
	s.Start(t)
	return s
}

// Start starts the server, again after Kill, and waits until it answers.
func (s *RedisServer) Start(t testing.TB) {
	t.Helper()
	if err := s.start(t); err != nil {
		t.Fatalf("start redis-server: %v", err)
	}
}

func (s *RedisServer) start(t testing.TB) error {
	cmd := exec.Command(s.program, s.args...) // lives until Kill, also in cleanups
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.running, s.exited = cmd, make(chan struct{})
	ready := make(chan bool, 1)
	var printed Buffer
	var reading sync.WaitGroup
	reading.Go(func() {
		for lines := bufio.NewScanner(io.TeeReader(out, &printed)); lines.Scan(); {
			line := strings.ToLower(lines.Text())
			if strings.Contains(line, "ready to accept connections") || strings.Contains(line, "sentinel id is") {
				select {
				case ready <- true:
				default: // one line per socket
				}
			}
		}
		select {
		case ready <- false:
		default:
		}
	})
	exited := s.exited
	go func() {
		reading.Wait()
		_ = cmd.Wait() // killed by us, or it says why on its output
		close(exited)
	}()
	timeout := time.NewTimer(redisLimit)
	defer timeout.Stop()
	select {
	case up := <-ready:
		if up {
			return nil
		}
	case <-timeout.C:
	}
	s.Kill(t)
	return fmt.Errorf("it is not ready:\n%s", printed.String())
}

// Kill ends the server as kill -9 does and waits until it is gone. Nothing happens if it
// does not run.
func (s *RedisServer) Kill(t testing.TB) {
	t.Helper()
	if s.running == nil {
		return
	}
	if err := s.running.Process.Kill(); err != nil && !strings.Contains(err.Error(), "already finished") {
		t.Errorf("kill redis-server: %v", err)
	}
	<-s.exited
	s.running = nil
}

// Do sends a command of simple words and returns the answer as the protocol has it.
func (s *RedisServer) Do(t testing.TB, words ...string) string {
	t.Helper()
	answer, err := s.do(words...)
	if err != nil {
		t.Fatalf("redis-server: %s: %v", strings.Join(words, " "), err)
	}
	return answer
}

func (s *RedisServer) do(words ...string) (string, error) {
	conn, err := net.DialTimeout(s.network, s.address, redisLimit)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(redisLimit)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(conn, "%s\r\n", strings.Join(words, " ")); err != nil {
		return "", err
	}
	r := bufio.NewReader(conn)
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSpace(line)
	switch line[0] {
	case '-':
		return "", fmt.Errorf("it says %s", line[1:])
	case '$':
		n, err := strconv.Atoi(line[1:])
		if err != nil || n < 0 {
			return "", err
		}
		body := make([]byte, n)
		_, err = io.ReadFull(r, body)
		return string(body), err
	}
	return line[1:], nil
}

// RedisCluster is a cluster of three masters of a test's own.
type RedisCluster struct {
	URL   string
	Nodes []*RedisServer
}

// StartRedisCluster starts a cluster on free ports of the loopback interface, which ends
// with the test.
func StartRedisCluster(t testing.TB) *RedisCluster {
	t.Helper()
	program := Need(t, Redis)
	c := &RedisCluster{}
	for len(c.Nodes) < 3 {
		c.Nodes = append(c.Nodes, startClusterNode(t, program))
	}
	const slots = 16384
	var hosts []string
	for i, node := range c.Nodes {
		first, last := i*slots/len(c.Nodes), (i+1)*slots/len(c.Nodes)-1
		node.Do(t, "CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(first), strconv.Itoa(last))
		node.Do(t, "CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
		hosts = append(hosts, node.address)
	}
	for _, node := range c.Nodes[1:] {
		host, port, err := net.SplitHostPort(node.address)
		if err != nil {
			t.Fatalf("redis-server: %v", err)
		}
		bus := node.args[len(node.args)-1]
		c.Nodes[0].Do(t, "CLUSTER", "MEET", host, port, bus)
	}
	c.URL = "redis://" + strings.Join(hosts, ",")
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(redisLimit)
	for _, node := range c.Nodes {
		for {
			info := node.Do(t, "CLUSTER", "INFO")
			if strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:3") {
				break
			}
			select {
			case <-ticker.C:
			case <-deadline:
				t.Fatalf("the cluster of redis-servers does not come about:\n%s", info)
			}
		}
	}
	return c
}

// startClusterNode starts a node that knows no other yet. The port of its bus is the last
// of its arguments.
func startClusterNode(t testing.TB, program string) *RedisServer {
	t.Helper()
	return startOnPort(t, program, func(port string) []string {
		return []string{
			"--bind", "127.0.0.1", "--port", port, "--dir", t.TempDir(), "--save", "", "--appendonly", "yes", "--appendfsync", "always",
			"--cluster-enabled", "yes", "--cluster-node-timeout", "5000", "--cluster-port", freePorts(t, 1)[0],
		}
	})
}

// startOnPort tries other ports where somebody has taken the one that was free.
func startOnPort(t testing.TB, program string, args func(port string) []string) *RedisServer {
	t.Helper()
	var err error
	for range 5 {
		port := freePorts(t, 1)[0]
		s := &RedisServer{network: "tcp", address: "127.0.0.1:" + port, program: program, args: args(port)}
		if err = s.start(t); err == nil {
			t.Cleanup(func() { s.Kill(t) })
			s.URL = "redis://" + s.address
			return s
		}
	}
	t.Fatalf("start redis-server on a port: %v", err)
	return nil
}

// freePorts returns ports that nobody listens on at this moment.
func freePorts(t testing.TB, n int) []string {
	t.Helper()
	var ports []string
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatalf("find a free port: %v", err)
		}
		defer func() { _ = ln.Close() }() // all at the end, so that no port comes twice
		_, port, err := net.SplitHostPort(ln.Addr().String())
		if err != nil {
			t.Fatalf("find a free port: %v", err)
		}
		ports = append(ports, port)
	}
	return ports
}

// RedisSentinel is a master with a replica, and a sentinel that watches over them.
type RedisSentinel struct {
	URL             string
	Master, Replica *RedisServer
}

// StartRedisSentinel starts them on free ports of the loopback interface; all end with the
// test. The sentinel takes half a second of silence for the end of the master.
func StartRedisSentinel(t testing.TB) *RedisSentinel {
	t.Helper()
	program := Need(t, Redis)
	plain := func(more ...string) *RedisServer {
		t.Helper()
		return startOnPort(t, program, func(port string) []string {
			return append([]string{"--bind", "127.0.0.1", "--port", port, "--dir", t.TempDir(), "--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"}, more...)
		})
	}
	s := &RedisSentinel{Master: plain()}
	host, port, err := net.SplitHostPort(s.Master.address)
	if err != nil {
		t.Fatalf("redis-server: %v", err)
	}
	s.Replica = plain("--replicaof", host+" "+port)
	awaitInfo(t, s.Replica, "replication", "master_link_status:up")
	file := filepath.Join(t.TempDir(), "sentinel.conf") // it writes to its file
	sentinel := startOnPort(t, program, func(own string) []string {
		text := fmt.Sprintf("bind 127.0.0.1\nport %s\nsentinel monitor main %s %s 1\nsentinel down-after-milliseconds main 500\nsentinel failover-timeout main 5000\n", own, host, port)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatalf("write the sentinel's file: %v", err)
		}
		return []string{file, "--sentinel"}
	})
	awaitInfo(t, sentinel, "sentinel", "slaves=1")
	s.URL = "redis-sentinel://" + sentinel.address + "/main"
	return s
}

// awaitInfo waits until INFO has the words.
func awaitInfo(t testing.TB, s *RedisServer, section, words string) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(redisLimit)
	for {
		info := s.Do(t, "INFO", section)
		if strings.Contains(info, words) {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("redis-server does not come to say %s:\n%s", words, info)
		}
	}
}
