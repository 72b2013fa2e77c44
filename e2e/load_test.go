package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
)

// TestLoad makes, uses and removes sandboxes over the API, by 1, 8 and 32 callers:
// none fails, and afterwards the server holds no more than before. It is 10,000
// with BRIG_SOAK.
func TestLoad(t *testing.T) {
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = 32
	m := newMortal(t)
	n := 40
	if soak {
		n = 3334
	}
	m.rounds(32, 64) // what is made at the first use
	before := m.holds()
	for _, callers := range []int{1, 8, 32} {
		began := time.Now()
		took := m.rounds(callers, n)
		t.Logf("%d callers: %d rounds, %.1f a second, p50 %s, p95 %s, p99 %s", callers, n, float64(n)/time.Since(began).Seconds(),
			took[n/2], took[n*95/100], took[n*99/100])
	}
	var list []api.Sandbox
	m.call("GET", "/v1/sandboxes", nil, &list)
	if len(list) > 0 {
		t.Errorf("%d sandboxes are left", len(list))
	}
	http.DefaultClient.CloseIdleConnections()
	after := m.settle(before)
	t.Logf("the server held %+v before and holds %+v", before, after)
	if after.sentries > 1 { // one is kept ready
		t.Errorf("%d boxes are left", after.sentries)
	}
	if after.files > before.files+8 || after.threads > before.threads+16 || after.memory > before.memory+64<<20 {
		t.Errorf("the server grew from %+v to %+v", before, after)
	}
}

// rounds has callers do n rounds together and gives how long each took, sorted.
func (m *mortal) rounds(callers, n int) []time.Duration {
	m.t.Helper()
	took := make([]time.Duration, n)
	var next atomic.Int64
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				began := time.Now()
				if err := roundOf(m.t.Context(), m.url, m.key); err != nil {
					m.t.Errorf("round %d: %v", i, err)
				}
				took[i] = time.Since(began)
			}
		})
	}
	all.Wait()
	slices.Sort(took)
	return took
}

// held is what a server's process holds.
type held struct {
	memory                   int64 // resident bytes
	files, threads, sentries int
}

func (m *mortal) holds() held {
	m.t.Helper()
	proc := fmt.Sprintf("/proc/%d/", m.cmd.Process.Pid)
	h := held{sentries: len(sentryProcesses(os.Getenv("BRIG_STATE")))}
	for path, count := range map[string]*int{"fd": &h.files, "task": &h.threads} {
		entries, err := os.ReadDir(filepath.Join(proc, path))
		if err != nil {
			m.t.Fatal(err)
		}
		*count = len(entries)
	}
	b, err := os.ReadFile(proc + "statm")
	if err != nil {
		m.t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
	if err != nil {
		m.t.Fatal(err)
	}
	h.memory = pages * int64(os.Getpagesize())
	return h
}

// settle waits until the server has closed what nobody uses any more.
func (m *mortal) settle(before held) held {
	m.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if h := m.holds(); h.sentries <= 1 && h.files <= before.files || time.Now().After(deadline) {
			return h
		}
	}
}
