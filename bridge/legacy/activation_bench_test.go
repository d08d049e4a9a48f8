package legacy_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// BenchmarkActivation begins 500 sessions at once over CometD, each with a customer
// and a controller, and has an agent join each: the time from the agent's join to
// the customer's hearing that it is active. Server and clients are one process, and
// each step is durable.
func BenchmarkActivation(b *testing.B) {
	const sessions = 500
	var all []time.Duration
	for b.Loop() {
		b.StopTimer()
		h := newLiveHouse(b, deskRules)
		var people [sessions][3]*cometd
		var arrived sync.WaitGroup
		for i := range people {
			arrived.Go(func() {
				people[i] = [3]*cometd{h.browser(shop).comet(), h.browser(desktop).comet(), h.browser(desktop).comet()}
			})
		}
		arrived.Wait()
		took := make([]time.Duration, sessions)
		b.StartTimer()
		var told sync.WaitGroup
		for i, p := range people {
			told.Go(func() {
				kim, sam, ada := p[0], p[1], p[2]
				digits := kim.must("create", `{}`)["sessionToken"].(string)
				kim.join(digits, 1)
				sam.join(digits, 3)
				start := time.Now()
				active := make(chan time.Duration, 1)
				go func() {
					for heard := kim.until(1); !strings.HasPrefix(heard[len(heard)-1], "activated"); heard = kim.until(len(heard) + 1) {
					}
					active <- time.Since(start)
				}()
				ada.join(digits, 2)
				took[i] = <-active
			})
		}
		told.Wait()
		all = append(all, took...)
	}
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2])/1e6, "p50-ms")
	b.ReportMetric(float64(all[len(all)*99/100])/1e6, "p99-ms")
	b.ReportMetric(sessions, "sessions")
}
