package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Load has n items of a subject done by so many callers at a time, after a
// warm-up of one item a caller. A row's times are what a caller waits, its turn
// included; its items a second count the whole run, destruction included.
func Load(ctx context.Context, s Subject, callers, n int, progress func(done, total int)) (Row, error) {
	if _, err := share(ctx, s, callers, callers, func(int, int) {}); err != nil {
		return Row{}, err
	}
	before, _ := s.CPU()
	start := time.Now()
	l, err := share(ctx, s, callers, n, progress)
	if err != nil {
		return Row{}, err
	}
	took := time.Since(start)
	after, _ := s.CPU()
	row := Row{Name: fmt.Sprintf("%s, %d at a time", s.Name, callers), Means: s.Means, N: n, Failed: l.failed, Callers: callers}
	if l.first != nil {
		row.Error = l.first.Error()
	}
	row.summarise(l.samples, after-before)
	row.PerSecond = float64(len(l.samples)) / took.Seconds()
	return row, nil
}

// loaded is what callers found.
type loaded struct {
	mu      sync.Mutex
	samples []Sample
	failed  int
	first   error
}

func share(ctx context.Context, s Subject, callers, n int, progress func(done, total int)) (*loaded, error) {
	l := &loaded{}
	var taken atomic.Int64
	var running sync.WaitGroup
	for range callers {
		running.Go(func() {
			for ctx.Err() == nil && taken.Add(1) <= int64(n) {
				sample, err := s.One(ctx)
				l.add(sample, err, n, progress)
			}
		})
	}
	running.Wait()
	return l, context.Cause(ctx)
}

func (l *loaded) add(s Sample, err error, n int, progress func(done, total int)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.samples = append(l.samples, s)
	} else {
		l.failed++
		if l.first == nil {
			l.first = err
		}
	}
	progress(len(l.samples)+l.failed, n)
}
