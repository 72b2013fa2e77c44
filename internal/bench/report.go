package bench

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

// Report is one run of the benchmark.
type Report struct {
	When    time.Time   `json:"when"`
	Version string      `json:"version"`
	Kernel  string      `json:"kernel"`
	CPU     string      `json:"cpu"`
	CPUs    int         `json:"cpus"`
	Load    string      `json:"load_before"` // of one minute, before the run
	Rung    string      `json:"rung"`
	KVM     bool        `json:"kvm_used"`
	Rows    []Row       `json:"rows"`
	Batch   *Throughput `json:"batch,omitempty"`
	// OverheadMS is what the server adds to the library's p50, both in turns.
	OverheadMS float64 `json:"server_overhead_p50_ms,omitempty"`
	Reference  string  `json:"reference,omitempty"` // the row that ratios are against
}

// Throughput is the whole batch engine at work, journal included.
type Throughput struct {
	Items       int     `json:"items"`
	Concurrency string  `json:"concurrency"`
	Seconds     float64 `json:"seconds"` // of the whole command, start to exit
	PerSecond   float64 `json:"items_per_second"`
	CPUMS       float64 `json:"cpu_ms_per_item"`
}

// NewReport fills in what the machine is.
func NewReport(version string) Report {
	r := Report{When: time.Now().UTC().Truncate(time.Second), Version: version, CPUs: runtime.NumCPU(), Rung: "gvisor"}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		r.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		r.Load, _, _ = strings.Cut(string(b), " ")
	}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
				r.CPU = strings.TrimSpace(v)
				break
			}
		}
	}
	return r
}

// Print writes the report for people: definitions, numbers, ratios.
func (r Report) Print(w io.Writer) error {
	fmt.Fprintf(w, "brig bench, %s, %s\n", r.Version, r.When.Format(time.RFC3339))
	fmt.Fprintf(w, "%d cores (%s), Linux %s, load %s before the run; rung %s, no hardware virtualisation used\n\n", r.CPUs, r.CPU, r.Kernel, r.Load, r.Rung)
	fmt.Fprintln(w, "total: from nothing there to destroyed, seen by the caller. TTI: from asked for to result read back.")
	fmt.Fprintln(w, "CPU-ms: the kernel's accounting of all that an item started, and for brig of the calling process too.")
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "subject\tn\tfailed\ttotal p50 ms\tp95\tp99\tTTI p50 ms\tp95\tp99\tCPU-ms/item\titems/s\t")
	for _, row := range r.Rows {
		rate := "-" // only where several are under way at a time
		if row.PerSecond > 0 {
			rate = fmt.Sprintf("%.1f", row.PerSecond)
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%s\t\n",
			row.Name, row.N, row.Failed, row.P50MS, row.P95MS, row.P99MS, row.TTIP50MS, row.TTIP95MS, row.TTIP99MS, row.CPUMS, rate)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for i, row := range r.Rows {
		if i == 0 || row.Means != r.Rows[i-1].Means {
			fmt.Fprintf(w, "%s: %s\n", row.Name, row.Means)
		}
		if row.Error != "" {
			fmt.Fprintf(w, "%s: %d of %d failed; the first: %s\n", row.Name, row.Failed, row.N, row.Error)
		}
	}
	r.printRatios(w)
	if r.OverheadMS != 0 {
		fmt.Fprintf(w, "\nthe server adds %.1f ms to the library's p50\n", r.OverheadMS)
	}
	if b := r.Batch; b != nil {
		fmt.Fprintf(w, "\nbatch: %d items in %.1f s = %.1f items/s, %.1f CPU-ms/item (whole command, journal and start included, concurrency %s)\n", b.Items, b.Seconds, b.PerSecond, b.CPUMS, b.Concurrency)
	}
	return nil
}

// printRatios compares every other tool with the reference row.
func (r Report) printRatios(w io.Writer) {
	var ref *Row
	for i := range r.Rows {
		if r.Rows[i].Name == r.Reference {
			ref = &r.Rows[i]
		}
	}
	if ref == nil || ref.P50MS == 0 {
		return
	}
	fmt.Fprintf(w, "\nagainst %s (above 1: brig is faster)\n", ref.Name)
	for _, row := range r.Rows {
		if row.Name == ref.Name || strings.HasPrefix(row.Name, "brig") || row.P50MS == 0 {
			continue
		}
		fmt.Fprintf(w, "  %s: %.2fx the time, %.2fx the CPU\n", row.Name, row.P50MS/ref.P50MS, row.CPUMS/ref.CPUMS)
	}
}
