package httpapi

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

func metricRoutes() []route {
	return []route{{"GET /metrics", accessUser, serveMetrics}}
}

// nBuckets is how many bounded buckets the histogram has.
const nBuckets = 11

// bucketBounds are the upper ends of the histogram of durations, in seconds.
func bucketBounds() [nBuckets]float64 {
	return [...]float64{.001, .0025, .005, .01, .025, .05, .1, .5, 1, 10, 60}
}

// counts is what happened to the requests so far. Its keys come from the route
// table and from status codes, so there are not many.
type counts struct {
	mu     sync.Mutex
	now    int
	routes map[string]*routeCounts
}

type routeCounts struct {
	statuses map[int]int64
	buckets  [nBuckets + 1]int64
	seconds  float64
	total    int64
}

func (c *counts) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now++
}

func (c *counts) end(route string, status int, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now--
	if c.routes == nil {
		c.routes = map[string]*routeCounts{}
	}
	rc := c.routes[route]
	if rc == nil {
		rc = &routeCounts{statuses: map[int]int64{}}
		c.routes[route] = rc
	}
	rc.statuses[status]++
	rc.seconds += took.Seconds()
	rc.total++
	i := 0
	for bounds := bucketBounds(); i < len(bounds) && took.Seconds() > bounds[i]; i++ {
	}
	rc.buckets[i]++
}

// serveMetrics tells an admin, in Prometheus' text format, how the whole server
// does. No owner is named in it.
func serveMetrics(s *Server, w http.ResponseWriter, r *request) error {
	var b bytes.Buffer
	s.metrics.print(&b)
	gauge(&b, "brig_requests_waiting", "Requests that wait for a turn.", float64(s.turns.waiting()))
	counter64(&b, "brig_denied_total", "Requests without a valid key, or whose key did not allow them.", s.denials.count())
	counter64(&b, "brig_audit_lost_total", "Entries of the audit log that could not be written.", s.cfg.Audit.Lost())
	head(&b, "brig_sandboxes", "gauge", "Sandboxes that are remembered, by status.")
	states := s.cfg.Sandboxes.Count()
	for _, state := range slices.Sorted(maps.Keys(states)) {
		fmt.Fprintf(&b, "brig_sandboxes{status=%q} %d\n", state, states[state])
	}
	processMetrics(&b)
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, err := w.Write(b.Bytes())
	if err != nil {
		return &begunError{err}
	}
	return nil
}

func (c *counts) print(b *bytes.Buffer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gauge(b, "brig_requests_in_flight", "Requests under way, this one too.", float64(c.now))
	names := slices.Sorted(maps.Keys(c.routes))
	head(b, "brig_requests_total", "counter", "Requests, by route and status; the route is empty for what is in no row of the table.")
	for _, name := range names {
		rc := c.routes[name]
		for _, status := range slices.Sorted(maps.Keys(rc.statuses)) {
			fmt.Fprintf(b, "brig_requests_total{route=%s,status=\"%d\"} %d\n", label(name), status, rc.statuses[status])
		}
	}
	head(b, "brig_request_seconds", "histogram", "How long requests took, streams too.")
	for _, name := range names {
		c.routes[name].print(b, label(name))
	}
}

func (rc *routeCounts) print(b *bytes.Buffer, route string) {
	n := int64(0)
	for i, bound := range bucketBounds() {
		n += rc.buckets[i]
		fmt.Fprintf(b, "brig_request_seconds_bucket{route=%s,le=\"%g\"} %d\n", route, bound, n)
	}
	fmt.Fprintf(b, "brig_request_seconds_bucket{route=%s,le=\"+Inf\"} %d\n", route, rc.total)
	fmt.Fprintf(b, "brig_request_seconds_sum{route=%s} %s\n", route, strconv.FormatFloat(rc.seconds, 'f', 6, 64))
	fmt.Fprintf(b, "brig_request_seconds_count{route=%s} %d\n", route, rc.total)
}

// processMetrics tells of this process.
func processMetrics(b *bytes.Buffer) {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/total:bytes"}}
	metrics.Read(samples)
	gauge(b, "brig_heap_bytes", "Memory of living and not yet collected objects.", float64(samples[0].Value.Uint64()))
	gauge(b, "brig_memory_bytes", "All memory that the Go runtime has mapped.", float64(samples[1].Value.Uint64()))
	gauge(b, "brig_goroutines", "Goroutines.", float64(runtime.NumGoroutine()))
}

func head(b *bytes.Buffer, name, kind, help string) {
	fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

func gauge(b *bytes.Buffer, name, help string, v float64) {
	head(b, name, "gauge", help)
	fmt.Fprintf(b, "%s %s\n", name, strconv.FormatFloat(v, 'f', -1, 64))
}

func counter64(b *bytes.Buffer, name, help string, v int64) {
	head(b, name, "counter", help)
	fmt.Fprintf(b, "%s %d\n", name, v)
}

// label quotes a label's value.
func label(v string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(v) + `"`
}
