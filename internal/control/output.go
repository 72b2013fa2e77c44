package control

import (
	"math"
	"slices"
	"sync"
	"time"
)

// How much is kept of what one process prints.
const (
	memoryOutput = 64 << 10 // bytes in memory
	fileOutput   = 64 << 20 // bytes in a file, for one that prints more
	maxRuns      = 1 << 14  // changes between stdout and stderr
	maxRead      = 64 << 10 // bytes that a reader gets at a time
	maxChunk     = 16 << 10 // bytes that are added at a time, so that little is dropped for them
	// holdFor is how long a process waits for a reader that went away, before what
	// that one has not seen may be dropped.
	holdFor = time.Minute
)

// Chunk is a piece of a program's output.
type Chunk struct {
	Stream string `json:"stream"` // stdout or stderr
	// Offset is where it begins among all that the program has printed.
	Offset int64  `json:"offset"`
	Data   []byte `json:"data"`
}

// outputLog keeps the newest output of one process. A reader may be attached: then
// the process waits, as on a full pipe, rather than that output is dropped which
// the reader has not got, and for a while also when the reader has gone, so that
// it can come back. Half of what is kept is older than that, for what was sent and
// never arrived. Without a reader nothing waits, and the oldest is dropped.
type outputLog struct {
	// file grants a file, in a directory, for more output; nil or false: there is
	// none, and memory has to do.
	file func() (dir string, ok bool)

	mu         sync.Mutex
	bytes      wheel
	runs       []outputRun
	start, end int64 // offsets of what is kept
	readers    map[*int64]bool
	held       int64 // by a reader that may come back, until heldUntil
	heldUntil  time.Time
	asked      bool            // for a file
	closed     bool            // nothing more will come
	gone       <-chan struct{} // closed when the sandbox is no more: nothing waits then
	more       chan struct{}   // closed at the next change
}

// outputRun is output of one stream, up to the next run.
type outputRun struct {
	stream string
	start  int64
}

func newOutputLog(file func() (string, bool)) *outputLog {
	return &outputLog{file: file, bytes: wheel{size: memoryOutput}, readers: map[*int64]bool{}, more: make(chan struct{})}
}

// newMemoryLog is one without a file, which nobody attaches to: the end of what all
// programs of a sandbox printed.
func newMemoryLog(size int64) *outputLog {
	o := newOutputLog(nil)
	o.bytes.size = size
	return o
}

// writer gives what the process writes one of its streams to.
func (o *outputLog) writer(stream string) logWriter { return logWriter{o, stream} }

type logWriter struct {
	log    *outputLog
	stream string
}

// Write never fails. It waits for readers: see outputLog.
func (w logWriter) Write(p []byte) (int, error) {
	for part := range slices.Chunk(p, maxChunk) {
		w.log.add(w.stream, part)
	}
	return len(p), nil
}

func (o *outputLog) add(stream string, p []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	start := o.startFor(stream, len(p))
	if start > o.start && o.grow() {
		start = o.startFor(stream, len(p))
	}
	for start > o.start && start > o.floor() && o.await() {
	}
	o.drop(max(start, o.start))
	if err := o.bytes.put(o.end, p); err != nil { // the disk is full: memory is left
		o.forget()
		_ = o.bytes.put(o.end, p) // never fails in memory
	}
	if n := len(o.runs); n == 0 || o.runs[n-1].stream != stream {
		o.runs = append(o.runs, outputRun{stream, o.end})
	}
	o.end += int64(len(p))
	o.changed()
}

// startFor is where what is kept has to begin when n bytes come.
func (o *outputLog) startFor(stream string, n int) int64 {
	start := max(o.start, o.end+int64(n)-o.bytes.size)
	if k := len(o.runs); k == maxRuns && o.runs[k-1].stream != stream {
		start = max(start, o.runs[1].start)
	}
	return start
}

// grow moves the output to a file, once, if it may.
func (o *outputLog) grow() bool {
	if o.asked || o.file == nil {
		return false
	}
	o.asked = true
	dir, ok := o.file()
	return ok && o.bytes.move(dir, fileOutput, o.start, o.end) == nil
}

// floor is where what is kept may begin at most, for the readers' sake.
func (o *outputLog) floor() int64 {
	first := int64(math.MaxInt64)
	for at := range o.readers {
		first = min(first, *at)
	}
	if time.Now().Before(o.heldUntil) {
		first = min(first, o.held)
	}
	return max(first-o.bytes.size/2, 0)
}

// await waits for a change, without the lock; false when nobody is waited for any
// more.
func (o *outputLog) await() bool {
	more, gone := o.more, o.gone
	var over <-chan time.Time
	if left := time.Until(o.heldUntil); left > 0 {
		t := time.NewTimer(left)
		defer t.Stop()
		over = t.C
	}
	o.mu.Unlock()
	defer o.mu.Lock()
	select {
	case <-more:
	case <-over:
	case <-gone:
		return false
	}
	return true
}

func (o *outputLog) drop(start int64) {
	o.start = start
	past := 0
	for past+1 < len(o.runs) && o.runs[past+1].start <= start {
		past++
	}
	o.runs = o.runs[past:]
}

// forget drops everything.
func (o *outputLog) forget() {
	o.bytes.empty()
	o.start, o.runs = o.end, nil
}

// discard drops everything, of a process that has ended.
func (o *outputLog) discard() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.forget()
	o.changed()
}

func (o *outputLog) changed() {
	close(o.more)
	o.more = make(chan struct{})
}

// hold keeps all output for a first reader that is about to come.
func (o *outputLog) hold() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.held, o.heldUntil = o.start, time.Now().Add(holdFor)
}

// endsWith says when the sandbox is no more.
func (o *outputLog) endsWith(gone <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.gone = gone
	o.changed()
}

// finish says that nothing more will come.
func (o *outputLog) finish() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.closed = true
		o.changed()
	}
}

// span is the offsets of what is kept.
func (o *outputLog) span() (start, end int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.start, o.end
}
