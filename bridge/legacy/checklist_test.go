package legacy_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge/bayeux"
	"github.com/cobridge/cobridge/bridge/legacy"
	"github.com/cobridge/cobridge/bridge/testenv"
)

// rowNames are the rows of the conformance checklist that concern live sessions.
var rowNames = map[string]string{
	"1": "row 1, create over REST",
	"2": "row 2, get without an allowed origin",
	"3": "rows 3 and 4, everybody hears who joined and that it is active",
	"5": "row 5, idle sockets stay open",
	"6": "row 6, stop",
	"7": "row 7, joins that are refused",
	"8": "row 8, a client that was forgotten recovers",
	"9": "row 9, disconnect leaves no socket",
}

// The published clients go through the checklist of the specification, row by row,
// in Node. Row 4 is row 3 with other versions and transports.
func TestChecklist(t *testing.T) {
	t.Parallel()
	node := testenv.Need(t, testenv.Node)
	testenv.NeedPackages(t, filepath.Join("..", "bayeux", "testdata", "clients"))
	// All of them at a time, whatever -parallel says: they mostly wait.
	var told sync.WaitGroup
	var runs []*run
	for _, version := range []string{"3", "5", "9"} {
		for _, transport := range []bayeux.Transport{bayeux.WebSocket, bayeux.LongPolling, bayeux.CallbackPolling} {
			r := &run{name: "cometd " + version + " over " + string(transport), rows: []string{"3", "6", "7", "8", "9"}}
			if transport == bayeux.WebSocket {
				r.rows = append([]string{"1", "2", "5"}, r.rows...)
			}
			r.house = newLiveHouse(t, func(cfg *legacy.ChannelsConfig) {
				cfg.CallbackPolling = transport == bayeux.CallbackPolling
				cfg.Advice = bayeux.Advice{Timeout: 3 * time.Second, MaxInterval: 6 * time.Second}
				cfg.Limits.Look = 200 * time.Millisecond
				cfg.Limits.Close = 2 * patience // so it is the client that closes
			})
			runs = append(runs, r)
			told.Go(func() { r.went = r.house.checklist(t, node, version, string(transport), r.rows) })
		}
	}
	told.Wait()
	for _, r := range runs {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			for _, row := range r.rows {
				t.Run(rowNames[row], func(t *testing.T) {
					t.Parallel()
					if failure, told := r.went[row]; !told || failure != "" {
						t.Errorf("%s\n%s", failure, r.house.log)
					}
				})
			}
			eventually(t, "nothing is left", func() bool {
				s := r.house.channels.Stats()
				return s.Clients == 0 && s.Sockets == 0
			})
		})
	}
}

// run is one version over one transport.
type run struct {
	name  string
	house *liveHouse
	rows  []string
	went  map[string]string
}

// checklist runs rows one after another and returns how each went, "" = well.
func (h *liveHouse) checklist(t *testing.T, node, version, transport string, rows []string) map[string]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, append([]string{"checklist.mjs", version, transport, h.base, h.token}, rows...)...)
	cmd.Dir = "testdata"
	var errors bytes.Buffer
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil || errors.Len() > 0 {
		t.Errorf("node: %v\n%s", err, &errors)
	}
	went := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var line struct{ Row, Failure string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Logf("node says: %s", lines.Bytes())
			continue
		}
		went[line.Row] = line.Failure
	}
	return went
}
