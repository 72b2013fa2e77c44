package fake

import (
	"time"

	"github.com/brigdev/brig/internal/guest"
)

// Fault is how one box fails. The zero value is a box that works.
type Fault struct {
	// Delay is how long Create takes, unless its context ends first.
	Delay time.Duration
	// Create is what Create returns, after Delay. Nothing is left of the box.
	Create error
	// Destroy is what the first attempt to destroy the box returns; the second
	// succeeds.
	Destroy error
	// Mute makes the agent read everything and answer nothing.
	Mute bool
	// Lie is what the agent sends in place of READY.
	Lie Lie
	// DieAfter ends the box by itself so long after Create; 0 is never.
	DieAfter time.Duration
}

// Lie is a way to break the guest protocol.
type Lie string

// The lies. A client must take each for the end of the connection.
const (
	LieLength  Lie = "length"  // a frame longer than the protocol allows
	LieType    Lie = "type"    // a frame type that does not exist
	LieStream  Lie = "stream"  // a frame on a stream that nobody opened
	LieTwice   Lie = "twice"   // the same last frame two times
	LieFields  Lie = "fields"  // fields that reach beyond their frame
	LieWindow  Lie = "window"  // stdin windows without end
	LieData    Lie = "data"    // file content that nobody asked for
	LieGarbage Lie = "garbage" // bytes that are no frames
)

// Lies lists every lie.
func Lies() []Lie {
	return []Lie{LieLength, LieType, LieStream, LieTwice, LieFields, LieWindow, LieData, LieGarbage}
}

// bytes is what the agent sends for a lie on a stream that is open.
func (l Lie) bytes(stream uint32) []byte {
	exit := guest.Frame{Type: guest.TypeExit, Stream: stream, Payload: guest.ExitReport{}.Encode()}
	switch l {
	case LieLength:
		return []byte{0xff, 0xff, 0xff, 0xff, byte(guest.TypeStdout), 1, 0, 0, 0}
	case LieType:
		return guest.AppendFrame(nil, guest.Frame{Type: 77, Stream: stream})
	case LieStream:
		return guest.AppendFrame(nil, guest.Frame{Type: guest.TypeStdout, Stream: stream + 1000})
	case LieTwice:
		return guest.AppendFrame(guest.AppendFrame(nil, exit), exit)
	case LieFields:
		return guest.AppendFrame(nil, guest.Frame{Type: guest.TypeExit, Stream: stream, Payload: []byte{0xff, 0xff, 0, 0}})
	case LieWindow:
		window := guest.Frame{Type: guest.TypeWindow, Stream: stream, Payload: guest.Fields(nil).U32(1<<32 - 1)}
		return guest.AppendFrame(nil, window)
	case LieData:
		return guest.AppendFrame(nil, guest.Frame{Type: guest.TypeData, Stream: stream, Payload: []byte("unasked")})
	}
	return []byte("HTTP/1.1 200 OK\r\nServer: not a guest at all\r\n\r\n")
}
