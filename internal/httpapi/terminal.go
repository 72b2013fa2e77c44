package httpapi

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/coder/websocket"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control"
	"github.com/brigdev/brig/internal/host"
)

// execTerminal is a login shell over a WebSocket as published clients speak it:
// binary messages are stdin and output; text messages from the client are
// {"resize":{"rows":R,"cols":C}} or {"stdin":"…"}. Its end closes the connection.
func execTerminal(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	size, err := sizeOf(r)
	if err != nil {
		return err
	}
	conn, err := s.upgrade(w, r)
	if conn == nil {
		return err
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxMessage)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	stdin, keys := io.Pipe()
	defer stdin.CloseWithError(io.ErrClosedPipe)
	req := api.ExecRequest{Argv: shellArgv(), Terminal: &size, Env: map[string]string{"TERM": "xterm-256color"}}
	run, err := sb.Start(ctx, req, host.Stdio{Stdin: stdin, Stdout: binaryWriter{ctx, conn}})
	if err != nil {
		conn.Close(websocket.StatusInternalError, clipReason(err.Error()))
		return nil
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		readTerminal(ctx, conn, run, keys)
		cancel()
	}()
	_, err = run.Wait()
	stdin.CloseWithError(io.ErrClosedPipe)
	if err != nil {
		conn.Close(websocket.StatusInternalError, clipReason(plain(err.Error())))
	} else {
		conn.Close(websocket.StatusNormalClosure, "")
	}
	<-read
	return nil
}

// shellArgv starts the best shell that the sandbox has.
func shellArgv() []string {
	return []string{"sh", "-c", "if command -v bash >/dev/null 2>&1; then exec bash -l; else exec sh -l; fi"}
}

func sizeOf(r *request) (api.Terminal, error) {
	rows, err := queryInt(r, "rows", 24)
	if err != nil {
		return api.Terminal{}, err
	}
	cols, err := queryInt(r, "cols", 80)
	if err != nil {
		return api.Terminal{}, err
	}
	if rows < 1 || cols < 1 || rows > 1000 || cols > 1000 {
		return api.Terminal{}, api.Errorf(api.CodeInvalid, "cannot make a terminal of %d rows and %d columns: because the range is 1 to 1000", rows, cols).WithFix("use 24 and 80")
	}
	return api.Terminal{Rows: uint16(rows), Cols: uint16(cols)}, nil
}

// readTerminal passes on what is typed, until the client goes away. A program that
// does not read holds up its own terminal only.
func readTerminal(ctx context.Context, conn *websocket.Conn, run *control.Running, keys *io.PipeWriter) {
	defer keys.Close()
	for {
		kind, b, err := conn.Read(ctx)
		if err != nil {
			return
		}
		if kind == websocket.MessageText {
			var c struct {
				Resize *api.Terminal `json:"resize"`
				Stdin  string        `json:"stdin"`
			}
			if json.Unmarshal(b, &c) != nil {
				continue
			}
			if c.Resize != nil {
				_ = run.Resize(ctx, *c.Resize) // too late, if it fails
			}
			b = []byte(c.Stdin)
		}
		if len(b) == 0 {
			continue
		}
		if _, err := keys.Write(b); err != nil {
			return
		}
	}
}

type binaryWriter struct {
	ctx  context.Context
	conn *websocket.Conn
}

func (w binaryWriter) Write(p []byte) (int, error) {
	if err := w.conn.Write(w.ctx, websocket.MessageBinary, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// clipReason fits a reason into a close frame.
func clipReason(s string) string {
	if len(s) > 120 {
		s = s[:120]
	}
	return strings.ToValidUTF8(s, "")
}
