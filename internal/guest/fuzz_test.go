package guest

import (
	"bytes"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
)

func FuzzReadFrame(f *testing.F) {
	f.Add(AppendFrame(nil, Frame{Type: TypeReady, Stream: 3, Payload: Fields(nil).U32(1).String("x")}))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0})
	f.Add([]byte{4, 0, 0, 0, 1, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		var buf []byte
		for {
			at := len(data) - r.Len()
			frame, err := ReadFrame(r, buf)
			if err != nil {
				return
			}
			if n := len(frame.Payload); n > MaxFrame {
				t.Fatalf("a payload of %d bytes", n)
			}
			if again := AppendFrame(nil, frame); !bytes.Equal(again, data[at:at+len(again)]) {
				t.Fatalf("%x was read as %+v", data[at:at+len(again)], frame)
			}
			buf = frame.Payload
		}
	})
}

func FuzzDecodeExitReport(f *testing.F) {
	f.Add(ExitReport{Status: 9, CPUMicros: 1 << 40, TasksPeak: 3}.Encode())
	f.Add([]byte{4, 0, 0, 0, 1, 2, 3, 4, 9, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		report, err := DecodeExitReport(data)
		if err != nil {
			return
		}
		if again := report.Encode(); !bytes.HasPrefix(data, again) {
			t.Fatalf("%x was read as %+v", data, report)
		}
	})
}

func FuzzDecodeExecRequest(f *testing.F) {
	f.Add([]byte(ExecRequest{Flags: 2, Cwd: "/work", NProc: 9, Argv: []string{"a", "b c"}, Env: map[string]string{"K": "V"}, Rows: 24, Cols: 80}.Encode()))
	f.Add([]byte(Fields(nil).U32(0).String("").U32(0).U32(0).U32(0).U32(1 << 31)))
	f.Fuzz(func(t *testing.T, data []byte) {
		req, err := DecodeExecRequest(data)
		if err != nil {
			return
		}
		if len(req.Argv)+len(req.Env) > len(data) {
			t.Fatalf("%d bytes hold %d arguments and %d variables", len(data), len(req.Argv), len(req.Env))
		}
		again, err := DecodeExecRequest(req.Encode())
		if err != nil || len(again.Argv) != len(req.Argv) || len(again.Env) != len(req.Env) || again.Rows != req.Rows {
			t.Fatalf("%+v became %+v, %v", req, again, err)
		}
	})
}

// FuzzClient lets the guest answer an operation with arbitrary bytes after a
// proper greeting. The operation's stream is number 1.
func FuzzClient(f *testing.F) {
	frames := func(fs ...Frame) (b []byte) {
		for _, frame := range fs {
			frame.Stream = 1
			b = AppendFrame(b, frame)
		}
		return b
	}
	entry, exit := entryOf('f', 3, "name"), ExitReport{}.Encode()
	f.Add(byte(0), frames(Frame{Type: TypeOK}))
	f.Add(byte(1), frames(Frame{Type: TypeEntry, Payload: entry}, Frame{Type: TypeData, Payload: []byte("abc")}, Frame{Type: TypeEnd}))
	f.Add(byte(2), frames(Frame{Type: TypeEntry, Payload: entry}, Frame{Type: TypeEntry, Payload: entry}, Frame{Type: TypeEnd}))
	f.Add(byte(3), frames(Frame{Type: TypeStarted, Payload: started}, Frame{Type: TypeStdout, Payload: []byte("abc")},
		Frame{Type: TypeWindow, Payload: Fields(nil).U32(9)}, Frame{Type: TypeExit, Payload: exit}))
	f.Add(byte(4), frames(Frame{Type: TypeStderr, Payload: []byte("x")}, Frame{Type: TypeStarted, Payload: started}))
	f.Add(byte(5), frames(Frame{Type: TypeErr, Payload: Fields(nil).U32(2).String("no")}))
	f.Add(byte(6), frames(Frame{Type: TypeEntry, Payload: entry}, Frame{Type: TypeEnd}))
	f.Add(byte(7), frames(Frame{Type: TypeEntry, Payload: entry}, Frame{Type: TypeData, Payload: []byte("abc")}, Frame{Type: TypeEnd}))
	f.Add(byte(8), frames(Frame{Type: TypeStarted, Payload: started}, Frame{Type: TypeWindow, Payload: Fields(nil).U32(9)}, Frame{Type: TypeExit, Payload: exit}))
	f.Add(byte(9), frames(Frame{Type: TypeOK}))
	f.Add(byte(10), frames(Frame{Type: TypeStarted, Payload: started}, Frame{Type: TypeStdout, Payload: []byte("abc")}, Frame{Type: TypeStdout}, Frame{Type: TypeEnd}))
	f.Add(byte(11), frames(Frame{Type: TypeStarted, Payload: started}, Frame{Type: TypeStdout, Payload: eventOf(7, 0x100, 4, "new\x00")}, Frame{Type: TypeEnd}))
	f.Fuzz(func(t *testing.T, op byte, data []byte) {
		host, inside := net.Pipe()
		var guest sync.WaitGroup
		guest.Go(func() {
			defer inside.Close()
			ReadFrame(inside, nil) // START
			inside.Write(AppendFrame(nil, Frame{Type: TypeReady, Payload: Fields(nil).U32(Version).String("fuzz")}))
			ReadFrame(inside, nil) // the request
			guest.Go(func() { io.Copy(io.Discard, inside) })
			inside.Write(data)
		})
		c, err := Start(t.Context(), host, [64]byte{}, time.Now(), Identity{})
		if err != nil {
			t.Fatal(err)
		}
		operate(t, c, op%12)
		c.Close()
		guest.Wait()
	})
}

func operate(t *testing.T, c *Client, op byte) {
	var out bytes.Buffer
	switch op {
	case 0:
		c.Put(t.Context(), "/x", 0o600, strings.NewReader("content"))
	case 1:
		if c.Get(t.Context(), "/x", 100, &out); out.Len() > 100 {
			t.Errorf("%d bytes of at most 100", out.Len())
		}
	case 2:
		if list, _ := c.List(t.Context(), "/x", 2); len(list) > 2 {
			t.Errorf("%d names of at most 2", len(list))
		}
	case 3:
		in := struct{ io.Reader }{io.LimitReader(endless{}, 1<<20)}
		c.Exec(t.Context(), ExecRequest{Argv: []string{"x"}}, Streams{Stdin: in, Stdout: &out, Stderr: &out})
	case 4:
		c.Exec(t.Context(), ExecRequest{Flags: ExecWarmStart}, Streams{})
	case 5:
		c.Reset(t.Context())
	case 6:
		if info, err := c.Stat(t.Context(), "/x"); err == nil && (info.Path != "/x" || len(info.Target) > maxTarget) {
			t.Errorf("a guest's word of another path or without bound: %+v", info)
		}
	case 7:
		if c.Read(t.Context(), "/x", 5, 100, &out); out.Len() > 100 {
			t.Errorf("%d bytes of at most 100", out.Len())
		}
	case 8:
		if p, err := c.Attach(t.Context(), 7, Streams{Stdin: strings.NewReader("in"), Stdout: &out}); err == nil {
			p.Wait(t.Context())
		}
	case 9:
		c.Freeze(t.Context())
		c.Thaw(t.Context())
	case 10:
		if conn, err := c.Dial(t.Context(), 80); err == nil {
			conn.Write([]byte("hello"))
			conn.CloseWrite()
			io.Copy(&out, conn)
			conn.Close()
		}
	case 11:
		c.Watch(t.Context(), "/x", true, nil, func(change api.FileChange) error {
			if strings.HasPrefix(change.Name, "/") || slices.Contains(strings.Split(change.Name, "/"), "..") {
				t.Errorf("a name that leads elsewhere: %q", change.Name)
			}
			return nil
		})
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }
