package envd

import (
	"context"
	"crypto/rand"
	"errors"
	"path"
	"strings"
	"sync"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

const (
	maxWatchers = 64     // that are polled, of one sandbox
	maxUnread   = 10_000 // events that one of them keeps
)

type watchRequest struct {
	Path         string `json:"path"`
	Recursive    bool   `json:"recursive"`
	IncludeEntry bool   `json:"includeEntry"`
}

// fileEvent is one change; Name is relative to the watched directory.
type fileEvent struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Entry *entry `json:"entry,omitempty"`
}

func eventOf(ch api.FileChange) fileEvent {
	return fileEvent{Name: ch.Name, Type: "EVENT_TYPE_" + strings.ToUpper(string(ch.Op))}
}

type watchMessage struct {
	Start      *empty     `json:"start,omitempty"`
	Filesystem *fileEvent `json:"filesystem,omitempty"`
	Keepalive  *empty     `json:"keepalive,omitempty"`
}

// watched is the directory that a request means, symbolic links followed.
func (c *call) watched(req watchRequest) (dir string, err error) {
	err = c.onPath(req.Path, func(box host.Session, p string) (err error) {
		dir, err = directory(c.Context(), box, p)
		return err
	})
	return dir, err
}

// watchDir streams what changes until the client goes away or its deadline.
func watchDir(_ *Server, c *call, req watchRequest, out *frames) error {
	dir, err := c.watched(req)
	if err != nil {
		return err
	}
	ctx, cancel, late := c.within()
	defer cancel()
	var stop func()
	ready := func() {
		_ = out.send(watchMessage{Start: &empty{}}) // who is gone is seen by ctx
		stop = out.keepAlive(c, watchMessage{Keepalive: &empty{}})
	}
	err = c.sb.Watch(ctx, dir, req.Recursive, ready, func(ch api.FileChange) error {
		e := eventOf(ch)
		if req.IncludeEntry {
			e.Entry = c.entryNow(ctx, path.Join(dir, ch.Name))
		}
		return out.send(watchMessage{Filesystem: &e})
	})
	if stop != nil {
		stop()
	}
	if late() {
		return errLate()
	}
	return err
}

// entryNow describes what a change was about, if it is still there.
func (c *call) entryNow(ctx context.Context, p string) *entry {
	var found *entry
	err := c.sb.With(ctx, func(box host.Session) error {
		e, err := lookAt(ctx, box, p)
		found = &e
		return err
	})
	if err != nil {
		return nil
	}
	return found
}

// watcher keeps changes for a client that asks for them now and then.
type watcher struct {
	sandbox string
	cancel  context.CancelFunc

	mu     sync.Mutex
	events []fileEvent
	err    error // why it has ended
}

type watcherID struct {
	WatcherID string `json:"watcherId"`
}

// createWatcher returns when the watch is on.
func createWatcher(s *Server, c *call, req watchRequest) (watcherID, error) {
	dir, err := c.watched(req)
	if err != nil {
		return watcherID{}, err
	}
	ctx, cancel := context.WithCancel(s.ctx)
	w := &watcher{sandbox: c.sb.ID(), cancel: cancel}
	id, err := s.addWatcher(w)
	if err != nil {
		cancel()
		return watcherID{}, err
	}
	ready, over := make(chan struct{}), make(chan struct{})
	s.work.Go(func() {
		defer close(over)
		defer cancel()
		w.ended(c.sb.Watch(ctx, dir, req.Recursive, func() { close(ready) }, w.add))
		if c.sb.Info().Ended != nil { // nobody will ask any more
			s.dropWatcher(id)
		}
	})
	select {
	case <-ready:
		return watcherID{id}, nil
	case <-over:
	case <-c.Context().Done():
		cancel()
		<-over
	}
	s.dropWatcher(id)
	return watcherID{}, w.failure()
}

func (s *Server) addWatcher(w *watcher) (id string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, other := range s.watchers {
		if other.sandbox == w.sandbox {
			n++
		}
	}
	if n >= maxWatchers {
		return "", &rpcError{codeExhausted, "cannot watch: because the sandbox has 64 watchers (remove one of them)"}
	}
	id = "w" + strings.ToLower(rand.Text())
	s.watchers[id] = w
	return id, nil
}

func (s *Server) dropWatcher(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.watchers, id)
}

// watcher finds one of the call's own sandbox.
func (s *Server) watcher(c *call, id string) (*watcher, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.watchers[id]; w != nil && w.sandbox == c.sb.ID() {
		return w, nil
	}
	return nil, &rpcError{codeNotFound, "cannot find the watcher: because the sandbox has none of that id"}
}

var errUnread = errors.New("too many events were not fetched")

func (w *watcher) add(ch api.FileChange) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.events) == maxUnread {
		return errUnread
	}
	w.events = append(w.events, eventOf(ch))
	return nil
}

func (w *watcher) ended(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if errors.Is(err, errUnread) {
		err = &rpcError{codeExhausted, "cannot watch on: because 10000 events were not fetched (make a new watcher, and look at the directory)"}
	}
	w.err = err
}

func (w *watcher) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		return &rpcError{codeUnavailable, "cannot watch: because the watch has ended"}
	}
	return w.err
}

type watcherReply struct {
	Events []fileEvent `json:"events"`
}

// watcherEvents gives what has changed since it was last asked.
func watcherEvents(s *Server, c *call, req watcherID) (watcherReply, error) {
	w, err := s.watcher(c, req.WatcherID)
	if err != nil {
		return watcherReply{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.events) == 0 && w.err != nil {
		return watcherReply{}, w.err
	}
	r := watcherReply{Events: w.events}
	if r.Events == nil {
		r.Events = []fileEvent{}
	}
	w.events = nil
	return r, nil
}

func removeWatcher(s *Server, c *call, req watcherID) (empty, error) {
	w, err := s.watcher(c, req.WatcherID)
	if err != nil {
		return empty{}, err
	}
	w.cancel()
	s.dropWatcher(req.WatcherID)
	return empty{}, nil
}
