package input

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/brigdev/brig/api"
)

// dirReader reads a directory of programs in the order of their names: the
// custom_id is the path below it, the language comes from the extension. Names
// that begin with a dot are passed over. Only the names of the directories on
// the way are in memory, and one program.
type dirReader struct {
	root    *os.Root
	options Options
	levels  []level // the directories that are open, the outermost first
	n       int64
}

// level is a directory of which some names are still to come.
type level struct {
	path  string
	names []fs.DirEntry
}

func openDir(dir string, o Options) (Reader, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, openError(dir, err)
	}
	r := &dirReader{root: root, options: o}
	r.options.Format = Dir
	if err := r.enter("."); err != nil {
		return nil, errors.Join(openError(dir, err), root.Close())
	}
	return r, nil
}

func (r *dirReader) enter(dir string) error {
	names, err := fs.ReadDir(r.root.FS(), dir)
	if err == nil {
		r.levels = append(r.levels, level{dir, names})
	}
	return err
}

func (r *dirReader) Next() (Item, error) {
	for len(r.levels) > 0 {
		top := &r.levels[len(r.levels)-1]
		if len(top.names) == 0 {
			r.levels = r.levels[:len(r.levels)-1]
			continue
		}
		e := top.names[0]
		top.names = top.names[1:]
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		name := path.Join(top.path, e.Name())
		if !e.IsDir() {
			r.n++
			return r.read(name, e)
		}
		if err := r.enter(name); err != nil {
			r.n++
			return Item{}, r.reject(name, "cannot open this directory: %v", reasonOf(err))
		}
	}
	return Item{}, io.EOF
}

// read makes an item of one file.
func (r *dirReader) read(name string, e fs.DirEntry) (Item, error) {
	if !e.Type().IsRegular() {
		return Item{}, r.reject(name, "not a regular file")
	}
	if !utf8.ValidString(name) {
		return Item{}, r.reject(strings.ToValidUTF8(name, "\uFFFD"), "the name is not UTF-8")
	}
	lang, ok := Language(strings.TrimPrefix(filepath.Ext(name), "."))
	if !ok {
		return Item{}, r.reject(name, "no language has the extension %q", filepath.Ext(name))
	}
	f, err := r.root.Open(name)
	if err != nil {
		return Item{}, r.reject(name, "cannot read: %v", reasonOf(err))
	}
	defer f.Close()
	code, err := io.ReadAll(io.LimitReader(f, int64(r.options.MaxLine)+1))
	switch {
	case err != nil:
		return Item{}, r.reject(name, "cannot read: %v", reasonOf(err))
	case len(code) > r.options.MaxLine:
		return Item{}, r.reject(name, "the file is larger than the cap of %s", api.FormatBytes(int64(r.options.MaxLine)))
	case !utf8.Valid(code):
		return Item{}, r.reject(name, "not UTF-8")
	}
	it := api.Item{CustomID: name, Code: strings.TrimPrefix(string(code), "\uFEFF"), Language: lang}
	if reason := r.options.complete(&it); reason != "" {
		return Item{}, r.reject(name, "%s", reason)
	}
	return Item{Item: it, Line: r.n}, nil
}

func (r *dirReader) reject(name, format string, args ...any) *Rejected {
	return &Rejected{Line: r.n, CustomID: clip(name, MaxIDBytes), Reason: fmt.Sprintf(format, args...)}
}

// reasonOf leaves out of an error the path that is said already.
func reasonOf(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

func (r *dirReader) Format() Format { return r.options.Format }
func (r *dirReader) Close() error   { return r.root.Close() }
