package drivertest

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/brigdev/brig/api"
)

// testDial connects to where nothing listens; with NoBoundary also to a server of
// this test's, which is on the same machine then.
func (s *suite) testDial(t *testing.T) {
	b := s.create(t, s.spec())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if s.opts.NoBoundary {
		s.converse(t, b, l)
	} else if _, err := b.guest.Dial(patient(t), port); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("it reached a server of the host, or: %v", err)
	}
	l.Close()
	if _, err := b.guest.Dial(patient(t), port); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("where nothing listens: %v", err)
	}
}

// converse says something to a server and hears its answer after the end.
func (s *suite) converse(t *testing.T, b box, l net.Listener) {
	t.Helper()
	served := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			defer c.Close()
			var heard []byte
			if heard, err = io.ReadAll(c); err == nil {
				_, err = c.Write(append(heard, " indeed"...))
			}
		}
		served <- err
	}()
	c, err := b.guest.Dial(patient(t), l.Addr().(*net.TCPAddr).Port)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "hello"); err != nil {
		t.Error(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Error(err)
	}
	if heard, err := io.ReadAll(c); string(heard) != "hello indeed" || err != nil {
		t.Errorf("heard %q, %v", heard, err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// testWatch hears of a file, and of one in a directory that is made meanwhile.
func (s *suite) testWatch(t *testing.T) {
	b := s.create(t, s.spec())
	enough := errors.New("enough")
	put := func(name string) {
		if err := b.guest.Put(patient(t), "/work/"+name, 0o644, strings.NewReader("x")); err != nil {
			t.Error(err)
		}
	}
	wanted := []string{"create new", "write new", "create a", "create a/b", "create a/b/c", "write a/b/c"}
	err := b.guest.Watch(patient(t), "/work", true, func() { put("new") }, func(c api.FileChange) error {
		if string(c.Op)+" "+c.Name != wanted[0] {
			return nil
		}
		switch wanted = wanted[1:]; {
		case len(wanted) == 0:
			return enough
		case wanted[0] == "create a":
			put("a/b/c")
		case wanted[0] == "write a/b/c": // it may have been written before anybody saw
			put("a/b/c")
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Errorf("the watch ended by %v before it told of %q", err, wanted)
	}
	if err := b.guest.Watch(patient(t), "/nowhere", false, nil, nil); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("watch what is not there: %v", err)
	}
}
