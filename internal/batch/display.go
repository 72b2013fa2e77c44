package batch

import (
	"sync"
	"time"
)

const (
	redrawEvery   = 200 * time.Millisecond
	progressEvery = 5 // redraws between two writes of progress.json
)

// show keeps the display and progress.json up to date until it is told to stop.
func (r *run) show() (stop func()) {
	r.writeProgress()
	quit := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(redrawEvery)
		defer tick.Stop()
		for n := 1; ; n++ {
			select {
			case <-quit:
				return
			case <-r.o.Ask:
				r.o.UI.Progress(r.tracker.Snapshot(), true)
			case <-tick.C:
				r.o.UI.Progress(r.tracker.Snapshot(), false)
				if n%progressEvery == 0 {
					r.writeProgress()
				}
			}
		}
	})
	return func() {
		close(quit)
		wg.Wait()
	}
}

// writeProgress is for whoever looks from outside; the run can do without.
func (r *run) writeProgress() {
	if err := r.o.Out.WriteProgress(r.tracker.Snapshot()); err != nil {
		r.o.Log.Debug("progress.json could not be written", "error", err)
	}
}
