package guest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"path"
	"strings"
	"syscall"

	"github.com/brigdev/brig/api"
)

// Bounds of one watch.
const (
	maxWatched = 4096  // directories, with those that were moved away
	maxFresh   = 10000 // names that are looked for in a directory that is new
)

// watchMask is what is asked of the kernel for each directory.
const watchMask = syscall.IN_CREATE | syscall.IN_MODIFY | syscall.IN_ATTRIB | syscall.IN_DELETE | syscall.IN_DELETE_SELF |
	syscall.IN_MOVED_FROM | syscall.IN_MOVED_TO | syscall.IN_MOVE_SELF | syscall.IN_ONLYDIR

// eventHead is the size of a struct inotify_event before its name.
const eventHead = 16

// watch is one Watch. Its directories are the host's to choose: the guest has a
// descriptor, to which they are added one by one.
type watch struct {
	*inbox
	root      string
	recursive bool
	give      func(api.FileChange) error
	dirs      map[int32]string // by the kernel's number, relative to root; "" for those that were moved away
	later     []Frame          // events that came while an answer was due
}

// Watch tells what changes in a directory, with recursive also below it, until ctx
// ends or give fails; give runs on the calling goroutine. ready, which may be nil, is
// called when the watch is on. What is in a directory that is made meanwhile is told
// of when it is seen, which may be twice.
// Errors: those of ctx and give; GuestError, with ENOENT when the directory is gone;
// CodeExhausted when there are too many directories, or changes were lost because
// give was too slow for them.
func (c *Client) Watch(ctx context.Context, dir string, recursive bool, ready func(), give func(api.FileChange) error) error {
	st, err := c.open(TypeEnd)
	if err != nil {
		return err
	}
	w := &watch{inbox: newInbox(c, st, 1), root: dir, recursive: recursive, give: give, dirs: map[int32]string{}}
	st.take = w.put
	defer w.leave(ctx, TypeHangUp, nil)
	if err := w.add(ctx, "."); err != nil {
		if errors.Is(err, syscall.ENOSYS) {
			c.forget(st) // nor does such a guest know how to end it
		}
		return err
	}
	if recursive {
		if err := w.addBelow(ctx, ".", false); err != nil {
			return err
		}
	}
	if ready != nil {
		ready()
	}
	for {
		f, err := w.event(ctx)
		if err != nil {
			return err
		}
		if err := w.heed(ctx, f.Payload); err != nil {
			return err
		}
		if err := w.done(ctx, f); err != nil {
			return err
		}
	}
}

// event waits for the next frame of events.
func (w *watch) event(ctx context.Context) (Frame, error) {
	if len(w.later) > 0 {
		f := w.later[0]
		w.later = w.later[1:]
		return f, nil
	}
	f, err := w.next(ctx, ctx)
	if err == nil && f.Type != TypeStdout {
		err = w.c.violation("it sent a frame of type %d amid a watch", f.Type)
	}
	return f, err
}

// add watches one directory more.
func (w *watch) add(ctx context.Context, rel string) error {
	if len(w.dirs) >= maxWatched {
		return api.Errorf(api.CodeExhausted, "cannot watch %s: because it has more than %d directories", w.root, maxWatched).
			WithFix("watch a part of it, or without what is below")
	}
	mask := uint32(watchMask)
	if rel != "." {
		mask |= syscall.IN_DONT_FOLLOW
	}
	w.mu.Lock()
	w.words++
	w.mu.Unlock()
	b, err := appendRequest(nil, Frame{Type: TypeWatch, Stream: w.st.id, Payload: Fields(nil).String(path.Join(w.root, rel)).U32(mask)})
	if err == nil {
		err = w.c.write(ctx, b)
	}
	if err != nil {
		if len(w.dirs) == 0 {
			w.c.forget(w.st)
		}
		return err
	}
	for {
		f, err := w.next(ctx, ctx)
		if err != nil {
			return err
		}
		switch f.Type {
		case TypeStdout:
			w.later = append(w.later, f)
		case TypeStarted:
			r := NewReader(f.Payload)
			if w.dirs[int32(r.U32())] = rel; r.Err != nil {
				return w.c.violation("its STARTED frame has malformed fields")
			}
			return nil
		case TypeErr:
			return w.c.refusal(f)
		default:
			return w.c.violation("it sent a frame of type %d where STARTED or ERR was due", f.Type)
		}
	}
}

// addBelow watches the directories in rel. With fresh, rel was made a moment ago, and
// what is in it already is told of.
func (w *watch) addBelow(ctx context.Context, rel string, fresh bool) error {
	for waiting := []string{rel}; len(waiting) > 0; {
		dir := waiting[len(waiting)-1]
		waiting = waiting[:len(waiting)-1]
		list, err := w.c.List(ctx, path.Join(w.root, dir), maxFresh)
		if vanished(err) {
			continue
		} else if err != nil {
			return err
		}
		for _, info := range list {
			name := path.Join(dir, path.Base(info.Path))
			if fresh {
				if err := w.give(api.FileChange{Op: api.FileCreate, Name: name}); err != nil {
					return err
				}
			}
			if info.Kind != api.FileDir {
				continue
			}
			if err := w.add(ctx, name); err == nil {
				waiting = append(waiting, name)
			} else if !vanished(err) {
				return err
			}
		}
	}
	return nil
}

// vanished says whether a directory was gone, or replaced, when it was looked at.
func vanished(err error) bool {
	return errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.EACCES)
}

// heed deals with the events of one frame.
func (w *watch) heed(ctx context.Context, b []byte) error {
	for len(b) > 0 {
		if len(b) < eventHead {
			return w.c.violation("it sent half an event")
		}
		number, mask, size := int32(binary.LittleEndian.Uint32(b)), binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[12:])
		if uint64(size) > uint64(len(b)-eventHead) {
			return w.c.violation("it sent half an event")
		}
		name, _, _ := bytes.Cut(b[eventHead:eventHead+size], []byte{0})
		b = b[eventHead+size:]
		if len(name) > 0 {
			if err := checkName(string(name)); err != nil {
				w.c.fail(err)
				return err
			}
		}
		if mask&syscall.IN_Q_OVERFLOW != 0 {
			return api.Errorf(api.CodeExhausted, "cannot watch %s any more: because there were more changes than were read", w.root).
				WithFix("look at the directory, and watch it again")
		}
		if err := w.change(ctx, number, mask, string(name)); err != nil {
			return err
		}
	}
	return nil
}

// change deals with one event.
func (w *watch) change(ctx context.Context, number int32, mask uint32, name string) error {
	dir := w.dirs[number]
	if mask&syscall.IN_IGNORED != 0 {
		delete(w.dirs, number) // the kernel has ended the watch
	}
	if dir == "" {
		return nil // a directory that was moved away
	}
	if name == "" {
		return w.changeOf(dir, mask)
	}
	rel, isDir := path.Join(dir, name), mask&syscall.IN_ISDIR != 0
	if isDir && mask&syscall.IN_MOVED_FROM != 0 {
		w.forgetBelow(rel)
	}
	for _, op := range operations(mask) {
		if err := w.give(api.FileChange{Op: op, Name: rel}); err != nil {
			return err
		}
	}
	if !w.recursive || !isDir || mask&(syscall.IN_CREATE|syscall.IN_MOVED_TO) == 0 {
		return nil
	}
	if err := w.add(ctx, rel); vanished(err) {
		return nil
	} else if err != nil {
		return err
	}
	return w.addBelow(ctx, rel, mask&syscall.IN_CREATE != 0)
}

// changeOf deals with what happened to a watched directory itself. Of one below the
// root, the directory that it is in tells the same.
func (w *watch) changeOf(dir string, mask uint32) error {
	if dir != "." {
		return nil
	}
	for _, op := range operations(mask) {
		if err := w.give(api.FileChange{Op: op, Name: dir}); err != nil {
			return err
		}
	}
	if mask&(syscall.IN_IGNORED|syscall.IN_DELETE_SELF|syscall.IN_MOVE_SELF) != 0 {
		return &GuestError{Errno: syscall.ENOENT, Text: `"the directory is gone"`}
	}
	return nil
}

// forgetBelow stops listening to a directory that was moved, and those in it: if it
// is still below the root, it is added again under its new name.
func (w *watch) forgetBelow(rel string) {
	for number, dir := range w.dirs {
		if dir == rel || strings.HasPrefix(dir, rel+"/") {
			w.dirs[number] = ""
		}
	}
}

// operations are what an event's mask tells of.
func operations(mask uint32) (ops []api.FileOp) {
	for _, m := range []struct {
		bits uint32
		op   api.FileOp
	}{
		{syscall.IN_CREATE | syscall.IN_MOVED_TO, api.FileCreate},
		{syscall.IN_MODIFY, api.FileWrite},
		{syscall.IN_DELETE | syscall.IN_DELETE_SELF, api.FileRemove},
		{syscall.IN_MOVED_FROM | syscall.IN_MOVE_SELF, api.FileRename},
		{syscall.IN_ATTRIB, api.FileChmod},
	} {
		if mask&m.bits != 0 {
			ops = append(ops, m.op)
		}
	}
	return ops
}
