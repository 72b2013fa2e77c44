package guest

import (
	"errors"
	"fmt"
	"strconv"
	"syscall"
)

// ErrClosed is what a Client's operations return after Close.
var ErrClosed = errors.New("the connection to the guest was closed by Brig")

// GuestError is an operation that the guest refused, in the guest's words. It
// unwraps to Errno, so errors.Is(err, fs.ErrNotExist) and the like work.
type GuestError struct {
	Errno syscall.Errno
	// Text is clipped and quoted, so that it may be printed anywhere.
	Text string
}

func (e *GuestError) Error() string {
	return fmt.Sprintf("the guest refused: %s (%s)", e.Errno.Error(), e.Text)
}

// Unwrap gives the errno.
func (e *GuestError) Unwrap() error { return e.Errno }

// ProtocolError is a guest that broke the protocol. The connection has ended:
// nothing that such a guest says later is believed.
type ProtocolError struct{ Reason string }

func (e *ProtocolError) Error() string {
	return "cannot go on with the guest: because it broke the protocol: " + e.Reason
}

func protocolErrorf(format string, args ...any) *ProtocolError {
	return &ProtocolError{Reason: fmt.Sprintf(format, args...)}
}

// WriterError is an error of a writer that the caller gave for a program's
// output or a file's content: not the guest's fault and not Brig's.
type WriterError struct{ Err error }

func (e *WriterError) Error() string { return "cannot pass the guest's bytes on: " + e.Err.Error() }

// Unwrap gives the writer's own error.
func (e *WriterError) Unwrap() error { return e.Err }

// ReaderError is an error of a reader that the caller gave for a program's
// input or a file's content.
type ReaderError struct{ Err error }

func (e *ReaderError) Error() string { return "cannot read what the guest is to get: " + e.Err.Error() }

// Unwrap gives the reader's own error.
func (e *ReaderError) Unwrap() error { return e.Err }

// maxErrText bounds what is kept of a guest's error text, maxErrno what is
// believed of its number (the kernel's own bound).
const (
	maxErrText = 200
	maxErrno   = 4095
)

// decodeErr turns an ERR payload into a GuestError.
func decodeErr(payload []byte) error {
	r := NewReader(payload)
	errno, text := r.U32(), r.Bytes()
	if r.Err != nil {
		return protocolErrorf("its ERR frame has malformed fields")
	}
	if errno == 0 || errno > maxErrno {
		return protocolErrorf("its ERR frame carries the impossible errno %d", errno)
	}
	if len(text) > maxErrText {
		text = text[:maxErrText]
	}
	return &GuestError{Errno: syscall.Errno(errno), Text: strconv.QuoteToASCII(string(text))}
}
