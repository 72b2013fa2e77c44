package fake

import (
	"encoding/binary"
	"path"
	"slices"
	"syscall"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/guest"
)

// maxEvents is how many events wait for a reader, as in Linux.
const maxEvents = 16384

// watcher is what inotify(7) has behind one descriptor; files.mu guards it.
type watcher struct {
	dirs   map[int32]string // by number
	last   int32
	events [][]byte
	more   chan struct{} // holds a token when there are events
}

// watchDir handles WATCH.
func (a *agent) watchDir(f guest.Frame) {
	r := guest.NewReader(f.Payload)
	dir := inside("", string(r.Bytes()))
	l := a.linkOf(f.Stream)
	if l == nil {
		if l = a.newLink(f.Stream); l == nil {
			a.refuse(f.Stream, syscall.EMFILE)
			a.send(guest.TypeEnd, f.Stream, nil)
			return
		}
		l.watch = &watcher{dirs: map[int32]string{}, more: make(chan struct{}, 1)}
		a.box.work.Go(func() { l.report() })
	}
	number, err := a.box.state.files.watch(l.watch, dir)
	if err != nil {
		a.refuse(f.Stream, err)
		return
	}
	a.send(guest.TypeStarted, f.Stream, guest.Fields(nil).U32(uint32(number)))
}

// report sends events as the host has room for them.
func (l *link) report() {
	for {
		select {
		case <-l.watch.more:
		case <-l.ctx.Done():
			return
		}
		for {
			b := l.a.box.state.files.event(l.watch)
			if b == nil {
				break
			}
			if !l.say(b) {
				return
			}
		}
	}
}

// watch adds a directory to w; one that is there already keeps its number.
func (f *files) watch(w *watcher, dir string) (int32, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch n := f.nodes[dir]; {
	case n == nil:
		return 0, syscall.ENOENT
	case n.Kind != api.FileDir:
		return 0, syscall.ENOTDIR
	}
	for number, d := range w.dirs {
		if d == dir {
			return number, nil
		}
	}
	if !slices.Contains(f.watchers, w) {
		f.watchers = append(f.watchers, w)
	}
	w.last++
	w.dirs[w.last] = dir
	return w.last, nil
}

func (f *files) unwatch(w *watcher) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watchers = slices.DeleteFunc(f.watchers, func(other *watcher) bool { return other == w })
}

// event takes the next event; nil when there is none.
func (f *files) event(w *watcher) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(w.events) == 0 {
		return nil
	}
	b := w.events[0]
	w.events = w.events[1:]
	return b
}

// tell has the watchers of a name's directory know. The caller holds mu.
func (f *files) tell(name string, mask uint32, n *node) {
	if n != nil && n.Kind == api.FileDir {
		mask |= syscall.IN_ISDIR
	}
	for _, w := range f.watchers {
		for number, dir := range w.dirs {
			if dir == path.Dir(name) && name != "/" {
				w.add(number, mask, path.Base(name))
			}
		}
	}
}

// tellOf has the watchers of a directory know what became of itself.
func (f *files) tellOf(dir string, mask uint32) {
	for _, w := range f.watchers {
		for number, d := range w.dirs {
			if d != dir {
				continue
			}
			w.add(number, mask, "")
			if mask&syscall.IN_DELETE_SELF != 0 {
				w.add(number, syscall.IN_IGNORED, "")
				delete(w.dirs, number)
			}
		}
	}
}

// moved has the watches of a directory, and of those below, go with it.
func (f *files) moved(from, to string) {
	f.tellOf(from, syscall.IN_MOVE_SELF)
	for _, w := range f.watchers {
		for number, d := range w.dirs {
			if d == from || below(from, d) {
				w.dirs[number] = to + d[len(from):]
			}
		}
	}
}

// add queues one struct inotify_event.
func (w *watcher) add(number int32, mask uint32, name string) {
	if len(w.events) >= maxEvents {
		if len(w.events) > maxEvents {
			return
		}
		number, mask, name = -1, syscall.IN_Q_OVERFLOW, ""
	}
	size := 0
	if name != "" {
		size = (len(name)/16 + 1) * 16
	}
	b := make([]byte, 16+size)
	binary.LittleEndian.PutUint32(b, uint32(number))
	binary.LittleEndian.PutUint32(b[4:], mask)
	binary.LittleEndian.PutUint32(b[12:], uint32(size))
	copy(b[16:], name)
	w.events = append(w.events, b)
	select {
	case w.more <- struct{}{}:
	default:
	}
}
