package input

import (
	"encoding/json"
	"errors"
	"io"
	"os"

	"github.com/brigdev/brig/api"
)

// sniffLines is how many lines Auto looks at for one that is a JSON object.
const sniffLines = 100

// Open opens a file or a directory. Errors: CodeInvalid when it can't be read,
// or its format can't be what was asked for.
func Open(path string, o Options) (Reader, error) {
	o = o.withDefaults()
	info, err := os.Stat(path)
	if err != nil {
		return nil, openError(path, err)
	}
	if info.IsDir() {
		if o.Format != Auto && o.Format != Dir {
			return nil, api.Errorf(api.CodeInvalid, "cannot read %s as %s: because it is a directory", path, o.Format).WithFix("give a file, or leave --format out")
		}
		return openDir(path, o)
	}
	if o.Format == Dir || !info.Mode().IsRegular() {
		return nil, api.Errorf(api.CodeInvalid, "cannot read %s: because it is not a %s", path, map[bool]string{true: "directory", false: "regular file"}[o.Format == Dir]).
			WithFix("give a JSONL file or a directory; - reads standard input")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, openError(path, err)
	}
	if o.Format == Auto {
		if o.Format, err = sniff(f, o); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return &fileReader{lines: newLines(f, o.MaxLine), file: f, options: o, parse: parserOf(o.Format)}, nil
}

// sniff decides a file's format by its first JSON object, and rewinds it.
func sniff(f *os.File, o Options) (Format, error) {
	format := Items
	l := newLines(f, o.MaxLine)
	for range sniffLines {
		b, err := l.next()
		var bad *Rejected
		if errors.As(err, &bad) {
			continue
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", err
		}
		var keys map[string]json.RawMessage
		if json.Unmarshal(b, &keys) == nil {
			format = formatOf(keys)
			break
		}
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", openError(f.Name(), err)
	}
	return format, nil
}

func formatOf(keys map[string]json.RawMessage) Format {
	has := func(k string) bool { _, ok := keys[k]; return ok }
	switch {
	case has("custom_id") && has("code"):
		return Items
	case has("custom_id") && has("response"):
		return OpenAI
	case has("custom_id") && has("result"):
		return Anthropic
	case has("task_id") && (has("test") || has("test_list")):
		return Eval
	}
	return Items
}

// parser turns one line into an item, or says why it is none; id is what could
// be read of its custom_id.
type parser func(line []byte, o Options) (it api.Item, id, reason string)

func parserOf(f Format) parser {
	switch f {
	case OpenAI:
		return parseOpenAI
	case Anthropic:
		return parseAnthropic
	case Eval:
		return parseEval
	}
	return parseItem
}

// fileReader reads a file with one record a line.
type fileReader struct {
	lines   *lines
	file    io.Closer
	options Options
	parse   parser
}

func (r *fileReader) Next() (Item, error) {
	b, err := r.lines.next()
	if err != nil {
		return Item{}, err
	}
	it, id, reason := r.parse(b, r.options)
	if reason != "" {
		return Item{}, r.lines.reject(clip(id, MaxIDBytes), "%s", reason)
	}
	return Item{Item: it, Line: r.lines.n}, nil
}

func (r *fileReader) Format() Format { return r.options.Format }
func (r *fileReader) Close() error   { return r.file.Close() }

func openError(path string, err error) error {
	code := api.CodeInvalid
	if errors.Is(err, os.ErrNotExist) {
		code = api.CodeNotFound
	}
	var pathErr *os.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	return api.Errorf(code, "cannot read %s: because %w", path, err).WithFix("give a JSONL file or a directory that you can read; - reads standard input")
}
