// Package bench measures Brig as its client sees it, beside other tools on the
// same machine in the same run.
//
// Subjects take turns (A B A B …), so that a busy moment of the machine hits all
// of them. Wall clock is from "nothing there" to "destroyed" unless a subject
// says otherwise. Processor time is the kernel's own accounting (cgroup) of
// everything that the item started, plus, for Brig, the time of the calling
// process; it is what throughput is made of, and it moves less than the clock.
package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Sample is one measured item.
type Sample struct {
	Total time.Duration // nothing → destroyed
	TTI   time.Duration // asked → first output is back
}

// Subject does one item again and again.
type Subject struct {
	Name  string
	Means string // the definition that is printed
	// One does one item from nothing to nothing.
	One func(ctx context.Context) (Sample, error)
	// CPU is the total processor time of this subject so far; false if unknown.
	CPU func() (time.Duration, bool)
	// Think is a pause before each item, in which a pool fills up again. It does
	// not count in the time; what was used in it counts in the processor time.
	Think time.Duration
	Close func()
}

// Row is the result of one subject.
type Row struct {
	Name     string  `json:"name"`
	Means    string  `json:"means"`
	N        int     `json:"n"`
	Failed   int     `json:"failed"`
	Error    string  `json:"error,omitempty"` // the first one
	P50MS    float64 `json:"p50_ms"`
	P95MS    float64 `json:"p95_ms"`
	P99MS    float64 `json:"p99_ms"`
	TTIP50MS float64 `json:"tti_p50_ms"`
	TTIP95MS float64 `json:"tti_p95_ms"`
	TTIP99MS float64 `json:"tti_p99_ms"`
	CPUMS    float64 `json:"cpu_ms_per_item"` // 0: this host does not account for it
	// Of a Load: how many callers, and the items that they finished together.
	Callers   int     `json:"callers,omitempty"`
	PerSecond float64 `json:"items_per_second,omitempty"`
}

const warmups = 3

// Measure runs n items of each subject, interleaved, after warm-ups that do not
// count. An item that fails is counted, shown, and not in the percentiles.
func Measure(ctx context.Context, subjects []Subject, n int, progress func(done, total int)) ([]Row, error) {
	samples := make([][]Sample, len(subjects))
	cpu := make([]time.Duration, len(subjects))
	rows := make([]Row, len(subjects))
	for i, s := range subjects {
		rows[i] = Row{Name: s.Name, Means: s.Means}
	}
	for round := range n + warmups {
		for i, s := range subjects {
			before, _ := s.CPU()
			if err := pause(ctx, s.Think); err != nil {
				return nil, err
			}
			sample, err := s.One(ctx)
			after, _ := s.CPU()
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			if round < warmups && err == nil {
				continue
			}
			rows[i].N++
			if err != nil {
				rows[i].Failed++
				if rows[i].Error == "" {
					rows[i].Error = err.Error()
				}
				continue
			}
			samples[i], cpu[i] = append(samples[i], sample), cpu[i]+after-before
		}
		progress(round+1, n+warmups)
	}
	for i := range rows {
		rows[i].summarise(samples[i], cpu[i])
	}
	return rows, nil
}

func pause(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

func (r *Row) summarise(samples []Sample, cpu time.Duration) {
	if len(samples) == 0 {
		return
	}
	var total, tti []time.Duration
	for _, s := range samples {
		total, tti = append(total, s.Total), append(tti, s.TTI)
	}
	slices.Sort(total)
	slices.Sort(tti)
	r.P50MS, r.P95MS, r.P99MS = ms(at(total, 50)), ms(at(total, 95)), ms(at(total, 99))
	r.TTIP50MS, r.TTIP95MS, r.TTIP99MS = ms(at(tti, 50)), ms(at(tti, 95)), ms(at(tti, 99))
	r.CPUMS = ms(cpu / time.Duration(len(samples)))
}

// at is the smallest value that at least p percent of sorted are not above.
func at(sorted []time.Duration, p int) time.Duration {
	return sorted[max((len(sorted)*p+99)/100-1, 0)]
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// selfCPU is what this process has used.
func selfCPU() time.Duration {
	var ru unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &ru) != nil {
		return 0
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

func check(got, want []byte) error {
	if string(got) != string(want) {
		return fmt.Errorf("the item's result is %.80q, not %.80q", got, want)
	}
	return nil
}
