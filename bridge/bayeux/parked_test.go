package bayeux_test

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge/bridge/bayeux"
	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/bridge/web"
)

// asServer makes this program the server of BenchmarkParked.
const asServer = "COBRIDGE_BAYEUX_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(asServer) != "" {
		serveParked()
		return
	}
	testenv.VerifyNoLeaks(m)
}

// A client that waits has no goroutine and no buffer. It counts them, so it runs
// alone.
func TestParkedIsCheap(t *testing.T) {
	const crowd = 500
	h := newHouse(t)
	conns := make([]*raw, crowd)
	ids := make([]string, crowd)
	for i := range crowd {
		conns[i], ids[i] = h.connect(t), h.enter(t)
	}
	before := runtime.NumGoroutine()
	for i, r := range conns {
		r.write(t, request("1.1", "Origin: "+shop+"\r\n", connectBody(ids[i], "3")))
	}
	eventually(t, "all wait", func() bool { return h.Stats().Parked == crowd })
	eventually(t, "the goroutines of the HTTP server end", func() bool { return runtime.NumGoroutine() < before+crowd/10 })
	if err := h.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range conns {
		_, _, got := r.answer(t)
		same(t, "connect", []string{"/meta/connect 3 503 handshake"}, got)
	}
}

// What a client that waits costs: memory, and processor time while nothing
// happens. The server is a process of its own; it needs Linux to be looked at.
func BenchmarkParked(b *testing.B) {
	const crowd = 10_000
	if runtime.GOOS != "linux" {
		b.Skip("memory is read from /proc")
	}
	cmd := exec.CommandContext(b.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), asServer+"=1")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	h := &house{base: "http://" + strings.TrimSpace(address) + "/cometd", web: &http.Client{Timeout: patience}}
	empty := h.usage(b)
	var parked sync.WaitGroup
	for range 50 {
		parked.Go(func() {
			for range crowd / 50 {
				r := h.connect(b)
				_ = r.SetDeadline(time.Time{})
				r.write(b, request("1.1", "Origin: "+shop+"\r\n", handshakeText("")))
				_, _, got := r.answer(b)
				id, _ := got[0]["clientId"].(string)
				r.write(b, request("1.1", "Origin: "+shop+"\r\n", connectBody(id, "3")))
			}
		})
	}
	parked.Wait()
	eventually(b, "all wait", func() bool { return h.usage(b).parked == crowd })
	begin, full := time.Now(), h.usage(b)
	for b.Loop() {
		<-time.After(10 * time.Second)
	}
	idle := h.usage(b)
	b.ReportMetric(float64(full.kilobytes-empty.kilobytes)/crowd, "KB/client")
	b.ReportMetric(float64(full.goroutines-empty.goroutines)/crowd, "goroutines/client")
	b.ReportMetric(100*float64(idle.ticks-full.ticks)/100/time.Since(begin).Seconds(), "%cpu")
}

// usage is what the server's process takes.
type usage struct{ parked, goroutines, kilobytes, ticks int }

func (h *house) usage(b *testing.B) (u usage) {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, strings.TrimSuffix(h.base, "/cometd")+"/usage", nil)
	if err != nil {
		b.Fatal(err)
	}
	_, _, body := h.do(b, r)
	if _, err := fmt.Sscan(string(body), &u.parked, &u.goroutines, &u.kilobytes, &u.ticks); err != nil {
		b.Fatalf("usage %q: %v", body, err)
	}
	return u
}

var rssAnon = regexp.MustCompile(`RssAnon:\s+(\d+)`)

// serveParked is the server of BenchmarkParked, until it is ended.
func serveParked() {
	log := slog.New(slog.DiscardHandler)
	s := bayeux.New(bayeux.Config{
		Clock: time.Now, Log: log, AllowOrigin: func(string) bool { return true },
		Limits: bayeux.Limits{ClientsPerNetwork: 20_000}, Advice: bayeux.Advice{Timeout: time.Hour},
	})
	app := web.NewApp(web.Config{Log: log, Clock: time.Now})
	s.Mount(app, "/cometd")
	app.Get("/usage", func(c *fiber.Ctx) error {
		debug.FreeOSMemory()
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			return err
		}
		stat, err := os.ReadFile("/proc/self/stat")
		if err != nil {
			return err
		}
		// After the name in brackets; user and system time are the 14th and 15th field.
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		var user, system int
		if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
			return err
		}
		return c.SendString(fmt.Sprint(s.Stats().Parked, runtime.NumGoroutine(), " ", string(rssAnon.FindSubmatch(status)[1]), " ", user+system))
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	_, _ = fmt.Fprintln(os.Stdout, ln.Addr())
	panic(app.Listener(ln))
}
