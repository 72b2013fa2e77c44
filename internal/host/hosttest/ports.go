package hosttest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

// echoPort is where Programs.Serve serves.
const echoPort = 4321

// serve starts a program that echoes on echoPort.
func (s *suite) serve(t *testing.T, box host.Session) {
	t.Helper()
	argv := need(t, s.Programs.Serve, "serve a port")
	ctx, cancel := context.WithCancel(s.ctx)
	p, err := box.Start(ctx, api.ExecSpec{Argv: argv}, host.Stdio{})
	if err != nil {
		t.Fatalf("start a server: %v", err)
	}
	t.Cleanup(func() { cancel(); _, _ = p.Wait() })
}

// dial connects as soon as the server is there.
func (s *suite) dial(t *testing.T, box host.Session) net.Conn {
	t.Helper()
	for {
		c, err := box.Dial(s.ctx, echoPort)
		if err == nil {
			t.Cleanup(func() { c.Close() })
			return c
		}
		if api.CodeOf(err) != api.CodeUnavailable {
			t.Fatalf("connect: %v", err)
		}
	}
}

// closeWrite ends what c says, and reads to the end of what it hears.
func closeWrite(t *testing.T, c net.Conn) string {
	t.Helper()
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Errorf("close one side: %v", err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("read to the end: %v", err)
	}
	return string(b)
}

func (s *suite) testDial(t *testing.T) {
	box := s.session(t)
	_, err := box.Dial(s.ctx, echoPort)
	wantCode(t, "connect to where nothing listens", err, api.CodeUnavailable)
	_, err = box.Dial(s.ctx, 1<<16)
	wantCode(t, "connect to no port", err, api.CodeInvalid)
	s.serve(t, box)
	var all sync.WaitGroup
	for i := range 20 {
		c := s.dial(t, box)
		all.Go(func() {
			text := fmt.Sprint("caller ", i)
			if _, err := io.WriteString(c, text); err != nil {
				t.Errorf("say: %v", err)
			}
			if heard := closeWrite(t, c); heard != text {
				t.Errorf("said %q and heard %q", text, heard)
			}
		})
	}
	all.Wait()
	s.wantAlive(t, box)
}

// A peer whose words nobody reads holds back itself and nobody else, and all of them
// arrive.
func (s *suite) testDialSlow(t *testing.T) {
	box := s.session(t)
	s.serve(t, box)
	c := s.dial(t, box)
	const size = 8 << 20
	said := make(chan error, 1)
	go func() {
		_, err := io.CopyN(c, letters{}, size)
		said <- errors.Join(err, c.(interface{ CloseWrite() error }).CloseWrite())
	}()
	other := s.dial(t, box)
	if _, err := io.WriteString(other, "hello"); err != nil {
		t.Errorf("say: %v", err)
	}
	if heard := closeWrite(t, other); heard != "hello" {
		t.Errorf("heard %q beside a slow reader", heard)
	}
	s.wantAlive(t, box)
	n, err := io.Copy(io.Discard, c)
	if err != nil || n != size {
		t.Errorf("heard %d bytes of %d, %v", n, size, err)
	}
	if err := <-said; err != nil {
		t.Errorf("say: %v", err)
	}
}

// letters are without end.
type letters struct{}

func (letters) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'a'
	}
	return len(b), nil
}

// A connection ends with its closing, its deadline and its sandbox.
func (s *suite) testDialEnds(t *testing.T) {
	box := s.session(t)
	s.serve(t, box)
	c := s.dial(t, box)
	if err := c.SetReadDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	var late net.Error
	if _, err := c.Read(make([]byte, 1)); !errors.As(err, &late) || !late.Timeout() {
		t.Errorf("read behind the deadline: %v", err)
	}
	c.Close()
	if _, err := c.Write([]byte("x")); err == nil {
		t.Error("a closed connection was written to")
	}
	for range 300 { // more than there may be at a time
		s.dial(t, box).Close()
	}
	c = s.dial(t, box)
	ended := make(chan error, 1)
	go func() {
		_, err := c.Read(make([]byte, 1))
		ended <- err
	}()
	if err := box.Destroy(s.ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil || err == io.EOF {
		t.Errorf("the sandbox is gone and the peer ended by %v", err)
	}
	_, err := box.Dial(s.ctx, echoPort)
	wantCode(t, "connect to a sandbox that is gone", err, api.CodeConflict)
}

func (s *suite) testDialSnapshot(t *testing.T) {
	box := s.session(t)
	s.serve(t, box)
	c := s.dial(t, box)
	dir := s.snapshot(t, box)
	if _, err := io.WriteString(c, "still there"); err != nil {
		t.Errorf("say after a snapshot: %v", err)
	}
	if heard := closeWrite(t, c); heard != "still there" {
		t.Errorf("heard %q after a snapshot", heard)
	}
	child := s.session(t, func(spec *api.SandboxSpec) { spec.Snapshot = dir })
	again := s.dial(t, child)
	if _, err := io.WriteString(again, "and here"); err != nil {
		t.Errorf("say in a clone: %v", err)
	}
	if heard := closeWrite(t, again); heard != "and here" {
		t.Errorf("heard %q in a clone", heard)
	}
}

// changes collects what a watch tells.
type changes struct {
	mu   sync.Mutex
	more *sync.Cond
	list []string
	err  error // how the watch ended
	over bool
}

// watch watches a directory until the test ends.
func (s *suite) watch(t *testing.T, box host.Session, dir string, recursive bool) (c *changes, stop func()) {
	t.Helper()
	c = &changes{}
	c.more = sync.NewCond(&c.mu)
	ctx, cancel := context.WithCancel(s.ctx)
	ready := make(chan struct{})
	go func() {
		err := box.Watch(ctx, dir, recursive, func() { close(ready) }, func(change api.FileChange) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.list = append(c.list, string(change.Op)+" "+change.Name)
			c.more.Broadcast()
			return nil
		})
		c.mu.Lock()
		defer c.mu.Unlock()
		c.err, c.over = err, true
		c.more.Broadcast()
	}()
	t.Cleanup(func() { cancel(); c.end() })
	select {
	case <-ready:
	case <-s.ctx.Done():
		t.Fatal("the watch does not begin")
	}
	return c, cancel
}

// tells waits until the watch has told of what is in want, in this order.
func (c *changes) tells(t *testing.T, want ...string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	at := 0
	for _, w := range want {
		for found := false; !found; at++ {
			for at == len(c.list) && !c.over {
				c.more.Wait()
			}
			if at == len(c.list) {
				t.Fatalf("the watch ended by %v; it told of %q and not of %q", c.err, c.list, w)
			}
			found = c.list[at] == w
		}
	}
}

func (c *changes) end() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.over {
		c.more.Wait()
	}
	return c.err
}

func (s *suite) testWatch(t *testing.T) {
	box := s.session(t)
	s.put(t, box, "watched/old", "x")
	_, stop := s.watch(t, box, "watched/..", false)
	c, _ := s.watch(t, box, "watched", false)
	s.put(t, box, "watched/new", "x")
	c.tells(t, "create new", "write new")
	if err := box.Rename(s.ctx, "watched/new", "watched/newer"); err != nil {
		t.Fatal(err)
	}
	if err := box.Remove(s.ctx, "watched/old", false); err != nil {
		t.Fatal(err)
	}
	c.tells(t, "rename new", "create newer", "remove old")
	s.put(t, box, "watched/below/deep", "x")
	s.put(t, box, "watched/last", "x")
	c.tells(t, "create below", "create last")
	stop()
	if err := box.Remove(s.ctx, "watched", true); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "watch what was removed", c.end(), api.CodeNotFound)
	for _, told := range c.list {
		if strings.Contains(told, "deep") {
			t.Errorf("it told of what is below a directory: %q", told)
		}
	}
	err := box.Watch(s.ctx, "nowhere", true, nil, func(api.FileChange) error { return nil })
	wantCode(t, "watch what is not there", err, api.CodeNotFound)
}

func (s *suite) testWatchBelow(t *testing.T) {
	box := s.session(t)
	s.put(t, box, "tree/a/b/file", "x")
	c, stop := s.watch(t, box, "tree", true)
	s.put(t, box, "tree/a/b/file", "y")
	c.tells(t, "write a/b/file")
	s.put(t, box, "tree/new/er/file", "x")
	c.tells(t, "create new")
	c.tells(t, "create new/er/file")
	if err := box.Rename(s.ctx, "tree/a", "tree/z"); err != nil {
		t.Fatal(err)
	}
	c.tells(t, "rename a", "create z")
	s.put(t, box, "tree/z/b/file", "z")
	c.tells(t, "create z", "write z/b/file")
	if err := box.Remove(s.ctx, "tree/new", true); err != nil {
		t.Fatal(err)
	}
	c.tells(t, "remove new/er/file", "remove new/er", "remove new")
	stop()
	wantCode(t, "a watch that was ended", c.end(), api.CodeCancelled)
	enough := errors.New("enough")
	ready := func() { s.put(t, box, "tree/one/more", "x") }
	if err := box.Watch(s.ctx, "tree", true, ready, func(api.FileChange) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("a watch whose taker had enough ended by %v", err)
	}
}

// Changes that nobody takes are not kept without end: the loss is told.
func (s *suite) testWatchOverflow(t *testing.T) {
	box := s.session(t)
	s.put(t, box, "busy/file", "x")
	stuck, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	ended := make(chan error, 1)
	ready := make(chan struct{})
	go func() {
		ended <- box.Watch(s.ctx, "busy", false, func() { close(ready) }, func(api.FileChange) error {
			once.Do(func() { close(stuck) })
			<-goOn
			return nil
		})
	}()
	<-ready
	s.put(t, box, "busy/first", "x")
	<-stuck
	want(t, s.run(t, box, api.ExecSpec{Argv: need(t, s.Programs.Busy, "change a directory often")}, ""), api.OK)
	close(goOn)
	wantCode(t, "a watch that lost changes", <-ended, api.CodeExhausted)
	s.wantAlive(t, box)
}
