package httpapi

import (
	"maps"
	"net/http"
	"slices"

	"github.com/brigdev/brig/api"
)

// figureRoutes are an owner's sandboxes in numbers.
func figureRoutes() []route {
	return []route{
		{"GET /v1/metrics/overview", accessUser, metricsOverview},
		{"GET /v1/metrics/sandbox/{id}", accessUser, sandboxStats},
		{"GET /v1/stats/boot", accessUser, bootStats},
	}
}

// overview is an owner's sandboxes in numbers.
type overview struct {
	Sandboxes   int            `json:"sandboxes"` // that live
	ByStatus    map[string]int `json:"by_status"` // those that are remembered, too
	ByTemplate  map[string]int `json:"by_template"`
	MemoryBytes int64          `json:"memory_bytes"` // reserved for those that run
	CPUs        float64        `json:"cpus"`         // likewise
}

// bootFigures say how long sandboxes took to be made in one way, in milliseconds.
type bootFigures struct {
	BootMode string `json:"boot_mode"` // cold, template, snapshot, fork
	Count    int    `json:"count"`
	P50MS    int64  `json:"p50_ms"`
	P95MS    int64  `json:"p95_ms"`
	P99MS    int64  `json:"p99_ms"`
	MaxMS    int64  `json:"max_ms"`
}

func metricsOverview(s *Server, w http.ResponseWriter, r *request) error {
	out := overview{ByStatus: map[string]int{}, ByTemplate: map[string]int{}}
	for _, sb := range s.cfg.Sandboxes.List(r.owner, true) {
		out.ByStatus[sb.Status]++
		if sb.Ended != nil {
			continue
		}
		out.Sandboxes++
		out.ByTemplate[sb.Template]++
		if sb.Status != api.StatusHibernated {
			out.MemoryBytes += sb.Limits.MemoryBytes
			out.CPUs += sb.Limits.CPUs
		}
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

// bootStats counts the sandboxes that are remembered, ended ones too.
func bootStats(s *Server, w http.ResponseWriter, r *request) error {
	took := map[string][]int64{}
	for _, sb := range s.cfg.Sandboxes.List(r.owner, true) {
		took[sb.BootMode] = append(took[sb.BootMode], sb.BootMS)
	}
	out := []bootFigures{}
	for _, mode := range slices.Sorted(maps.Keys(took)) {
		ms := took[mode]
		slices.Sort(ms)
		at := func(percent int) int64 { return ms[(len(ms)*percent+99)/100-1] }
		out = append(out, bootFigures{mode, len(ms), at(50), at(95), at(99), at(100)})
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}
