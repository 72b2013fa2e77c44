package builds

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/durable"
	"github.com/brigdev/brig/internal/template"
)

// maxLog bounds the log of one build; what is beyond is left out.
const maxLog = 16 << 20

// build is one that this process has in hand.
type build struct {
	s      *Service
	id     string
	owner  string
	name   string // of the template
	dir    string
	unlock func()
	ctx    context.Context
	stop   context.CancelCauseFunc
	done   chan struct{} // closed when it is out of hand

	mu      sync.Mutex
	rec     record
	remove  func() bool // from the queue
	log     *os.File
	logged  int64
	changed chan struct{} // closed when there may be more to read
	ended   bool
}

// take makes this process the one that runs a build. CodeConflict when another is.
func (s *Service) take(dir string, r record) (*build, error) {
	unlock, ok, err := durable.TryLock(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, durable.DiskError("run the build", err)
	}
	if !ok {
		return nil, api.Errorf(api.CodeConflict, "cannot run the build: because another server does").WithFix("ask that server")
	}
	b := &build{s: s, id: r.Build.ID, owner: r.Owner, name: r.Build.Name, dir: dir, unlock: unlock, rec: r, done: make(chan struct{}), changed: make(chan struct{})}
	b.ctx, b.stop = context.WithCancelCause(s.ctx)
	s.mu.Lock()
	s.live[b.id] = b
	s.mu.Unlock()
	return b, nil
}

// start lets a build run when it is its turn.
func (s *Service) start(b *build) {
	remove := s.queue.Add(b.owner, b.run)
	b.mu.Lock()
	b.remove = remove
	b.mu.Unlock()
}

// drop gives a build out of hand.
func (s *Service) drop(b *build) {
	s.mu.Lock()
	delete(s.live, b.id)
	s.mu.Unlock()
	b.release()
}

// release lets another process have it. It is idempotent.
func (b *build) release() {
	b.stop(nil)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return
	}
	b.ended = true
	if b.log != nil {
		b.log.Close()
	}
	b.unlock()
	close(b.changed)
	close(b.done)
}

// cancel ends a build that runs or waits.
func (b *build) cancel() {
	b.stop(errCancelled())
	b.mu.Lock()
	remove := b.remove
	b.mu.Unlock()
	if remove != nil && remove() { // its turn never comes
		b.finish(template.Template{}, errCancelled())
		b.s.drop(b)
	}
}

func (b *build) run() {
	defer b.s.drop(b)
	ctx, cancel := context.WithTimeoutCause(b.ctx, buildWithin, errTooLong())
	defer cancel()
	t, err := template.Template{}, ctx.Err()
	if err == nil {
		err = b.begin()
	}
	if err == nil {
		t, err = b.s.cfg.Templates.Build(ctx, b.name, b.options(), nil)
	}
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	b.finish(t, err)
}

// begin counts the attempt before there is one.
func (b *build) begin() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rec.Attempts++; b.rec.Attempts > maxAttempts {
		return api.Errorf(api.CodeInternal, "cannot build: because the server died %d times while it did, and the build may be why", maxAttempts).WithFix("start it again")
	}
	b.rec.Build.Status = api.BuildRunning
	f, err := os.OpenFile(filepath.Join(b.dir, logName), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return durable.DiskError("keep the build's log", err)
	}
	b.log = f
	if err := b.write(); err != nil {
		return durable.DiskError("begin the build", err)
	}
	return nil
}

// options are what the catalogue builds with.
func (b *build) options() template.BuildOptions {
	r, o := b.rec.Build.Request, b.s.cfg.Options
	local := b.owner == b.s.cfg.Local
	o.Remote = &template.Remote{MayUse: func(name string) bool { return b.s.MayUse(b.owner, name) }, PublicOnly: !local}
	switch {
	case r.Dockerfile != "":
		o.File, o.Recipe, o.Context, o.Args, o.Target = "Dockerfile", r.Dockerfile, filepath.Join(b.dir, "context"), r.Args, r.Target
	case r.ImageRef != "":
		o.From = "docker://" + strings.TrimPrefix(r.ImageRef, "docker://")
	default:
		o.From, o.Remote.Called = filepath.Join(b.dir, "rootfs"), "an uploaded root filesystem"
	}
	o.AllowEgress, o.Warm, o.WarmScript = r.AllowEgress, r.Warm, r.WarmScript
	o.Limits.MemoryBytes, o.Limits.DiskBytes = r.RunMemoryMB<<20, r.RunDiskMB<<20
	o.Limits.Timeout = time.Duration(r.RunTimeoutSeconds * float64(time.Second))
	o.Events = b.say
	if !r.NoBake {
		o.Try = b.bake
	}
	return o
}

func (b *build) bake(ctx context.Context, t template.Template) error {
	b.mu.Lock()
	b.rec.Build.Status = api.BuildBaking
	b.save()
	b.mu.Unlock()
	return b.s.cfg.Bake(ctx, t, func(line string) { b.say(template.BuildEvent{Event: "progress", Text: line}) })
}

// say writes an event to the log.
func (b *build) say(e template.BuildEvent) {
	e.Text = strings.ReplaceAll(e.Text, b.dir+string(filepath.Separator), "")
	line, err := json.Marshal(e)
	if err != nil {
		return // texts and numbers always marshal
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.log == nil || b.logged > maxLog {
		return
	}
	if b.logged += int64(len(line)) + 1; b.logged > maxLog {
		line = []byte(`{"event":"note","text":"… the rest of this log is left out"}`)
	}
	if _, err := b.log.Write(append(line, '\n')); err != nil {
		b.s.cfg.Log.Warn("a build's log cannot be written", "build", b.id, "error", err)
	}
	close(b.changed)
	b.changed = make(chan struct{})
}

// finish writes how the build ended, unless the next server is to go on with it.
func (b *build) finish(t template.Template, err error) {
	if err != nil && !errors.Is(err, errClosing) {
		b.s.disown(b)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if errors.Is(err, errClosing) {
		b.rec.Attempts = max(b.rec.Attempts-1, 0) // it is not why
		b.save()
		return
	}
	now := time.Now().UTC()
	r := &b.rec.Build
	r.Status, r.EndedAt = api.BuildDone, &now
	if err != nil {
		r.Status, r.Code = api.BuildFailed, api.CodeOf(err)
		r.Error = strings.ReplaceAll(err.Error(), b.dir+string(filepath.Separator), "")
		r.Fix = strings.ReplaceAll(api.FixOf(err), b.dir+string(filepath.Separator), "")
		b.s.cfg.Log.Info("a build failed", "build", b.id, "error", err)
	} else {
		r.Digest = t.Digest
		if st, err := os.Stat(t.Root.Image); err == nil {
			r.Bytes = st.Size()
		}
	}
	if err := errors.Join(os.RemoveAll(filepath.Join(b.dir, "context")), os.RemoveAll(filepath.Join(b.dir, "rootfs"))); err != nil {
		b.s.cfg.Log.Warn("a build's files stay", "build", b.id, "error", err)
	}
	b.save()
}

// save writes the record; a disk that does not take it costs no more than that the
// build runs again at the next start. The caller holds mu.
func (b *build) save() {
	if err := b.write(); err != nil {
		b.s.cfg.Log.Error("a build's record could not be written", "build", b.id, "error", err)
	}
}

func (b *build) write() error { return durable.WriteJSON(filepath.Join(b.dir, recordName), b.rec) }

// Log gives the events of owner's build to give, the oldest first; with follow
// until it has ended. CodeNotFound; else give's error.
func (s *Service) Log(ctx context.Context, owner, id string, follow bool, give func(template.BuildEvent) error) error {
	_, dir, err := s.find(owner, id)
	if err != nil {
		return err
	}
	t := durable.Tail{Path: filepath.Join(dir, logName)}
	defer t.Close()
	lines := eventWriter{give: give}
	for {
		more, living := s.watch(id) // before reading, so that nothing is missed
		if err := t.Copy(&lines); err != nil {
			return err
		}
		if !follow || !living {
			return nil
		}
		select {
		case <-ctx.Done():
			return api.Errorf(api.CodeCancelled, "cannot go on with the log: because the caller went away")
		case <-s.ctx.Done():
			return api.Errorf(api.CodeUnavailable, "cannot go on with the log: because the server ends").WithFix("follow it again when it is back")
		case <-more:
		}
	}
}

func (s *Service) watch(id string) (more <-chan struct{}, living bool) {
	s.mu.Lock()
	b := s.live[id]
	s.mu.Unlock()
	if b == nil {
		return nil, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed, !b.ended
}

// eventWriter takes lines of the log apart. It is given whole lines, in pieces.
type eventWriter struct {
	rest []byte
	give func(template.BuildEvent) error
}

var _ io.Writer = (*eventWriter)(nil)

// Write implements io.Writer.
func (w *eventWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	dec := w.rest
	for {
		i := bytes.IndexByte(dec, '\n')
		if i < 0 {
			w.rest = append(w.rest[:0], dec...)
			return len(p), nil
		}
		var e template.BuildEvent
		if err := json.Unmarshal(dec[:i], &e); err != nil {
			return 0, fmt.Errorf("the log is spoilt: %w", err)
		}
		if err := w.give(e); err != nil {
			return 0, err
		}
		dec = dec[i+1:]
	}
}
