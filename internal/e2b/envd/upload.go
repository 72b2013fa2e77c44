package envd

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

// written is one file that was uploaded.
type written struct {
	Name string `json:"name"`
	Path string `json:"path"`
	Type string `json:"type"`
}

// maxParts bounds the files of one upload.
const maxParts = 10_000

// postFiles writes files of any size, whose parents are made: the body itself, or
// the parts of a form that are called "file".
func postFiles(_ *Server, c *call) error {
	for name := range c.Header {
		if strings.HasPrefix(name, "X-Metadata-") {
			return &rpcError{codeUnimplemented, "cannot keep metadata of a file: because this server does not (leave it out)"}
		}
	}
	body, err := decoded(c)
	if err != nil {
		return err
	}
	kind, params, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	if err != nil {
		return &rpcError{codeInvalid, "cannot take the upload: because its Content-Type is not one"}
	}
	q := c.URL.Query()
	var list []written
	err = c.with(q.Get("username"), func(box host.Session, as account) (err error) {
		u := &upload{c: c, box: box, as: as, path: q.Get("path")}
		switch kind {
		case "multipart/form-data":
			err = u.form(multipart.NewReader(body, params["boundary"]))
		case "application/octet-stream":
			err = u.body(body)
		default:
			err = &rpcError{codeInvalid, "cannot take the upload: because it is neither multipart/form-data nor application/octet-stream"}
		}
		list = u.list
		return err
	})
	if err != nil {
		return err
	}
	writeJSON(c.w, http.StatusOK, list)
	return nil
}

// decoded is the body without its compression.
func decoded(c *call) (io.Reader, error) {
	switch c.Header.Get("Content-Encoding") {
	case "", "identity":
		return c.Body, nil
	case "gzip":
		z, err := gzip.NewReader(c.Body)
		if err != nil {
			return nil, &rpcError{codeInvalid, "cannot take the body: because it is not compressed with gzip as it says"}
		}
		return z, nil
	}
	return nil, &rpcError{codeInvalid, "cannot take the body: because its Content-Encoding is neither gzip nor identity"}
}

// upload is one request's files.
type upload struct {
	c    *call
	box  host.Session
	as   account
	path string // of the query, "" when it has none
	list []written
}

func (u *upload) body(r io.Reader) error {
	if u.path == "" {
		return &rpcError{codeInvalid, "cannot take the upload: because the query has no path"}
	}
	return u.put(u.path, r)
}

func (u *upload) form(parts *multipart.Reader) error {
	for n := 0; ; n++ {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) && n > 0 {
			break
		}
		if err != nil || n == maxParts {
			return &rpcError{codeInvalid, "cannot take the upload: because its form is broken, empty or has more than 10000 parts"}
		}
		if part.FormName() != "file" {
			continue
		}
		name := u.path
		if name == "" {
			name = fileName(part)
		}
		if name == "" {
			return &rpcError{codeInvalid, "cannot take the upload: because neither the query nor the part names a path"}
		}
		if err := u.put(name, part); err != nil {
			return err
		}
	}
	if len(u.list) == 0 {
		return &rpcError{codeInvalid, "cannot take the upload: because its form has no part called file"}
	}
	return nil
}

// fileName is a part's whole path, which FileName would take the directories off.
func fileName(part *multipart.Part) string {
	_, params, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	if err != nil {
		return ""
	}
	return params["filename"]
}

// put writes one file, through a symbolic link if there is one.
func (u *upload) put(name string, r io.Reader) error {
	p, err := u.as.abs(name)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(u.list, func(w written) bool { return w.Path == p }) {
		return &rpcError{codeInvalid, "cannot take the upload: because two of its files have the same path"}
	}
	to := p
	info, err := follow(u.c.Context(), u.box, p)
	switch {
	case err == nil && info.Kind == api.FileDir:
		return &rpcError{codeInvalid, "cannot write the file: because there is a directory of that name"}
	case err == nil:
		to = info.Path
	case api.CodeOf(err) != api.CodeNotFound:
		return err
	}
	if err := u.box.Put(u.c.Context(), to, 0o644, r); err != nil {
		return err
	}
	u.list = append(u.list, written{Name: path.Base(p), Path: p, Type: "file"})
	return nil
}

// readJSON reads a small body.
func readJSON(c *call, v any) error {
	b, err := io.ReadAll(http.MaxBytesReader(c.w, c.Body, 1<<20))
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		return &rpcError{codeInvalid, "cannot read the request: because it is not JSON, or larger than 1 MiB"}
	}
	return nil
}
