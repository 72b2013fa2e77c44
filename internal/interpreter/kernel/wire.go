package kernel

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
)

// Bounds of frames, in bytes. What is larger than MaxFrame is not read.
const (
	MaxCode    = 4 << 20
	MaxResults = 16 << 20
	maxFrame   = MaxResults + 1<<20
)

// The operations of a kernel.
const (
	OpRun    = "run"    // a cell: Code, Env for it alone, and how much it may say
	OpWarm   = "warm"   // the same, and its traces are removed
	OpResume = "resume" // after a restore: Seed, Env, limits; Cwd ("" = as it was)
)

// Request asks a kernel for something.
type Request struct {
	ID          uint64            `json:"id"`
	Op          string            `json:"op"`
	Code        string            `json:"code"`
	Env         map[string]string `json:"env,omitempty"`
	Cwd         string            `json:"cwd,omitempty"`
	Seed        string            `json:"seed,omitempty"`       // hex
	Sync        string            `json:"sync,omitempty"`       // see Conn.Sync
	PIDs        int               `json:"pids,omitempty"`       // limits of a kernel that was
	OpenFiles   int               `json:"open_files,omitempty"` // baked without any
	OutputBytes int64             `json:"output_bytes"`
	ResultBytes int64             `json:"result_bytes"`
}

// The types of events.
const (
	TypeReady  = "ready" // of no request: it waits for the first
	TypeStdout = "stdout"
	TypeStderr = "stderr"
	TypeResult = "result"
	TypeError  = "error"
	TypeEnd    = "end"
)

// Event is something that a kernel says.
type Event struct {
	ID   uint64            `json:"id"`
	Type string            `json:"type"`
	Text string            `json:"text"` // stdout, stderr
	Data map[string]string `json:"data"` // result
	Main bool              `json:"main"`

	Name      string `json:"name"` // error
	Value     string `json:"value"`
	Traceback string `json:"traceback"`

	Count     int    `json:"count"` // end
	Truncated bool   `json:"truncated"`
	Failed    string `json:"failed"` // why the request could not be served

	size int64
}

// Size is the event's length in bytes, as it came.
func (e Event) Size() int64 { return e.size }

func encode(r Request) ([]byte, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("cannot write a request to the kernel: %w", err)
	}
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(body))), body...), nil
}

// decoder takes events out of a stream that comes in pieces. It holds at most one
// frame, and only as much of it as has come.
type decoder struct {
	buf []byte
}

// feed adds a piece and calls on for each event that is complete. Its error is
// what the kernel did wrong, or on's.
func (d *decoder) feed(p []byte, on func(Event)) error {
	d.buf = append(d.buf, p...)
	rest := d.buf
	for len(rest) >= 4 {
		n := binary.LittleEndian.Uint32(rest)
		if n > maxFrame {
			return fmt.Errorf("it announced a frame of %d bytes, and %d are allowed", n, maxFrame)
		}
		if len(rest) < 4+int(n) {
			break
		}
		e := Event{size: int64(n)}
		if err := json.Unmarshal(rest[4:4+n], &e); err != nil {
			return fmt.Errorf("it sent a frame that is no event: %.100q", rest[4:4+n])
		}
		rest = rest[4+n:]
		on(e)
	}
	if len(rest) == 0 {
		d.buf = d.buf[:0]
		if cap(d.buf) > 1<<20 {
			d.buf = nil // a large result is no reason to keep its room
		}
		return nil
	}
	d.buf = append(d.buf[:0], rest...)
	return nil
}
