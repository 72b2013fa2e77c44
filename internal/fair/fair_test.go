package fair_test

import (
	"strings"
	"testing"

	"github.com/brigdev/brig/internal/fair"
)

// rig is a queue whose tasks say that they began, and end when they are told to.
type rig struct {
	*fair.Queue
	began chan string
	end   chan struct{}
}

func newRig(most, each int) *rig {
	return &rig{fair.New(most, each), make(chan string), make(chan struct{})}
}

func (r *rig) add(name string) (remove func() bool) {
	owner, _, _ := strings.Cut(name, "-")
	return r.Add(owner, func() {
		r.began <- name
		<-r.end
	})
}

// TestTurns floods the queue with one owner's work before another comes.
func TestTurns(t *testing.T) {
	r := newRig(1, 1)
	for _, name := range []string{"a-1", "a-2", "a-3", "b-1"} {
		r.add(name)
	}
	var order []string
	for range 4 {
		order = append(order, <-r.began)
		r.end <- struct{}{}
	}
	r.Close()
	if got := strings.Join(order, " "); got != "a-1 b-1 a-2 a-3" {
		t.Errorf("with one place: %s", got)
	}

	r = newRig(2, 2)
	r.add("a-1")
	<-r.began
	r.add("a-2")
	<-r.began
	for _, name := range []string{"a-3", "a-4", "b-1"} {
		r.add(name)
	}
	r.end <- struct{}{}
	if got := <-r.began; got != "a-3" && got != "b-1" {
		t.Errorf("next is %s", got)
	} else if got != "b-1" {
		t.Errorf("%s came before the owner that has nothing under way", got)
	}
	for range 2 {
		r.end <- struct{}{}
		<-r.began
	}
	close(r.end)
	r.Close()
}

// TestEach: one owner never has more than its share, though places are free.
func TestEach(t *testing.T) {
	r := newRig(10, 1)
	r.add("a-1")
	<-r.began
	remove := r.add("a-2")
	r.add("b-1")
	if got := <-r.began; got != "b-1" {
		t.Errorf("%s runs", got)
	}
	if !remove() || remove() {
		t.Error("what waited was not taken back once")
	}
	close(r.end)
	r.Close()
	select {
	case got := <-r.began:
		t.Errorf("%s ran after all", got)
	default:
	}
}

func TestClose(t *testing.T) {
	r := newRig(1, 1)
	r.add("a-1")
	<-r.began
	r.add("a-2")
	go close(r.end)
	r.Close()
	r.add("a-3")
	select {
	case got := <-r.began:
		t.Errorf("%s ran", got)
	default:
	}
}
