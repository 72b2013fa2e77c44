package progress

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/brigdev/brig/api"
)

// Summary is how a run ended, and summary.json.
type Summary struct {
	State    State                 `json:"state"`            // finished or stopped
	Reason   string                `json:"reason,omitempty"` // why it stopped
	Fix      string                `json:"fix,omitempty"`    // how to go on
	Input    string                `json:"input"`
	Format   string                `json:"format"`
	Output   string                `json:"output"`
	Items    int64                 `json:"items"` // good records of the input
	Total    int64                 `json:"total"` // of them, those that the run is about
	Done     int64                 `json:"done"`
	OK       int64                 `json:"ok"`
	Failed   int64                 `json:"failed"`
	Rejected int64                 `json:"rejected"`
	Verdicts map[api.Verdict]int64 `json:"verdicts"`
	Clusters []Cluster             `json:"clusters"`
	// Ran counts the items that ended in this run; Rate is those per second,
	// completed and torn down, over the whole run.
	Ran         int64   `json:"ran"`
	WallMS      int64   `json:"wall_ms"`
	Rate        float64 `json:"items_per_second"`
	Concurrency int     `json:"concurrency"`
}

// Summary sums up. The caller fills in what a Tracker does not know.
func (t *Tracker) Summary() Summary {
	s := t.Snapshot()
	t.mu.Lock()
	ran := t.fresh
	t.mu.Unlock()
	wall := s.Updated.Sub(s.Started)
	sum := Summary{
		State: s.State, Total: s.Total, Done: s.Done, OK: s.OK, Failed: s.Failed, Rejected: s.Rejected,
		Verdicts: s.Verdicts, Clusters: t.Clusters(10), Ran: ran, WallMS: wall.Milliseconds(),
	}
	if wall > 0 {
		sum.Rate = float64(ran) / wall.Seconds()
	}
	return sum
}

// Report prints the table of verdicts and the most frequent failures.
func (s Summary) Report(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "VERDICT\tITEMS\n")
	for _, v := range api.Verdicts() {
		if n := s.Verdicts[v]; n > 0 {
			fmt.Fprintf(tw, "%s\t%d\n", v, n)
		}
	}
	if s.Rejected > 0 {
		fmt.Fprintf(tw, "(rejected)\t%d\n", s.Rejected)
	}
	_ = tw.Flush()
	if len(s.Clusters) > 0 {
		fmt.Fprintf(w, "\nMost frequent failures:\n")
		tw = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, c := range s.Clusters {
			fmt.Fprintf(tw, "  %d\t%s\t%s\te.g. %s\n", c.Count, c.Verdict, c.Line, Printable(c.Example, 60))
		}
		_ = tw.Flush()
	}
	fmt.Fprintf(w, "\n%s: %d of %d items have a result, %d ok, %d failed, %d rejected; %d ran in %s (%.1f items/s, concurrency %d)\n",
		s.State, s.Done, s.Total, s.OK, s.Failed, s.Rejected, s.Ran, (time.Duration(s.WallMS) * time.Millisecond).Round(10*time.Millisecond), s.Rate, s.Concurrency)
	if s.Reason != "" {
		fmt.Fprintf(w, "%s\nfix: %s\n", s.Reason, s.Fix)
	}
}
