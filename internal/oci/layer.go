package oci

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"regexp"

	"github.com/klauspost/compress/zstd"

	"github.com/brigdev/brig/api"
)

// Of a layer's decompression: how many bytes may come out for each that goes in,
// after those that are free; how many may come out in all; and what a zstd
// stream may ask for as its window.
const (
	maxRatio   = 200
	freeBytes  = 256 << 20
	maxBytes   = 32 << 30
	maxWindow  = 128 << 20
	peekedSize = 64 << 10
)

// layerReader unpacks one layer, plain, gzip or zstd, and sums what comes out.
type layerReader struct {
	in    *counter
	plain io.Reader
	sum   hash.Hash
	out   int64
	end   func()
}

func newLayerReader(r io.Reader) (*layerReader, error) {
	l := &layerReader{in: &counter{r: r}, sum: sha256.New(), end: func() {}}
	src := bufio.NewReaderSize(l.in, peekedSize)
	head, _ := src.Peek(4)
	switch {
	case len(head) > 1 && head[0] == 0x1f && head[1] == 0x8b:
		z, err := gzip.NewReader(src)
		if err != nil {
			return nil, err
		}
		l.plain = z
	case string(head) == "\x28\xb5\x2f\xfd":
		z, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		l.plain, l.end = z, z.Close
	default:
		l.plain = src
	}
	return l, nil
}

func (l *layerReader) close() { l.end() }

func (l *layerReader) Read(p []byte) (int, error) {
	n, err := l.plain.Read(p)
	l.sum.Write(p[:n])
	l.out += int64(n)
	if l.out > maxBytes || l.out > freeBytes && l.out/maxRatio > l.in.n {
		return 0, api.Errorf(api.CodeInvalid, "cannot unpack the image: because a layer of %s unpacks to more than %s, as a bomb does", api.FormatBytes(l.in.n), api.FormatBytes(l.out)).
			WithFix("make the image again without files of nothing but zeros")
	}
	return n, err
}

func (l *layerReader) digest() string { return "sha256:" + hex.EncodeToString(l.sum.Sum(nil)) }

// counter counts what was read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func isDigest(s string) bool {
	return regexp.MustCompile(`^sha256:[0-9a-f]{64}$`).MatchString(s)
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Decompress unpacks a gzip or zstd stream, bounded as a layer is; any other is
// given as it is. Close it.
func Decompress(r io.Reader) (io.ReadCloser, error) {
	l, err := newLayerReader(r)
	if err != nil {
		return nil, err
	}
	return unpacked{l}, nil
}

type unpacked struct{ *layerReader }

func (u unpacked) Close() error { u.close(); return nil }
