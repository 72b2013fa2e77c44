package host

import "time"

// How many failures in a row stop the pool, and for how long at first and most.
const (
	breakerFailures = 3
	breakerFirst    = 10 * time.Second
	breakerMost     = 5 * time.Minute
)

// breaker keeps the pool from trying again and again what does not work.
type breaker struct {
	failures int
	until    time.Time
}

// closed tells whether a try is allowed now.
func (b *breaker) closed(now time.Time) bool { return !now.Before(b.until) }

func (b *breaker) succeeded() { *b = breaker{} }

// failed counts a failure; from the third in a row on each doubles the pause.
func (b *breaker) failed(now time.Time) {
	b.failures++
	if b.failures < breakerFailures {
		return
	}
	pause := breakerMost
	if doublings := b.failures - breakerFailures; doublings < 5 {
		pause = min(breakerFirst<<doublings, breakerMost)
	}
	b.until = now.Add(pause)
}
