package guest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
)

func TestStartGreets(t *testing.T) {
	seed := [64]byte{1, 2, 3}
	now := time.Unix(1_800_000_000, 5)
	p, conn := listen(t, func(p *peer, f Frame) {
		p.send(TypeReady, f.Stream, Fields(nil).U32(Version).String("test"))
	})
	c, err := Start(t.Context(), conn, seed, now)
	if err != nil {
		t.Fatal(err)
	}
	if c.Err() != nil {
		t.Errorf("err %v", c.Err())
	}
	c.Close()
	r := NewReader(p.frames()[0].Payload)
	if !bytes.Equal(r.Bytes(), seed[:]) || r.U64() != uint64(now.UnixNano()) || r.Err != nil {
		t.Errorf("the START frame is %v", p.frames()[0])
	}
	<-c.Done()
	if !errors.Is(c.Err(), ErrClosed) {
		t.Errorf("after Close: %v", c.Err())
	}
	if err := c.Reset(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("an operation after Close: %v", err)
	}
}

func TestStartFails(t *testing.T) {
	ready := Fields(nil).U32(Version + 1).String("later")
	tests := []struct {
		name   string
		answer func(p *peer, f Frame)
		check  func(error) bool
	}{
		{"other version", func(p *peer, f Frame) { p.send(TypeReady, f.Stream, ready) }, func(err error) bool {
			return api.CodeOf(err) == api.CodeUnavailable && api.FixOf(err) != ""
		}},
		{"other frame", func(p *peer, f Frame) { p.send(TypeOK, f.Stream, nil) }, isProtocolError},
		{"short fields", func(p *peer, f Frame) { p.send(TypeReady, f.Stream, []byte{4, 0}) }, isProtocolError},
		{"hangs up", func(p *peer, f Frame) { p.conn.Close() }, func(err error) bool { return errors.Is(err, io.EOF) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, conn := listen(t, tt.answer)
			if _, err := Start(t.Context(), conn, [64]byte{}, time.Now()); !tt.check(err) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestStartIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, conn := listen(t, func(*peer, Frame) { cancel() })
	if _, err := Start(ctx, conn, [64]byte{}, time.Now()); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func isProtocolError(err error) bool {
	var bad *ProtocolError
	return errors.As(err, &bad)
}

func TestPut(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 2*MaxData/16+1)
	tests := []struct {
		name, content string
		reader        io.Reader
		writes        int // at most, with END
	}{
		{"empty", "", strings.NewReader(""), 1},
		{"small", "hello", strings.NewReader("hello"), 1},
		{"unknown size", "hello", struct{ io.Reader }{strings.NewReader("hello")}, 1},
		{"big", big, strings.NewReader(big), 3},
		{"one frame", big[:MaxData], bytes.NewReader([]byte(big[:MaxData])), 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, p := newPeer(t, func(p *peer, f Frame) {
				if f.Type == TypeEnd {
					p.send(TypeOK, f.Stream, nil)
				}
			})
			before := p.wrote()
			if err := c.Put(t.Context(), "/work/x", 0o7640, tt.reader); err != nil {
				t.Fatal(err)
			}
			if n := p.wrote() - before; n > tt.writes {
				t.Errorf("%d writes, want %d", n, tt.writes)
			}
			frames := p.frames()[1:]
			r := NewReader(frames[0].Payload)
			if path, mode := string(r.Bytes()), r.U32(); path != "/work/x" || mode != 0o640 {
				t.Errorf("put %q %o", path, mode)
			}
			var content strings.Builder
			for _, f := range frames[1 : len(frames)-1] {
				content.Write(f.Payload)
			}
			if content.String() != tt.content {
				t.Errorf("%d bytes arrived of %d", content.Len(), len(tt.content))
			}
		})
	}
}

func TestGuestRefuses(t *testing.T) {
	c, _ := newPeer(t, func(p *peer, f Frame) {
		if f.Type != TypePut && f.Type != TypeData && f.Type != TypeStdinEOF {
			p.send(TypeErr, f.Stream, Fields(nil).U32(uint32(syscall.ENOENT)).String("\x1b[2J"+strings.Repeat("é", 1000)))
		}
	})
	_, getErr := c.Get(t.Context(), "/x", 1, io.Discard)
	_, listErr := c.List(t.Context(), "/x", 1)
	_, execErr := c.Exec(t.Context(), ExecRequest{Argv: []string{"x"}}, Streams{})
	for what, err := range map[string]error{
		"put": c.Put(t.Context(), "/x", 0, strings.NewReader("x")), "get": getErr, "list": listErr, "exec": execErr, "reset": c.Reset(t.Context()),
	} {
		var refused *GuestError
		if !errors.As(err, &refused) || !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("%s: %v", what, err)
		}
		if len(refused.Text) > 2000 || strings.ContainsAny(refused.Text, "\x1bé") {
			t.Errorf("%s: the text is not clipped and quoted: %s", what, refused.Text)
		}
	}
	if c.Err() != nil {
		t.Errorf("refusals ended the connection: %v", c.Err())
	}
}

func TestPutReaderFails(t *testing.T) {
	c, p := newPeer(t, func(p *peer, f Frame) {
		if f.Type == TypeEnd || f.Type == TypeReset {
			p.send(TypeOK, f.Stream, nil)
		}
	})
	broken := errors.New("broken")
	err := c.Put(t.Context(), "/x", 0, io.MultiReader(strings.NewReader("abc"), errReader{broken}))
	var re *ReaderError
	if !errors.As(err, &re) || !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if f := p.frames(); f[len(f)-1].Type != TypeEnd {
		t.Errorf("the stream was not ended: %v", f)
	}
	if err := c.Reset(t.Context()); err != nil {
		t.Errorf("the connection does not work afterwards: %v", err)
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func TestGetAndList(t *testing.T) {
	c, _ := newPeer(t, func(p *peer, f Frame) {
		switch f.Type {
		case TypeGet:
			p.send(TypeEntry, f.Stream, entryOf('f', 99, "ignored"))
			p.send(TypeData, f.Stream, []byte("abc"))
			p.send(TypeData, f.Stream, []byte("def"))
			p.send(TypeEnd, f.Stream, nil)
		case TypeList:
			for i, kind := range []byte("fdlo") {
				p.send(TypeEntry, f.Stream, entryOf(kind, uint64(i), "name\xff"+string(kind)))
			}
			p.send(TypeEnd, f.Stream, nil)
		}
	})
	var got strings.Builder
	info, err := c.Get(t.Context(), "/work/x", 6, &got)
	if want := (api.FileInfo{Path: "/work/x", Kind: api.FileRegular, Size: 6, Mode: 0o644}); err != nil || info != want || got.String() != "abcdef" {
		t.Errorf("get %q, %+v, %v", got.String(), info, err)
	}
	list, err := c.List(t.Context(), "/work", 4)
	if err != nil || len(list) != 4 {
		t.Fatalf("list %+v, %v", list, err)
	}
	if want := (api.FileInfo{Path: "/work/name\xffl", Kind: api.FileSymlink, Size: 2, Mode: 0o644}); list[2] != want {
		t.Errorf("list %+v, want %+v", list[2], want)
	}
}

func TestFailingWriterLeavesTheConnectionUsable(t *testing.T) {
	c, _ := newPeer(t, func(p *peer, f Frame) {
		switch f.Type {
		case TypeGet:
			p.send(TypeEntry, f.Stream, entryOf('f', 1, ""))
			for range 100 {
				p.send(TypeData, f.Stream, make([]byte, 1000))
			}
			p.send(TypeEnd, f.Stream, nil)
		case TypeReset:
			p.send(TypeOK, f.Stream, nil)
		}
	})
	broken := errors.New("broken pipe")
	_, err := c.Get(t.Context(), "/x", 1<<20, errWriter{broken})
	var we *WriterError
	if !errors.As(err, &we) || !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if err := c.Reset(t.Context()); err != nil {
		t.Errorf("the connection does not work afterwards: %v", err)
	}
}

type errWriter struct{ err error }

func (w errWriter) Write([]byte) (int, error) { return 0, w.err }

func TestTooLongForAFrame(t *testing.T) {
	c, p := newPeer(t, nil)
	long := strings.Repeat("x", MaxFrame)
	_, execErr := c.Exec(t.Context(), ExecRequest{Argv: []string{long}}, Streams{})
	_, getErr := c.Get(t.Context(), long, 1, io.Discard)
	for _, err := range []error{execErr, getErr, c.Put(t.Context(), long, 0, strings.NewReader(""))} {
		if api.CodeOf(err) != api.CodeInvalid || api.FixOf(err) == "" {
			t.Errorf("error %v", err)
		}
	}
	if n := len(p.frames()); n != 1 {
		t.Errorf("%d frames were sent", n)
	}
}

// TestUnansweredStreamsAreBounded gives up on many operations that the guest
// never finishes.
func TestUnansweredStreamsAreBounded(t *testing.T) {
	c, _ := newPeer(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	for range maxStreams {
		st, err := c.request(ctx, TypeReset, nil, TypeOK)
		if err != nil {
			t.Fatal(err)
		}
		c.leave(st)
	}
	cancel()
	if err := c.Reset(t.Context()); api.CodeOf(err) != api.CodeExhausted {
		t.Errorf("error %v", err)
	}
}

func TestGuestThatDoesNotRead(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c, _ := newPeer(t, func(p *peer, f Frame) {
		if f.Type == TypePut {
			cancel()
			<-t.Context().Done() // stop reading; ends with the test
		}
	})
	if err := c.Put(ctx, "/x", 0, struct{ io.Reader }{strings.NewReader(strings.Repeat("x", 1<<20))}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
