package mcp

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/client"
)

const (
	maxRead    = 1 << 20  // bytes of one read
	maxImage   = 4 << 20  // bytes of a file that is shown as an image
	maxEntries = 1000     // names of one listing
	fileMode   = 0o644    // of a file that is written
	sniffBytes = 512      // that tell what kind of file it is
	readBytes  = 48 << 10 // of one read that does not say
)

func (t *toolset) addFiles() {
	addFor(t, &sdk.Tool{
		Name: "read_file", Annotations: readOnly("Read a file"),
		Description: "Read a file of a sandbox: text as text, an image as an image, other bytes as base64. Large files are read in parts, with offset.",
	}, readFile)
	addFor(t, &sdk.Tool{
		Name: "write_file", Annotations: changing("Write a file", true),
		Description: "Write a file in a sandbox, parent directories included; a file that is there is replaced.",
	}, writeFile)
	addFor(t, &sdk.Tool{
		Name: "list_files", Annotations: readOnly("List a directory"),
		Description: "List the names in a directory of a sandbox.",
	}, listFiles)
}

// ReadFile is what read_file takes.
type ReadFile struct {
	Target
	Path   string `json:"path" jsonschema:"absolute"`
	Offset int64  `json:"offset,omitempty" jsonschema:"where to begin, in bytes"`
	Length int64  `json:"length,omitempty" jsonschema:"how many bytes, at most 1048576; default 49152"`
}

// FileText is what read_file gives.
type FileText struct {
	Path   string `json:"path"`
	Size   int64  `json:"size" jsonschema:"of the whole file, in bytes"`
	Offset int64  `json:"offset"`
	Bytes  int    `json:"bytes" jsonschema:"that were read"`
	Text   string `json:"text,omitempty" jsonschema:"the content, if it is UTF-8"`
	Base64 string `json:"base64,omitempty" jsonschema:"the content, if it is neither UTF-8 nor an image"`
	MIME   string `json:"mime,omitempty" jsonschema:"of an image, which is among the contents"`
}

func readFile(ctx context.Context, sb *client.Sandbox, in ReadFile) (result[FileText], error) {
	if in.Offset < 0 || in.Length < 0 || in.Length > maxRead {
		return result[FileText]{}, api.Errorf(api.CodeInvalid, "cannot read %d bytes from %d: because the most is %d from 0 on", in.Length, in.Offset, maxRead).
			WithFix("read the file in parts")
	}
	info, err := sb.Files.Stat(ctx, in.Path)
	if err != nil {
		return result[FileText]{}, err
	}
	out := FileText{Path: in.Path, Size: info.Size, Offset: in.Offset}
	if in.Offset == 0 && in.Length == 0 && info.Size <= maxImage {
		head, err := readPart(ctx, sb, in.Path, 0, sniffBytes)
		if err != nil {
			return result[FileText]{}, err
		}
		if mime := http.DetectContentType(head); strings.HasPrefix(mime, "image/") {
			b, err := readPart(ctx, sb, in.Path, 0, maxImage)
			out.MIME, out.Bytes = mime, len(b)
			return result[FileText]{out, []sdk.Content{&sdk.ImageContent{Data: b, MIMEType: mime}}}, err
		}
	}
	length := in.Length
	if length == 0 {
		length = readBytes
	}
	b, err := readPart(ctx, sb, in.Path, in.Offset, length)
	if err != nil {
		return result[FileText]{}, err
	}
	out.Bytes = len(b)
	if !isText(b) {
		out.Base64 = base64.StdEncoding.EncodeToString(b)
		return result[FileText]{out: out}, nil
	}
	out.Text = strings.ToValidUTF8(string(b), "\uFFFD")
	rest := ""
	if next := in.Offset + int64(len(b)); next < info.Size {
		rest = fmt.Sprintf("[%d of %d bytes; go on at offset %d]", len(b), info.Size, next)
	}
	return result[FileText]{out, []sdk.Content{text(out.Text, rest)}}, nil
}

func readPart(ctx context.Context, sb *client.Sandbox, path string, offset, length int64) ([]byte, error) {
	body, err := sb.Files.Open(ctx, path, offset, length)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(io.LimitReader(body, length))
}

// isText tells whether b is UTF-8, but for a character that is cut at either end.
func isText(b []byte) bool {
	for range utf8.UTFMax - 1 {
		if len(b) > 0 && !utf8.RuneStart(b[0]) {
			b = b[1:]
		}
	}
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if utf8.RuneStart(b[len(b)-i]) {
			if !utf8.FullRune(b[len(b)-i:]) {
				b = b[:len(b)-i]
			}
			break
		}
	}
	return utf8.Valid(b)
}

// WriteFile is what write_file takes.
type WriteFile struct {
	Target
	Path   string `json:"path" jsonschema:"absolute"`
	Text   string `json:"text,omitempty" jsonschema:"the content as text"`
	Base64 string `json:"base64,omitempty" jsonschema:"the content as bytes, instead of text"`
}

// Written is what write_file gives.
type Written struct {
	Path  string `json:"path"`
	Bytes int    `json:"bytes"`
}

func writeFile(ctx context.Context, sb *client.Sandbox, in WriteFile) (result[Written], error) {
	content := []byte(in.Text)
	if in.Base64 != "" {
		b, err := base64.StdEncoding.DecodeString(in.Base64)
		if err != nil || in.Text != "" {
			return result[Written]{}, api.Errorf(api.CodeInvalid, "cannot write %q: because base64 is not the only content, or not base64", in.Path).
				WithFix("send text, or base64 with padding")
		}
		content = b
	}
	err := sb.Files.Write(ctx, in.Path, fileMode, strings.NewReader(string(content)))
	return result[Written]{out: Written{in.Path, len(content)}}, err
}

// ListFiles is what list_files takes.
type ListFiles struct {
	Target
	Path string `json:"path,omitempty" jsonschema:"absolute; default /work"`
}

// Listing is what list_files gives.
type Listing struct {
	Path    string  `json:"path"`
	Entries []Entry `json:"entries"`
	More    int     `json:"more,omitempty" jsonschema:"how many names were left out"`
}

// Entry is one name in a Listing.
type Entry struct {
	Name string       `json:"name"`
	Kind api.FileKind `json:"kind" jsonschema:"file, dir, symlink or other"`
	Size int64        `json:"size" jsonschema:"in bytes"`
}

func listFiles(ctx context.Context, sb *client.Sandbox, in ListFiles) (result[Listing], error) {
	if in.Path == "" {
		in.Path = api.WorkDir
	}
	list, err := sb.Files.List(ctx, in.Path)
	out := Listing{Path: in.Path, Entries: []Entry{}, More: max(0, len(list)-maxEntries)}
	for _, e := range list[:min(len(list), maxEntries)] {
		out.Entries = append(out.Entries, Entry{e.Name, e.Kind, e.Size})
	}
	return result[Listing]{out: out}, err
}
