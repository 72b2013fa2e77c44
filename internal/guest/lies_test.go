package guest

import (
	"encoding/binary"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
)

// TestLies lets the guest answer with what the protocol does not allow. Every
// answer must end the connection with a ProtocolError.
func TestLies(t *testing.T) {
	exit := ExitReport{}.Encode()
	type frame struct {
		typ     Type
		payload []byte
	}
	tests := []struct {
		name    string
		op      string
		answers []frame
	}{
		{"unknown type", "reset", []frame{{200, nil}}},
		{"a host's type", "reset", []frame{{TypeExec, nil}}},
		{"wrong answer", "reset", []frame{{TypeEnd, nil}}},
		{"impossible errno", "reset", []frame{{TypeErr, Fields(nil).U32(0).String("")}}},
		{"huge errno", "reset", []frame{{TypeErr, Fields(nil).U32(1 << 31).String("")}}},
		{"malformed error", "reset", []frame{{TypeErr, []byte{0xff, 0xff, 0xff, 0xff, 1}}}},
		{"too much data", "get", []frame{{TypeEntry, entryOf('f', 1, "")}, {TypeData, make([]byte, 11)}}},
		{"too much data in pieces", "get", []frame{{TypeEntry, entryOf('f', 1, "")}, {TypeData, make([]byte, 6)}, {TypeData, make([]byte, 6)}}},
		{"too large a frame", "get", []frame{{TypeEntry, entryOf('f', 1, "")}, {TypeData, make([]byte, MaxData+1)}}},
		{"content of a directory", "get", []frame{{TypeEntry, entryOf('d', 1, "")}}},
		{"content without entry", "get", []frame{{TypeData, []byte("x")}}},
		{"entry amid a file", "get", []frame{{TypeEntry, entryOf('f', 1, "")}, {TypeEntry, entryOf('f', 1, "")}}},
		{"malformed entry", "get", []frame{{TypeEntry, []byte("junk")}}},
		{"negative size", "get", []frame{{TypeEntry, entryOf('f', 1<<63, "")}}},
		{"unknown kind", "list", []frame{{TypeEntry, entryOf('x', 1, "a")}}},
		{"too many names", "list", []frame{{TypeEntry, entryOf('f', 1, "a")}, {TypeEntry, entryOf('f', 1, "b")}, {TypeEntry, entryOf('f', 1, "c")}}},
		{"name with a slash", "list", []frame{{TypeEntry, entryOf('f', 1, "a/b")}}},
		{"name above", "list", []frame{{TypeEntry, entryOf('f', 1, "..")}}},
		{"no name", "list", []frame{{TypeEntry, entryOf('f', 1, "")}}},
		{"name with a NUL", "list", []frame{{TypeEntry, entryOf('f', 1, "a\x00")}}},
		{"giant name", "list", []frame{{TypeEntry, entryOf('f', 1, strings.Repeat("a", 100_000))}}},
		{"file amid a list", "list", []frame{{TypeData, nil}}},
		{"exit without start", "exec", []frame{{TypeExit, exit}}},
		{"output without start", "exec", []frame{{TypeStdout, []byte("x")}}},
		{"started twice", "exec", []frame{{TypeStarted, started}, {TypeStarted, started}}},
		{"refusal after start", "exec", []frame{{TypeStarted, started}, {TypeErr, Fields(nil).U32(1).String("")}}},
		{"malformed exit", "exec", []frame{{TypeStarted, started}, {TypeExit, exit[:9]}}},
		{"malformed window", "exec", []frame{{TypeStarted, started}, {TypeWindow, []byte{1}}}},
		{"window overflows", "exec", []frame{{TypeStarted, started}, {TypeWindow, Fields(nil).U32(maxWindow)}}},
		{"windows add up", "exec", []frame{{TypeStarted, started}, {TypeWindow, Fields(nil).U32(maxWindow / 2)}, {TypeWindow, Fields(nil).U32(maxWindow / 2)}}},
		{"malformed start", "exec", []frame{{TypeStarted, []byte{1}}}},
		{"more output than granted", "exec", append([]frame{{TypeStarted, started}}, slices.Repeat([]frame{{TypeStdout, make([]byte, MaxData)}}, 1+OutputWindow/MaxData)...)},
		{"crumbs of output", "exec", append([]frame{{TypeStarted, started}}, slices.Repeat([]frame{{TypeStderr, nil}}, 1+OutputWindow/OutputCost)...)},
		{"attached twice", "attach", []frame{{TypeStarted, started}, {TypeStarted, started}}},
		{"attached to an end", "attach", []frame{{TypeExit, exit}}},
		{"described as content", "stat", []frame{{TypeData, []byte("x")}}},
		{"described twice", "stat", []frame{{TypeEntry, entryOf('f', 1, "a")}, {TypeEntry, entryOf('f', 1, "a")}}},
		{"giant target", "stat", []frame{{TypeEntry, Fields(nil).Bytes([]byte("l")).U64(1).U32(0).String("a").U64(0).String(strings.Repeat("a", 5000))}}},
		{"short entry", "stat", []frame{{TypeEntry, Fields(nil).Bytes([]byte("l")).U64(1).U32(0).String("a")}}},
		{"impossible time", "stat", []frame{{TypeEntry, Fields(nil).Bytes([]byte("l")).U64(1).U32(0).String("a").U64(1 << 63).String("")}}},
		{"more than the range", "read", []frame{{TypeEntry, entryOf('f', 99, "")}, {TypeData, make([]byte, 11)}}},
		{"range of a directory", "read", []frame{{TypeEntry, entryOf('d', 99, "")}}},
		{"quiet with words", "freeze", []frame{{TypeEnd, nil}}},
		{"connected without a start", "dial", []frame{{TypeStdout, []byte("x")}}},
		{"an exit amid a connection", "dial", []frame{{TypeStarted, started}, {TypeExit, exit}}},
		{"complaints amid a connection", "dial", []frame{{TypeStarted, started}, {TypeStderr, []byte("x")}}},
		{"words after the last one", "dial", []frame{{TypeStarted, started}, {TypeStdout, nil}, {TypeStdout, []byte("x")}}},
		{"an end without a last word", "dial", []frame{{TypeStarted, started}, {TypeEnd, nil}}},
		{"more words than granted", "dial", append([]frame{{TypeStarted, started}}, slices.Repeat([]frame{{TypeStdout, make([]byte, MaxData)}}, 1+OutputWindow/MaxData)...)},
		{"half an event", "watch", []frame{{TypeStarted, started}, {TypeStdout, make([]byte, 10)}}},
		{"an event without its name", "watch", []frame{{TypeStarted, started}, {TypeStdout, eventOf(7, 2, 99, "")}}},
		{"a name with a slash", "watch", []frame{{TypeStarted, started}, {TypeStdout, eventOf(7, 2, 4, "../x")}}},
		{"two answers", "watch", []frame{{TypeStarted, started}, {TypeStarted, started}, {TypeStarted, started}}},
		{"a watch's number cut short", "watch", []frame{{TypeStarted, []byte{1}}}},
		{"content amid a watch", "watch", []frame{{TypeStarted, started}, {TypeData, []byte("x")}}},
		{"ready again", "exec", []frame{{TypeStarted, started}, {TypeReady, Fields(nil).U32(Version).String("")}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := newPeer(t, func(p *peer, f Frame) {
				for _, a := range tt.answers {
					p.send(a.typ, f.Stream, a.payload)
				}
			})
			err := map[string]func() error{
				"reset":  func() error { return c.Reset(t.Context()) },
				"get":    func() error { _, err := c.Get(t.Context(), "/x", 10, io.Discard); return err },
				"stat":   func() error { _, err := c.Stat(t.Context(), "/x"); return err },
				"read":   func() error { _, err := c.Read(t.Context(), "/x", 5, 10, io.Discard); return err },
				"freeze": func() error { return c.Freeze(t.Context()) },
				"attach": func() error { return wait(t, c) },
				"list":   func() error { _, err := c.List(t.Context(), "/x", 2); return err },
				"dial":   func() error { return hear(t, c) },
				"watch": func() error {
					return c.Watch(t.Context(), "/x", false, nil, func(api.FileChange) error { return nil })
				},
				"exec": func() error { _, err := c.Exec(t.Context(), ExecRequest{}, Streams{}); return err },
			}[tt.op]()
			<-c.Done()
			if !isProtocolError(err) || !isProtocolError(c.Err()) {
				t.Errorf("error %v, connection %v", err, c.Err())
			}
			if err := c.Reset(t.Context()); !isProtocolError(err) {
				t.Errorf("the connection goes on: %v", err)
			}
		})
	}
}

// wait attaches to a program and waits for its end.
func wait(t *testing.T, c *Client) error {
	p, err := c.Attach(t.Context(), 7, Streams{})
	if err == nil {
		_, err = p.Wait(t.Context())
	}
	return err
}

// hear connects and waits for the peer's end.
func hear(t *testing.T, c *Client) error {
	conn, err := c.Dial(t.Context(), 80)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err = io.Copy(io.Discard, conn); err == nil { // the lie came behind the end
		<-c.Done()
		err = c.Err()
	}
	return err
}

// eventOf is a struct inotify_event that claims a name of that size.
func eventOf(number, mask, size uint32, name string) []byte {
	b := binary.LittleEndian.AppendUint32(nil, number)
	b = binary.LittleEndian.AppendUint32(b, mask)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, size)
	return append(b, name...)
}

// TestLiesBesideTheOperation are wrong whatever the operation makes of its own
// answer, so only the connection's end is certain.
func TestLiesBesideTheOperation(t *testing.T) {
	ok := AppendFrame(nil, Frame{Type: TypeOK, Stream: 1})
	for name, raw := range map[string][]byte{
		"answers twice":     append(append([]byte(nil), ok...), ok...),
		"nobody's stream":   AppendFrame(nil, Frame{Type: TypeStdout, Stream: 77}),
		"greets again":      AppendFrame(nil, Frame{Type: TypeReady, Stream: 0, Payload: Fields(nil).U32(Version).String("")}),
		"too short a frame": {4, 0, 0, 0, byte(TypeOK), 1, 0, 0, 0},
		"giant frame":       {0xff, 0xff, 0xff, 0x7f, byte(TypeOK), 1, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := newPeer(t, func(p *peer, f Frame) { p.conn.Write(raw) })
			c.Reset(t.Context())
			<-c.Done()
			if !isProtocolError(c.Err()) {
				t.Errorf("connection %v", c.Err())
			}
		})
	}
}
