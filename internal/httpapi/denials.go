package httpapi

import (
	"sync"
	"time"
)

// denialsPerSecond is how many of those who are turned away are written down: who
// has no key must not be able to fill the audit log.
const denialsPerSecond = 20

// denials counts who was turned away.
type denials struct {
	mu     sync.Mutex
	total  int64
	second int64 // Unix time that noted belongs to
	noted  int
}

// allow counts one and tells whether it shall be written down.
func (d *denials) allow(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.total++
	if sec := now.Unix(); sec != d.second {
		d.second, d.noted = sec, 0
	}
	d.noted++
	return d.noted <= denialsPerSecond
}

func (d *denials) count() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.total
}
