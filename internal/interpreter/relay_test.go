package interpreter

import (
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/interpreter/kernel"
)

// TestStalledReader: whoever does not read what a cell says holds up neither the
// next cell of the session nor its end, and gets all of it later.
func TestStalledReader(t *testing.T) {
	k := open(t, kernel.Python, Options{})
	stalled, read := make(chan struct{}), make(chan struct{})
	var heard strings.Builder
	ended := make(chan api.CodeExecution, 1)
	go func() {
		first := true
		x, err := k.Run(t.Context(), "for i in range(2000): print('x' * 99)", RunOptions{Sink: func(e api.CodeEvent) {
			if first {
				first = false
				close(stalled)
				<-read
			}
			heard.WriteString(e.Stdout)
		}})
		if err != nil {
			t.Error(err)
		}
		ended <- x
	}()
	<-stalled
	if got := mainText(run(t, k, "6 * 7", RunOptions{})); got != "42" {
		t.Errorf("the next cell gives %q", got)
	}
	if err := k.Close(t.Context()); err != nil {
		t.Error(err)
	}
	close(read)
	if x := <-ended; heard.String() != x.Stdout || len(x.Stdout) != 200_000 {
		t.Errorf("the reader has %d bytes of %d", heard.Len(), len(x.Stdout))
	}
}

func TestJoin(t *testing.T) {
	last := api.CodeEvent{Stdout: "a"}
	for _, tt := range []struct {
		e    api.CodeEvent
		want bool
	}{
		{api.CodeEvent{Stdout: "b"}, true},
		{api.CodeEvent{Stderr: "c"}, false},
		{api.CodeEvent{Result: &api.CodeResult{}}, false},
		{api.CodeEvent{Stdout: strings.Repeat("d", relayJoin)}, false},
	} {
		if join(&last, tt.e) != tt.want {
			t.Errorf("%+v: not %v", tt.e, tt.want)
		}
	}
	if last.Stdout != "ab" {
		t.Errorf("joined: %q", last.Stdout)
	}
}
