package egress

import (
	"context"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"
)

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// TestCloseLeavesNothing ends a gateway in the middle of 200 connections.
func TestCloseLeavesNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	goroutines, fds := runtime.NumGoroutine(), descriptors(t)

	e := allow("93.184.216.34")
	e.MaxConns = 300
	w := newWorld(t, e, l.Addr().String())
	for range 200 {
		w.mustDial(t, "93.184.216.34:5")
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	w.lookup("web.example.org")
	w.Close()
	w.close()
	fds += 200 // the server's, of this process
	for range 1000 {
		if runtime.NumGoroutine() <= goroutines && descriptors(t) <= fds {
			return
		}
		time.Sleep(patience / 1000)
	}
	buf := make([]byte, 1<<20)
	t.Errorf("%d goroutines, were %d; %d descriptors, were %d\n%s",
		runtime.NumGoroutine(), goroutines, descriptors(t), fds, buf[:runtime.Stack(buf, true)])
}

// TestCloseDuringDials ends a gateway while connections are being made.
func TestCloseDuringDials(t *testing.T) {
	for range 20 {
		w := newWorld(t, allow("93.184.216.34"), "")
		dialing := make(chan struct{}, 64)
		w.with(func() {
			w.onDial = func(ctx context.Context) error {
				dialing <- struct{}{}
				<-ctx.Done()
				return ctx.Err()
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		var guests sync.WaitGroup
		for range 8 {
			guests.Go(func() {
				if c, err := w.dial(ctx, "tcp", "93.184.216.34:5"); err == nil {
					c.Close()
				}
			})
		}
		<-dialing
		w.Close()
		cancel()
		guests.Wait()
		w.close()
	}
}

// TestCloseDuringHandshakes ends a gateway that waits for guests that don't answer.
func TestCloseDuringHandshakes(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 20 {
		w := newWorld(t, allow("93.184.216.34"), l.Addr().String())
		dialed := make(chan struct{}, 1)
		guest := w.guest
		w.with(func() {
			w.onDial = func(context.Context) error {
				guest.RemoveNIC(nic) // the guest is gone before its connection is
				dialed <- struct{}{}
				return nil
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		var guests sync.WaitGroup
		guests.Go(func() {
			if c, err := w.dial(ctx, "tcp", "93.184.216.34:5"); err == nil {
				c.Close()
			}
		})
		<-dialed
		w.Close()
		cancel()
		guests.Wait()
		w.close()
	}
}
