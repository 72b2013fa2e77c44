package guest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
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
	c, err := Start(t.Context(), conn, seed, now, Identity{Hostname: "h", MachineID: "m"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Err() != nil {
		t.Errorf("err %v", c.Err())
	}
	c.Close()
	r := NewReader(p.frames()[0].Payload)
	if !bytes.Equal(r.Bytes(), seed[:]) || r.U64() != uint64(now.UnixNano()) || string(r.Bytes()) != "h" || string(r.Bytes()) != "m" || r.Err != nil {
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
		{"refuses", func(p *peer, f Frame) { p.send(TypeErr, f.Stream, Fields(nil).U32(1).String("name")) }, func(err error) bool {
			return errors.Is(err, fs.ErrPermission)
		}},
		{"hangs up", func(p *peer, f Frame) { p.conn.Close() }, func(err error) bool { return errors.Is(err, io.EOF) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, conn := listen(t, tt.answer)
			if _, err := Start(t.Context(), conn, [64]byte{}, time.Now(), Identity{}); !tt.check(err) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestStartIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, conn := listen(t, func(*peer, Frame) { cancel() })
	if _, err := Start(ctx, conn, [64]byte{}, time.Now(), Identity{}); !errors.Is(err, context.Canceled) {
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
	_, statErr := c.Stat(t.Context(), "/x")
	_, readErr := c.Read(t.Context(), "/x", 0, -1, io.Discard)
	_, listErr := c.List(t.Context(), "/x", 1)
	_, execErr := c.Exec(t.Context(), ExecRequest{Argv: []string{"x"}}, Streams{})
	for what, err := range map[string]error{
		"mkdir": c.Mkdir(t.Context(), "/x", 0), "remove": c.Remove(t.Context(), "/x", true), "rename": c.Rename(t.Context(), "/x", "/y"),
		"symlink": c.Symlink(t.Context(), "y", "/x"), "stat": statErr, "read": readErr, "thaw": c.Thaw(t.Context()),
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
	if want := (api.FileInfo{Path: "/work/x", Kind: api.FileRegular, Size: 6, Mode: 0o644, ModTime: 5}); err != nil || info != want || got.String() != "abcdef" {
		t.Errorf("get %q, %+v, %v", got.String(), info, err)
	}
	list, err := c.List(t.Context(), "/work", 4)
	if err != nil || len(list) != 4 {
		t.Fatalf("list %+v, %v", list, err)
	}
	if want := (api.FileInfo{Path: "/work/name\xffl", Kind: api.FileSymlink, Size: 2, Mode: 0o644, ModTime: 5}); list[2] != want {
		t.Errorf("list %+v, want %+v", list[2], want)
	}
}

// TestRead reads ranges of a file of more than one piece.
func TestRead(t *testing.T) {
	file := strings.Repeat("0123456789abcdef", (2*piece+piece/2)/16)
	c, p := newPeer(t, func(p *peer, f Frame) {
		r := NewReader(f.Payload)
		r.Bytes()
		at, n := r.U64(), r.U64()
		p.send(TypeEntry, f.Stream, entryOf('f', uint64(len(file)), ""))
		at = min(at, uint64(len(file)))
		for rest := file[at:min(at+n, uint64(len(file)))]; rest != ""; {
			k := min(len(rest), MaxData)
			p.send(TypeData, f.Stream, []byte(rest[:k]))
			rest = rest[k:]
		}
		p.send(TypeEnd, f.Stream, nil)
	})
	for _, tt := range []struct{ offset, limit, from, to int64 }{
		{0, -1, 0, 5 * piece / 2},
		{0, 0, 0, 0},
		{3, 10, 3, 13},
		{piece - 1, piece + 5, piece - 1, 2*piece + 4},
		{piece, piece, piece, 2 * piece},
		{2 * piece, -1, 2 * piece, 5 * piece / 2},
		{9 * piece, -1, 0, 0},
	} {
		var got strings.Builder
		before := len(p.frames())
		info, err := c.Read(t.Context(), "/work/x", tt.offset, tt.limit, &got)
		want := api.FileInfo{Path: "/work/x", Kind: api.FileRegular, Size: int64(len(file)), Mode: 0o644, ModTime: 5}
		if err != nil || info != want || got.String() != file[tt.from:tt.to] {
			t.Errorf("%+v: %d bytes, %+v, %v", tt, got.Len(), info, err)
		}
		if n := len(p.frames()) - before; int64(n) > 1+(tt.to-tt.from)/piece {
			t.Errorf("%+v: %d requests", tt, n)
		}
	}
	if _, err := c.Read(t.Context(), "/work/x", -1, 1, io.Discard); api.CodeOf(err) != api.CodeInvalid {
		t.Errorf("a negative offset: %v", err)
	}
}

func TestStat(t *testing.T) {
	c, _ := newPeer(t, func(p *peer, f Frame) {
		p.send(TypeEntry, f.Stream, Fields(nil).Bytes([]byte("l")).U64(3).U32(0o777).String("x").U64(9).String("/else"))
		p.send(TypeEnd, f.Stream, nil)
	})
	info, err := c.Stat(t.Context(), "/work/x")
	if want := (api.FileInfo{Path: "/work/x", Kind: api.FileSymlink, Size: 3, Mode: 0o777, ModTime: 9, Target: "/else"}); err != nil || info != want {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestChanges(t *testing.T) {
	c, p := newPeer(t, func(p *peer, f Frame) { p.send(TypeOK, f.Stream, nil) })
	ctx := t.Context()
	for _, tt := range []struct {
		err     error
		typ     Type
		payload Fields
	}{
		{c.Mkdir(ctx, "/a", fs.ModeDir|0o1750), TypeMkdir, Fields(nil).String("/a").U32(0o750)},
		{c.Remove(ctx, "/a", false), TypeRemove, Fields(nil).String("/a").U32(0)},
		{c.Remove(ctx, "/b", true), TypeRemove, Fields(nil).String("/b").U32(1)},
		{c.Rename(ctx, "/a", "/b"), TypeRename, Fields(nil).String("/a").String("/b")},
		{c.Symlink(ctx, "to", "/l"), TypeSymlink, Fields(nil).String("to").String("/l")},
	} {
		if tt.err != nil || !slices.ContainsFunc(p.frames(), func(f Frame) bool { return f.Type == tt.typ && bytes.Equal(f.Payload, tt.payload) }) {
			t.Errorf("type %d, %x: %v", tt.typ, tt.payload, tt.err)
		}
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
