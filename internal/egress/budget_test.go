package egress

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"
)

func TestBytes(t *testing.T) {
	const budget = 3 << 20
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for b := make([]byte, 64<<10); ; {
			if _, err := w.Write(b); err != nil {
				return
			}
		}
	}))
	defer s.Close()
	e := allow("web.example.org")
	e.MaxBytes = budget
	w := newWorld(t, e, s.Listener.Addr().String())
	res, err := w.client(t).Get("http://web.example.org/")
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, res.Body)
	if err == nil || n > budget {
		t.Errorf("%d bytes of %d, and then %v", n, budget, err)
	}
	if _, err := w.dial(t.Context(), "tcp", "web.example.org:80"); err == nil {
		t.Error("connected beyond the budget")
	}
	if !slices.Contains(w.refused(), string(errBudget)) {
		t.Errorf("no refusal says why: %q", w.refused())
	}
}

func TestConnections(t *testing.T) {
	e := allow("93.184.216.34")
	e.MaxConns = 2
	w := newWorld(t, e, echoServer(t).Listener.Addr().String())
	first := w.mustDial(t, "93.184.216.34:5")
	w.mustDial(t, "93.184.216.34:5")
	if _, err := w.dial(t.Context(), "tcp", "93.184.216.34:5"); err == nil {
		t.Fatal("a third connection of two")
	}
	first.Close()
	for range 1000 { // the place is free when the server has closed, too
		c, err := w.dial(t.Context(), "tcp", "93.184.216.34:5")
		if err == nil {
			c.Close()
			return
		}
		time.Sleep(patience / 1000)
	}
	t.Error("a closed connection still counts")
}

// TestSlowReader holds that a guest that does not read holds up the server, and
// not our memory.
func TestSlowReader(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w := newWorld(t, allow("93.184.216.34"), l.Addr().String())
	w.mustDial(t, "93.184.216.34:5")
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sent := 0
	for b := make([]byte, 64<<10); sent < 64<<20; {
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := c.Write(b)
		sent += n
		if err != nil {
			return // it does not take any more
		}
	}
	t.Errorf("%d bytes were taken and nobody reads", sent)
}
