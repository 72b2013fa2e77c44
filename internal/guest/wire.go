package guest

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Frame is one message.
type Frame struct {
	Type    Type
	Stream  uint32
	Payload []byte
}

const headerLen = 4 + 1 + 4

// AppendFrame appends the wire form of f to b.
func AppendFrame(b []byte, f Frame) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(5+len(f.Payload)))
	b = append(b, byte(f.Type))
	b = binary.LittleEndian.AppendUint32(b, f.Stream)
	return append(b, f.Payload...)
}

// ReadFrame reads one frame, reusing buf for the payload when it is large
// enough. It fails on a length outside the protocol before allocating for it.
func ReadFrame(r io.Reader, buf []byte) (Frame, error) {
	var h [headerLen]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return Frame{}, err
	}
	n := binary.LittleEndian.Uint32(h[:4])
	if n < 5 || n > MaxFrame {
		return Frame{}, protocolErrorf("it sent a frame of length %d, and 5 to %d are allowed", n, MaxFrame)
	}
	n -= 5
	if int(n) > cap(buf) {
		buf = make([]byte, n)
	}
	f := Frame{Type: Type(h[4]), Stream: binary.LittleEndian.Uint32(h[5:]), Payload: buf[:n]}
	if _, err := io.ReadFull(r, f.Payload); err != nil {
		return Frame{}, fmt.Errorf("cannot read a frame's payload: %w", err)
	}
	return f, nil
}

// Fields is a payload under construction or under inspection: a sequence of
// length-prefixed byte strings.
type Fields []byte

// Bytes appends a field.
func (p Fields) Bytes(b []byte) Fields {
	p = binary.LittleEndian.AppendUint32(p, uint32(len(b)))
	return append(p, b...)
}

// String appends a field.
func (p Fields) String(s string) Fields {
	p = binary.LittleEndian.AppendUint32(p, uint32(len(s)))
	return append(p, s...)
}

// U32 appends a field of 4 bytes.
func (p Fields) U32(v uint32) Fields {
	return p.Bytes(binary.LittleEndian.AppendUint32(nil, v))
}

// U64 appends a field of 8 bytes.
func (p Fields) U64(v uint64) Fields {
	return p.Bytes(binary.LittleEndian.AppendUint64(nil, v))
}

// Reader takes fields off a payload. The first malformed field sticks as Err,
// and everything after it reads as zero.
type Reader struct {
	rest []byte
	Err  error
}

// NewReader reads the fields of a payload.
func NewReader(payload []byte) *Reader { return &Reader{rest: payload} }

// Bytes takes the next field; it aliases the payload.
func (r *Reader) Bytes() []byte {
	if r.Err != nil {
		return nil
	}
	if len(r.rest) < 4 {
		r.Err = io.ErrUnexpectedEOF
		return nil
	}
	n := binary.LittleEndian.Uint32(r.rest)
	if uint64(n) > uint64(len(r.rest)-4) {
		r.Err = io.ErrUnexpectedEOF
		return nil
	}
	b := r.rest[4 : 4+n]
	r.rest = r.rest[4+n:]
	return b
}

// More tells whether there are more fields.
func (r *Reader) More() bool { return r.Err == nil && len(r.rest) > 0 }

// U32 takes a field of exactly 4 bytes.
func (r *Reader) U32() uint32 {
	b := r.Bytes()
	if len(b) != 4 {
		r.fail()
		return 0
	}
	return binary.LittleEndian.Uint32(b)
}

// U64 takes a field of exactly 8 bytes.
func (r *Reader) U64() uint64 {
	b := r.Bytes()
	if len(b) != 8 {
		r.fail()
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

func (r *Reader) fail() {
	if r.Err == nil {
		r.Err = io.ErrUnexpectedEOF
	}
}
