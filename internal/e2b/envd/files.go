package envd

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

// maxUnsized bounds a file whose size is told as 0 whatever it holds, as in /proc.
const maxUnsized = 4 << 20

// getFile sends a regular file, or the ranges of it that were asked for. It is
// compressed for a client that asks for that and nothing else; one that merely
// could take it is served faster without.
func getFile(_ *Server, c *call) error {
	q := c.URL.Query()
	return c.with(q.Get("username"), func(box host.Session, as account) error {
		p, err := as.abs(q.Get("path"))
		if err != nil {
			return err
		}
		info, err := follow(c.Context(), box, p)
		if err != nil {
			return err
		}
		if info.Kind != api.FileRegular {
			return &rpcError{codeInvalid, "cannot read the path: because it is no regular file but a " + string(info.Kind)}
		}
		h := c.w.Header()
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(p)}))
		h.Set("Vary", "Accept-Encoding")
		if c.Header.Get("Accept-Encoding") == "gzip" && c.Header.Get("Range") == "" {
			return sendCompressed(c, box, info)
		}
		return sendFile(c, box, info)
	})
}

func sendFile(c *call, box host.Session, info api.FileInfo) error {
	if info.Size == 0 {
		var b bytes.Buffer
		if _, err := box.Read(c.Context(), info.Path, 0, maxUnsized, &b); err != nil {
			return err
		}
		c.w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
		_, _ = c.w.Write(b.Bytes())
		return nil
	}
	f := &insideFile{ctx: c.Context(), box: box, path: info.Path, size: info.Size}
	http.ServeContent(c.w, c.Request, "", time.Unix(0, info.ModTime), f)
	if f.err != nil && c.Context().Err() == nil { // the status is sent: the length tells
		return &begunError{f.err}
	}
	return nil
}

func sendCompressed(c *call, box host.Session, info api.FileInfo) error {
	c.w.Header().Set("Content-Encoding", "gzip")
	if c.Method == http.MethodHead {
		return nil
	}
	z, err := gzip.NewWriterLevel(c.w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	if _, err := box.Read(c.Context(), info.Path, 0, -1, z); err != nil {
		return &begunError{err}
	}
	if err := z.Close(); err != nil {
		return &begunError{err}
	}
	return nil
}

// readAhead is how much of a file inside is read at a time.
const readAhead = 1 << 20

// insideFile reads a file inside, from wherever it is told to go to.
type insideFile struct {
	ctx  context.Context
	box  host.Session
	path string
	size int64 // that it had at first; what grows meanwhile is cut there

	at  int64
	buf bytes.Buffer // from at on
	err error        // what broke it off
}

// Seek implements io.Seeker.
func (f *insideFile) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.at
	case io.SeekEnd:
		offset += f.size
	}
	if offset < 0 {
		return 0, errors.New("a place before the file's beginning")
	}
	f.at = offset
	f.buf.Reset()
	return offset, nil
}

// Read implements io.Reader.
func (f *insideFile) Read(p []byte) (int, error) {
	if f.at >= f.size {
		return 0, io.EOF
	}
	if f.buf.Len() == 0 {
		if _, f.err = f.box.Read(f.ctx, f.path, f.at, min(readAhead, f.size-f.at), &f.buf); f.err != nil {
			return 0, f.err
		}
	}
	n, err := f.buf.Read(p)
	f.at += int64(n)
	if err != nil {
		f.err = io.ErrUnexpectedEOF // it shrank
	}
	return n, f.err
}

type composeRequest struct {
	SourcePaths []string `json:"source_paths"`
	Destination string   `json:"destination"`
	Username    string   `json:"username"`
}

// maxSources bounds the parts of one file.
const maxSources = 10_000

// composeFiles joins files that were uploaded in parts, and removes the parts. The
// destination changes at once, or not at all.
func composeFiles(_ *Server, c *call) error {
	var req composeRequest
	if err := readJSON(c, &req); err != nil {
		return err
	}
	if len(req.SourcePaths) == 0 || len(req.SourcePaths) > maxSources || req.Destination == "" {
		return &rpcError{codeInvalid, "cannot join the files: because source_paths or destination is empty, or there are more than 10000"}
	}
	return c.with(req.Username, func(box host.Session, as account) error {
		to, err := as.abs(req.Destination)
		if err != nil {
			return err
		}
		var sources []*insideFile
		for _, name := range req.SourcePaths {
			p, err := as.abs(name)
			if err != nil {
				return err
			}
			info, err := follow(c.Context(), box, p)
			if err != nil {
				return err
			}
			if info.Kind != api.FileRegular || info.Path == to {
				return &rpcError{codeInvalid, "cannot join the files: because a source is no regular file, or is the destination"}
			}
			sources = append(sources, &insideFile{ctx: c.Context(), box: box, path: info.Path, size: info.Size})
		}
		if err := join(c.Context(), box, sources, to); err != nil {
			return err
		}
		writeJSON(c.w, http.StatusOK, written{Name: path.Base(to), Path: to, Type: "file"})
		return nil
	})
}

// join reads the sources one after the other into a new file, which then takes the
// place of to.
func join(ctx context.Context, box host.Session, sources []*insideFile, to string) error {
	var readers []io.Reader
	for _, f := range sources {
		readers = append(readers, f)
	}
	part := path.Join(path.Dir(to), ".brig-part-"+strings.ToLower(rand.Text()))
	err := box.Put(ctx, part, 0o644, io.MultiReader(readers...))
	if err == nil {
		err = box.Rename(ctx, part, to)
	}
	if err != nil {
		_ = box.Remove(ctx, part, false) // what matters is why it failed
		return err
	}
	for _, f := range sources {
		if err := box.Remove(ctx, f.path, false); err != nil && api.CodeOf(err) != api.CodeNotFound { // one may be named twice
			return err
		}
	}
	return nil
}
