package envd

import (
	"math"
	"net/http"
	"time"
)

// sampleTime is over which the use of processors is measured.
const sampleTime = 100 * time.Millisecond

type metricsReply struct {
	TS         int64   `json:"ts"` // Unix seconds
	CPUCount   int     `json:"cpu_count"`
	CPUUsedPct float64 `json:"cpu_used_pct"` // of one processor
	MemTotal   int64   `json:"mem_total"`    // bytes
	MemUsed    int64   `json:"mem_used"`
	DiskTotal  int64   `json:"disk_total"`
}

// metrics says what the sandbox uses now.
func metrics(_ *Server, c *call) error {
	before, err := c.sb.Stats()
	if err != nil {
		return err
	}
	began := time.Now()
	select {
	case <-time.After(sampleTime):
	case <-c.Context().Done():
		return c.Context().Err()
	}
	after, err := c.sb.Stats()
	if err != nil {
		return err
	}
	used := float64(after.CPUMS-before.CPUMS) / float64(max(time.Since(began).Milliseconds(), 1))
	writeJSON(c.w, http.StatusOK, metricsReply{
		TS: time.Now().Unix(), CPUCount: int(math.Ceil(after.CPUs)), CPUUsedPct: math.Round(used*10000) / 100,
		MemTotal: after.MemoryLimit, MemUsed: after.MemoryBytes, DiskTotal: after.DiskLimit,
	})
	return nil
}

// envs is what every program has in its environment because the sandbox was made
// so.
func envs(_ *Server, c *call) error {
	env := c.sb.Env()
	if env == nil {
		env = map[string]string{}
	}
	writeJSON(c.w, http.StatusOK, env)
	return nil
}
