package httpapi

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

// maxDirEntries bounds the listing of one directory, maxPath a path, as Linux does.
const (
	maxDirEntries = 100_000
	maxPath       = 4096
)

// pathOf reads the path that a file route is about. It has to be absolute, so that
// nobody guesses what it is relative to.
func pathOf(r *request, name string) (string, error) {
	p := r.URL.Query().Get(name)
	why := ""
	switch {
	case !path.IsAbs(p):
		why = "it is not an absolute path"
	case strings.ContainsRune(p, 0):
		why = "it has a NUL in it"
	case len(p) >= maxPath:
		why = "it is too long"
	default:
		return path.Clean(p), nil
	}
	return "", api.Errorf(api.CodeInvalid, "cannot use %s=%.100q: because %s", name, p, why).WithFix("write it like /work/data.csv")
}

// onFile runs do with the sandbox's box and the path of the query.
func (s *Server) onFile(r *request, do func(box host.Session, path string) error) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	p, err := pathOf(r, "path")
	if err != nil {
		return err
	}
	return sb.With(r.Context(), func(box host.Session) error { return do(box, p) })
}

// wroteBody says what was written.
type wroteBody struct {
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
}

// putFile writes the body, of any size, to a file whose parents are made.
func putFile(s *Server, w http.ResponseWriter, r *request) error {
	mode, err := modeOf(r)
	if err != nil {
		return err
	}
	return s.onFile(r, func(box host.Session, p string) error {
		to, err := targetOfWrite(r.Context(), box, p)
		if err != nil {
			return err
		}
		body := &counter{r: r.Body}
		if err := box.Put(r.Context(), to, mode, body); err != nil {
			return err
		}
		writeJSON(w, http.StatusOK, wroteBody{p, body.n})
		return nil
	})
}

// targetOfWrite is where writing to p goes: through symbolic links, but not to one
// that leads nowhere.
func targetOfWrite(ctx context.Context, box host.Session, p string) (string, error) {
	info, err := box.Stat(ctx, p)
	if err == nil && info.Kind == api.FileSymlink {
		info, err = host.Follow(ctx, box, p)
		return info.Path, err
	}
	return p, nil // what is wrong with it, writing will say
}

// modeOf reads ?mode=0755.
func modeOf(r *request) (fs.FileMode, error) {
	s := r.URL.Query().Get("mode")
	if s == "" {
		return 0o644, nil
	}
	n, err := strconv.ParseUint(s, 8, 32)
	if err != nil || n > 0o777 {
		return 0, api.Errorf(api.CodeInvalid, "cannot use mode=%.20q: because it is not an octal number up to 0777", s).WithFix("write it like 0755")
	}
	return fs.FileMode(n), nil
}

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// getFile sends a regular file, or the range of it that was asked for. What grows
// meanwhile is cut at the size it had; what shrinks breaks the reply off.
func getFile(s *Server, w http.ResponseWriter, r *request) error {
	return s.onFile(r, func(box host.Session, p string) error {
		info, err := host.Follow(r.Context(), box, p)
		if err != nil {
			return err
		}
		if info.Kind != api.FileRegular {
			return api.Errorf(api.CodeInvalid, "cannot read %s: because it is no regular file (kind: %s)", p, info.Kind).
				WithFix("list a directory with …/fs/dir; get one with …/fs/tar")
		}
		offset, length, partial, err := rangeOf(r.Header.Get("Range"), info.Size)
		if err != nil {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", info.Size))
			writeJSON(w, http.StatusRequestedRangeNotSatisfiable, errorBody{Error: err.Error(), Code: string(api.CodeInvalid), RequestID: w.Header().Get("X-Request-Id")})
			return nil
		}
		reply := &fileReply{w: w, size: info.Size, offset: offset, length: length, partial: partial}
		if info.Size == 0 { // as files in /proc say, whatever they hold
			reply.length, length = -1, -1
		}
		if r.Method == http.MethodHead {
			reply.begin()
			return nil
		}
		if _, err := box.Read(r.Context(), info.Path, offset, length, reply); err != nil {
			return reply.failed(err)
		}
		return reply.end()
	})
}

// fileReply writes the headers with the first byte, so that an error before it is
// an ordinary answer.
type fileReply struct {
	w              http.ResponseWriter
	size           int64
	offset, length int64 // length -1: not known
	partial        bool
	begun          bool
	sent           int64
}

func (f *fileReply) begin() {
	if f.begun {
		return
	}
	f.begun = true
	h := f.w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Accept-Ranges", "bytes")
	if f.length >= 0 {
		h.Set("Content-Length", strconv.FormatInt(f.length, 10))
	}
	status := http.StatusOK
	if f.partial {
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", f.offset, f.offset+f.length-1, f.size))
		status = http.StatusPartialContent
	}
	f.w.WriteHeader(status)
}

func (f *fileReply) Write(p []byte) (int, error) {
	f.begin()
	n, err := f.w.Write(p)
	f.sent += int64(n)
	return n, err
}

func (f *fileReply) failed(err error) error {
	if f.begun {
		return &begunError{err}
	}
	return err
}

// end breaks a reply off that is shorter than its header said.
func (f *fileReply) end() error {
	f.begin()
	if f.length >= 0 && f.sent != f.length {
		return &begunError{fmt.Errorf("the file shrank from %d bytes to %d", f.length, f.sent)}
	}
	return nil
}

// rangeOf reads a Range header with one range; several, or another unit, mean the
// whole file, as HTTP allows.
func rangeOf(header string, size int64) (offset, length int64, partial bool, err error) {
	spec, ok := strings.CutPrefix(header, "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	if !ok || !dash || strings.Contains(spec, ",") {
		return 0, size, false, nil
	}
	bad := fmt.Errorf("cannot send the range %.40q: because the file has %d bytes", header, size)
	if first == "" { // the last n bytes
		n, err := strconv.ParseInt(last, 10, 64)
		if err != nil || n <= 0 || size == 0 {
			return 0, 0, false, bad
		}
		n = min(n, size)
		return size - n, n, true, nil
	}
	from, err := strconv.ParseInt(first, 10, 64)
	if err != nil || from < 0 || from >= size {
		return 0, 0, false, bad
	}
	to := size - 1
	if last != "" {
		if to, err = strconv.ParseInt(last, 10, 64); err != nil || to < from {
			return 0, 0, false, bad
		}
	}
	return from, min(to, size-1) - from + 1, true, nil
}

// removeFile deletes a file, or a directory with all that is in it.
func removeFile(s *Server, w http.ResponseWriter, r *request) error {
	return s.onFile(r, func(box host.Session, p string) error {
		if p == "/" {
			return api.Errorf(api.CodeInvalid, "cannot remove /: because the sandbox lives in it").WithFix("delete the sandbox")
		}
		if err := box.Remove(r.Context(), p, true); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
}

// fileEntry is one name as the API tells of it.
type fileEntry struct {
	Name   string       `json:"name"`
	Path   string       `json:"path"`
	Kind   api.FileKind `json:"kind"`
	IsDir  bool         `json:"is_dir"`
	Size   int64        `json:"size"`
	Mode   string       `json:"mode"`  // octal
	MTime  float64      `json:"mtime"` // Unix seconds
	Target string       `json:"target,omitempty"`
}

func newFileEntry(dir string, f api.FileInfo) fileEntry {
	name := path.Base(f.Path)
	return fileEntry{
		Name: name, Path: path.Join(dir, name), Kind: f.Kind, IsDir: f.Kind == api.FileDir, Size: f.Size,
		Mode: fmt.Sprintf("%04o", f.Mode&0o7777), MTime: float64(f.ModTime) / 1e9, Target: f.Target,
	}
}

// dirBody is the listing of a directory.
type dirBody struct {
	Path    string      `json:"path"`
	Entries []fileEntry `json:"entries"`
}

func listDir(s *Server, w http.ResponseWriter, r *request) error {
	if r.URL.Query().Get("path") == "" {
		q := r.URL.Query()
		q.Set("path", "/")
		r.URL.RawQuery = q.Encode()
	}
	return s.onFile(r, func(box host.Session, p string) error {
		info, err := host.Follow(r.Context(), box, p)
		if err != nil {
			return err
		}
		if info.Kind != api.FileDir {
			return api.Errorf(api.CodeInvalid, "cannot list %s: because it is no directory", p).WithFix("describe it with …/fs/stat")
		}
		list, err := box.List(r.Context(), info.Path, maxDirEntries)
		if err != nil {
			return err
		}
		entries := make([]fileEntry, 0, len(list))
		for _, f := range list {
			entries = append(entries, newFileEntry(p, f))
		}
		writeJSON(w, http.StatusOK, dirBody{p, entries})
		return nil
	})
}

func statFile(s *Server, w http.ResponseWriter, r *request) error {
	return s.onFile(r, func(box host.Session, p string) error {
		info, err := box.Stat(r.Context(), p)
		if err != nil {
			return err
		}
		info.Path = p
		writeJSON(w, http.StatusOK, newFileEntry(path.Dir(p), info))
		return nil
	})
}

func makeDir(s *Server, w http.ResponseWriter, r *request) error {
	return s.onFile(r, func(box host.Session, p string) error {
		if err := box.Mkdir(r.Context(), p, 0o755); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
}

func moveFile(s *Server, w http.ResponseWriter, r *request) error {
	to, err := pathOf(r, "to")
	if err != nil {
		return err
	}
	return s.onFile(r, func(box host.Session, p string) error {
		if err := box.Rename(r.Context(), p, to); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
}
