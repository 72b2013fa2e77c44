package gvisor

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// memoryWatch stands in for the memory cgroup where there is none: it looks at
// what each sentry's memory file holds, and kills above the limit. A program can
// be over it for as long as one round takes.
type memoryWatch struct {
	mu    sync.Mutex
	boxes map[*Box]string // → path of the memory file in /proc
	stop  chan struct{}
	done  chan struct{}
}

const memoryRound = 10 * time.Millisecond

func newMemoryWatch() *memoryWatch {
	return &memoryWatch{boxes: map[*Box]string{}}
}

// add starts watching a box, unless a cgroup does that. The first one starts
// the goroutine; close ends it.
func (w *memoryWatch) add(b *Box) {
	if b.group != nil && b.d.cgroups.Has("memory") {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.boxes[b] = memoryPath(b.proc.Pid)
	if w.stop == nil {
		w.stop, w.done = make(chan struct{}), make(chan struct{})
		go w.loop(w.stop, w.done)
	}
}

func (w *memoryWatch) drop(b *Box) {
	w.mu.Lock()
	delete(w.boxes, b)
	w.mu.Unlock()
}

func (w *memoryWatch) close() {
	w.mu.Lock()
	stop, done := w.stop, w.done
	w.stop = nil
	w.mu.Unlock()
	if stop != nil {
		close(stop)
		<-done
	}
}

func (w *memoryWatch) loop(stop, done chan struct{}) {
	defer close(done)
	t := time.NewTicker(memoryRound)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case <-t.C:
			w.round()
		}
	}
}

func (w *memoryWatch) round() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for b, path := range w.boxes {
		if path == "" {
			path = memoryPath(b.proc.Pid)
			w.boxes[b] = path
		}
		used := blocks(path) + anonymous(b.proc.Pid)
		if b.saw(used) {
			delete(w.boxes, b)
			b.kill()
		}
	}
}

// saw records a reading and tells whether it is over the limit.
func (b *Box) saw(used int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.peak = max(b.peak, used)
	b.overMemory = used > b.spec.Limits.MemoryBytes+memoryOverhead
	return b.overMemory
}

// memoryPath finds the sentry's memory file among its descriptors. It is a new
// file after a restore.
func memoryPath(pid int) string {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		p := filepath.Join(dir, e.Name())
		if to, err := os.Readlink(p); err == nil && strings.HasPrefix(to, "/memfd:runsc-memory") {
			return p
		}
	}
	return ""
}

func blocks(path string) int64 {
	var st syscall.Stat_t
	if path == "" || syscall.Stat(path, &st) != nil {
		return 0
	}
	return st.Blocks * 512
}

// anonymous is the private memory of a process: resident minus shared.
func anonymous(pid int) int64 {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "statm"))
	f := strings.Fields(string(b))
	if err != nil || len(f) < 3 {
		return 0
	}
	rss, _ := strconv.ParseInt(f[1], 10, 64)
	shared, _ := strconv.ParseInt(f[2], 10, 64)
	return (rss - shared) * int64(os.Getpagesize())
}
