// Package fair runs long work of many owners, so much at a time: next is who has the
// least under way, and of those who had none for the longest; what an owner brought
// first runs first.
package fair

import "sync"

// Queue runs tasks. The zero value is not ready: use New.
type Queue struct {
	most, each int

	mu      sync.Mutex
	waiting []*task
	running map[string]int    // by owner
	served  map[string]uint64 // by owner: the turn of its latest task
	turn    uint64
	total   int // of running
	closed  bool
	work    sync.WaitGroup
}

type task struct {
	owner string
	run   func()
}

// New makes a queue that runs at most so many tasks at a time, and at most each of
// them of one owner.
func New(most, each int) *Queue {
	return &Queue{most: most, each: each, running: map[string]int{}, served: map[string]uint64{}}
}

// Add runs a task when it is its turn. Until then remove takes it back: true means
// that it never runs.
func (q *Queue) Add(owner string, run func()) (remove func() bool) {
	t := &task{owner, run}
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.waiting = append(q.waiting, t)
		q.start()
	}
	return func() bool { return q.remove(t) }
}

func (q *Queue) remove(t *task) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, w := range q.waiting {
		if w == t {
			q.waiting = append(q.waiting[:i:i], q.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// start runs what may run now. The caller holds mu.
func (q *Queue) start() {
	for q.total < q.most {
		next := -1
		for i, t := range q.waiting {
			if q.running[t.owner] < q.each && (next < 0 || q.before(t.owner, q.waiting[next].owner)) {
				next = i
			}
		}
		if next < 0 {
			return
		}
		t := q.waiting[next]
		q.waiting = append(q.waiting[:next:next], q.waiting[next+1:]...)
		q.running[t.owner]++
		q.total++
		q.turn++
		q.served[t.owner] = q.turn
		q.work.Go(func() {
			defer q.ended(t.owner)
			t.run()
		})
	}
}

// before tells whether it is a's turn rather than b's.
func (q *Queue) before(a, b string) bool {
	if q.running[a] != q.running[b] {
		return q.running[a] < q.running[b]
	}
	return q.served[a] < q.served[b]
}

func (q *Queue) ended(owner string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running[owner]--; q.running[owner] == 0 {
		delete(q.running, owner)
	}
	q.total--
	q.start()
	if len(q.waiting) == 0 && q.total == 0 {
		clear(q.served) // nobody is left to be fair to
	}
}

// Close starts nothing more, forgets what waits and returns when nothing runs.
func (q *Queue) Close() {
	q.mu.Lock()
	q.closed, q.waiting = true, nil
	q.mu.Unlock()
	q.work.Wait()
}
