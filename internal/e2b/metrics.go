package e2b

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control"
)

// metric is what a sandbox uses at one moment; bytes and, of all its processors,
// per cent.
type metric struct {
	Timestamp     time.Time `json:"timestamp"`
	TimestampUnix int64     `json:"timestampUnix"`
	CPUCount      int       `json:"cpuCount"`
	CPUUsedPct    float64   `json:"cpuUsedPct"`
	MemUsed       int64     `json:"memUsed"`
	MemTotal      int64     `json:"memTotal"`
	MemCache      int64     `json:"memCache"`
	DiskUsed      int64     `json:"diskUsed"`
	DiskTotal     int64     `json:"diskTotal"`
}

// cpuWindow is how long processor time is looked at for a percentage.
const cpuWindow = 100 * time.Millisecond

// measure says what sandboxes use now, by their ids. Those that have ended or sleep
// are left out.
func measure(ctx context.Context, list []*control.Sandbox) (map[string]metric, error) {
	before, began := statsOf(list), time.Now()
	timer := time.NewTimer(cpuWindow)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return nil, api.Errorf(api.CodeCancelled, "cannot measure: because the caller went away")
	}
	after, now := statsOf(list), time.Now().UTC()
	out := map[string]metric{}
	for id, st := range after {
		old, ok := before[id]
		if !ok {
			continue
		}
		cpus := wholeCPUs(st.CPUs)
		used := float64(st.CPUMS-old.CPUMS) / float64(now.Sub(began).Milliseconds()) / float64(cpus)
		out[id] = metric{
			Timestamp: now, TimestampUnix: now.Unix(), CPUCount: cpus, CPUUsedPct: 100 * min(max(used, 0), 1),
			MemUsed: st.MemoryBytes, MemTotal: st.MemoryLimit, DiskTotal: st.DiskLimit,
		}
	}
	return out, nil
}

func statsOf(list []*control.Sandbox) map[string]api.Stats {
	out := map[string]api.Stats{}
	for _, sb := range list {
		if st, err := sb.Stats(); err == nil && stateOf(sb.Info()) == stateRunning {
			out[sb.ID()] = st
		}
	}
	return out
}

// getMetrics has one point, of now: this server keeps no history. It is left out
// when the caller asks for another time.
func getMetrics(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	start, err := queryInt(r, "start", 0)
	if err != nil {
		return err
	}
	end, err := queryInt(r, "end", 1<<62)
	if err != nil {
		return err
	}
	points := []metric{}
	measured, err := measure(r.Context(), []*control.Sandbox{sb})
	if err != nil {
		return err
	}
	if m, ok := measured[sb.ID()]; ok && m.TimestampUnix >= start && m.TimestampUnix <= end {
		points = append(points, m)
	}
	writeJSON(w, http.StatusOK, points)
	return nil
}

// listMetrics has a point for each sandbox of a list of ids. Those that are not the
// caller's are left out.
func listMetrics(s *Server, w http.ResponseWriter, r *request) error {
	ids := strings.Split(strings.Join(r.URL.Query()["sandbox_ids"], ","), ",")
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if len(ids) > maxPage {
		return api.Errorf(api.CodeInvalid, "cannot measure %d sandboxes: because the most is %d", len(ids), maxPage).WithFix("ask several times")
	}
	var list []*control.Sandbox
	for _, id := range ids {
		if sb, err := s.cfg.Sandboxes.Find(r.owner, id); err == nil {
			list = append(list, sb)
		}
	}
	measured, err := measure(r.Context(), list)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"sandboxes": measured})
	return nil
}

// logLine is one thing that happened to a sandbox.
type logLine struct {
	Timestamp time.Time         `json:"timestamp"`
	Level     string            `json:"level"`
	Message   string            `json:"message"`
	Fields    map[string]string `json:"fields"`
}

// logs gives what happened to a sandbox, the oldest first. What its programs print
// is not among it, there or here.
func (s *Server) logs(r *request) ([]logLine, error) {
	sb, err := s.sandbox(r)
	if err != nil {
		return nil, err
	}
	tail, err := queryInt(r, "limit", 0)
	if err != nil {
		return nil, err
	}
	events, err := sb.Events(int(min(tail, 1<<20)))
	if err != nil {
		return nil, err
	}
	lines := []logLine{}
	for _, e := range events {
		fields := e.Payload
		if fields == nil {
			fields = map[string]string{}
		}
		lines = append(lines, logLine{Timestamp: e.Time, Level: "info", Message: e.Type, Fields: fields})
	}
	return lines, nil
}

func getLogsV2(s *Server, w http.ResponseWriter, r *request) error {
	lines, err := s.logs(r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"logs": lines})
	return nil
}

func getLogs(s *Server, w http.ResponseWriter, r *request) error {
	lines, err := s.logs(r)
	if err != nil {
		return err
	}
	type plainLine struct {
		Timestamp time.Time `json:"timestamp"`
		Line      string    `json:"line"`
	}
	plain := []plainLine{}
	for _, l := range lines {
		text := l.Message
		for _, k := range slices.Sorted(maps.Keys(l.Fields)) {
			text += " " + k + "=" + strconv.Quote(l.Fields[k])
		}
		plain = append(plain, plainLine{l.Timestamp, text})
	}
	writeJSON(w, http.StatusOK, map[string]any{"logs": plain, "logEntries": lines})
	return nil
}
