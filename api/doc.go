// Package api is the vocabulary that every part of Brig speaks: sandboxes,
// limits, verdicts, results and errors. It does no I/O and imports nothing else
// of Brig, so that clients may depend on it alone.
//
// Units are in the names: Bytes, CPUs (cores), and time.Duration in Go or
// milliseconds (_ms) in JSON. Bytes that a guest produced are []byte and never
// string, because nothing says that they are UTF-8.
package api
