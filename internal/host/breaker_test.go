package host

import (
	"testing"
	"time"
)

func TestBreaker(t *testing.T) {
	var b breaker
	now := time.Unix(1000, 0)
	pauses := []time.Duration{0, 0, 10, 20, 40, 80, 160, 300, 300, 300}
	for i, seconds := range pauses {
		b.failed(now)
		end := now.Add(seconds * time.Second)
		if !b.closed(end) || seconds > 0 && b.closed(end.Add(-1)) {
			t.Errorf("failure %d: the pause does not end after %d s, but at %s", i+1, seconds, b.until)
		}
		now = end
	}
	b.succeeded()
	b.failed(now)
	if !b.closed(now) {
		t.Error("the failures from before a success still count")
	}
}
