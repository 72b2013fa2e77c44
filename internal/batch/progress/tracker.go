// Package progress counts how far a batch is and says so: one live line on a
// terminal, plain lines elsewhere, JSON events for programs, and a report at
// the end with the most frequent failures.
package progress

import (
	"maps"
	"os"
	"sync"
	"time"

	"github.com/brigdev/brig/api"
)

// State is what a run is doing.
type State string

// The states.
const (
	Reading  State = "reading" // the input is checked
	Running  State = "running"
	Finished State = "finished" // every item has a result
	Stopped  State = "stopped"  // it can be resumed
)

// Snapshot is how far a run is at one moment.
type Snapshot struct {
	State    State                 `json:"state"`
	PID      int                   `json:"pid"`
	Started  time.Time             `json:"started_at"`
	Updated  time.Time             `json:"updated_at"`
	Total    int64                 `json:"total"` // items that this run is about
	Done     int64                 `json:"done"`  // of them, in this run or before
	OK       int64                 `json:"ok"`
	Failed   int64                 `json:"failed"`
	InFlight int64                 `json:"in_flight"`
	Rejected int64                 `json:"rejected"` // records of the input that are no items
	Verdicts map[api.Verdict]int64 `json:"verdicts"`
	// Rate is items per second, completed and torn down, over the last half
	// minute.
	Rate float64 `json:"items_per_second"`
	// ETASeconds is how long the rest takes at that rate; 0 when not known.
	ETASeconds float64 `json:"eta_seconds"`
}

// rateWindow is how many seconds the rate looks back.
const rateWindow = 30

// Tracker counts. Its methods may be called concurrently.
type Tracker struct {
	now func() time.Time

	mu       sync.Mutex
	s        Snapshot
	fresh    int64    // items that ended in this run
	samples  []sample // one a second, the oldest first
	clusters *clusters
}

type sample struct {
	at    time.Time
	fresh int64
}

// NewTracker begins to count. now is the clock; nil is time.Now.
func NewTracker(now func() time.Time) *Tracker {
	if now == nil {
		now = time.Now
	}
	t := &Tracker{now: now, clusters: newClusters()}
	t.s = Snapshot{State: Reading, PID: os.Getpid(), Started: now(), Verdicts: map[api.Verdict]int64{}}
	return t
}

// Start ends the reading: so many items are to be done, or are done already.
func (t *Tracker) Start(total int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.s.Total, t.s.State = total, Running
	t.samples = []sample{{t.now(), 0}}
}

// Reject counts a record that is no item.
func (t *Tracker) Reject() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.s.Rejected++
}

// Earlier counts an item that an earlier run has done.
func (t *Tracker) Earlier(r api.ItemResult) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count(r)
}

// Begin counts an item that is dispatched.
func (t *Tracker) Begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.s.InFlight++
}

// Abandon takes Begin back: the item has no result and will run again.
func (t *Tracker) Abandon() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.s.InFlight--
}

// End counts an item's result.
func (t *Tracker) End(r api.ItemResult) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.s.InFlight--
	t.fresh++
	t.count(r)
}

func (t *Tracker) count(r api.ItemResult) {
	t.s.Done++
	t.s.Verdicts[r.Verdict]++
	if r.OK {
		t.s.OK++
		return
	}
	t.s.Failed++
	t.clusters.add(r)
}

// Finish says how the run ended.
func (t *Tracker) Finish(state State) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.s.State = state
}

// Snapshot says how far the run is.
func (t *Tracker) Snapshot() Snapshot {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.s
	s.Verdicts = maps.Clone(t.s.Verdicts)
	s.Updated = t.now()
	s.Rate = t.rate(s.Updated)
	if left := s.Total - s.Done; left > 0 && s.Rate > 0 {
		s.ETASeconds = float64(left) / s.Rate
	}
	return s
}

// rate is called about once a second, and keeps the samples that it needs.
func (t *Tracker) rate(now time.Time) float64 {
	if len(t.samples) == 0 {
		return 0
	}
	last := t.samples[len(t.samples)-1]
	if now.Sub(last.at) >= time.Second {
		t.samples = append(t.samples, sample{now, t.fresh})
	}
	for len(t.samples) > 2 && now.Sub(t.samples[0].at) > rateWindow*time.Second {
		t.samples = t.samples[1:]
	}
	first := t.samples[0]
	if took := now.Sub(first.at).Seconds(); took > 0 {
		return float64(t.fresh-first.fresh) / took
	}
	return 0
}

// Clusters gives the n most frequent failures.
func (t *Tracker) Clusters(n int) []Cluster {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.clusters.top(n)
}
