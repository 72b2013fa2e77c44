package kernel

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func frame(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// Frames are found again however the stream is cut.
func TestDecoder(t *testing.T) {
	var stream []byte
	for i := range 20 {
		stream = append(stream, frame(Event{ID: uint64(i), Type: TypeStdout, Text: strings.Repeat("é", i)})...)
	}
	for size := 1; size < 50; size++ {
		var d decoder
		n := 0
		for rest := stream; len(rest) > 0; rest = rest[min(size, len(rest)):] {
			err := d.feed(rest[:min(size, len(rest))], func(e Event) {
				if e.ID != uint64(n) || len(e.Text) != 2*n {
					t.Fatalf("event %d is %+v", n, e)
				}
				n++
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if n != 20 || len(d.buf) != 0 {
			t.Errorf("in pieces of %d: %d events, %d bytes left", size, n, len(d.buf))
		}
	}
}

// What is no frame ends the connection with a clear error.
func TestLies(t *testing.T) {
	for _, said := range []string{"\xff\xff\xff\xffxxxx", "hello, this is no frame", "\x02\x00\x00\x00{]", "\x04\x00\x00\x00null[]", "\x08\x00\x00\x00{\"id\":1"} {
		c := NewConn()
		_, err := c.Write([]byte(said))
		if said[0] == '\x04' || said[0] == '\x08' { // an empty event, or one that has not come whole
			if err != nil {
				t.Errorf("%q: %v", said, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), "protocol") {
			t.Errorf("%q: %v", said, err)
		}
		select {
		case <-c.Ended():
		default:
			t.Errorf("%q does not end the connection", said)
		}
	}
}

// Only the events of the request under way reach its taker.
func TestEvents(t *testing.T) {
	c := NewConn()
	defer c.Close(nil)
	var got []string
	call, err := c.Send(Request{Op: OpRun}, func(e Event) { got = append(got, e.Text) })
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []Event{
		{Type: TypeReady}, {Type: TypeReady}, {ID: 7, Type: TypeStdout, Text: "a stranger's"}, {ID: 1, Type: TypeStdout, Text: "mine"},
		{ID: 7, Type: TypeEnd}, {ID: 1, Type: TypeEnd, Count: 3}, {ID: 1, Type: TypeStdout, Text: "late"}, {ID: 1, Type: TypeEnd},
	} {
		if _, err := c.Write(frame(e)); err != nil {
			t.Fatal(err)
		}
	}
	if e := <-call.Done(); e.Count != 3 || fmt.Sprint(got) != "[mine]" {
		t.Errorf("the call got %v and ended with %+v", got, e)
	}
	<-c.Ready()
}

// A connection to a kernel from a snapshot finds its place, wherever the stream
// was cut.
func TestSync(t *testing.T) {
	old := frame(Event{ID: 99, Type: TypeStdout, Text: strings.Repeat("x", 300)})
	for cut := range len(old) {
		c := NewConn()
		request := c.Sync(Request{Op: OpResume})
		call, err := c.Send(request, func(Event) {})
		if err != nil {
			t.Fatal(err)
		}
		stream := append(old[cut:len(old):len(old)], []byte(fmt.Sprintf("....{\"id\":1,\"type\":\"end\",\"sync\":%q}", request.Sync))...)
		stream = append(stream, frame(Event{Type: TypeReady})...)
		if _, err := io.Copy(c, iotest.OneByteReader(strings.NewReader(string(stream)))); err != nil {
			t.Fatal(err)
		}
		<-call.Done()
		<-c.Ready() // the frame after it was understood
		c.Close(nil)
	}
}

// Why a kernel from a snapshot cannot be taken up is told.
func TestSyncTellsTheReason(t *testing.T) {
	c := NewConn()
	defer c.Close(nil)
	request := c.Sync(Request{Op: OpResume})
	done := make(chan error, 1)
	go func() {
		_, err := c.Do(t.Context(), request)
		done <- err
	}()
	if _, err := c.In.Read(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(c, "xx%s{\"id\":1,\"type\":\"end\",\"failed\":\"no entropy\",\"sync\":%q}", "....", request.Sync); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil || !strings.Contains(err.Error(), "no entropy") {
		t.Errorf("it ended with %v", err)
	}
}

func TestDoEndsWithItsContext(t *testing.T) {
	c := NewConn()
	defer c.Close(nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Do(ctx, Request{Op: OpResume}); err == nil {
		t.Error("it waited for nobody")
	}
}

// The inbox gives requests in pieces of any size, and nothing after Close.
func TestInbox(t *testing.T) {
	in := newInbox()
	in.put([]byte("abc"))
	in.put([]byte("de"))
	buf := make([]byte, 2)
	var got string
	for len(got) < 5 {
		n, err := in.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got += string(buf[:n])
	}
	in.put([]byte("x"))
	in.close()
	if _, err := in.Read(buf); got != "abcde" || err != io.EOF {
		t.Errorf("read %q, then %v", got, err)
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add(frame(Event{ID: 1, Type: TypeResult, Data: map[string]string{"text/plain": "x"}}), 3)
	f.Add([]byte("\xff\xff\xff\xff"), 1)
	f.Fuzz(func(t *testing.T, stream []byte, size int) {
		if size < 1 {
			size = 1
		}
		var d decoder
		for rest := stream; len(rest) > 0; rest = rest[min(size, len(rest)):] {
			if d.feed(rest[:min(size, len(rest))], func(Event) {}) != nil {
				return
			}
		}
		if len(d.buf) > len(stream) {
			t.Errorf("%d bytes are held of %d", len(d.buf), len(stream))
		}
	})
}
