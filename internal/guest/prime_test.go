package guest

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"
)

func TestPrime(t *testing.T) {
	answer := func(f Frame) func(net.Conn) {
		return func(guest net.Conn) {
			asked, err := ReadFrame(guest, nil)
			if err == nil && asked.Type == TypePrime {
				f.Stream = asked.Stream
				guest.Write(AppendFrame(nil, f))
			}
		}
	}
	tests := map[string]struct {
		guest func(net.Conn)
		want  string // in the error, or "" for none
	}{
		"ready":             {answer(Frame{Type: TypeStarted, Payload: Fields(nil).U32(7)}), ""},
		"no interpreter":    {answer(Frame{Type: TypeErr, Payload: Fields(nil).U32(19).String("none")}), "type 131"},
		"hangs up":          {func(guest net.Conn) { ReadFrame(guest, nil); guest.Close() }, "EOF"},
		"a frame too large": {func(guest net.Conn) { ReadFrame(guest, nil); guest.Write([]byte{255, 255, 255, 255, 0, 0, 0, 0, 0}) }, "length"},
		"silent":            {func(guest net.Conn) { ReadFrame(guest, nil) }, "deadline"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			host, guest := net.Pipe()
			defer host.Close()
			defer guest.Close()
			go tt.guest(guest)
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			err := Prime(ctx, host)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
