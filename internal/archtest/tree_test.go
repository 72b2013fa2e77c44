package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/brigdev/brig/"

// repoRoot is the module's folder, seen from this package.
const repoRoot = "../.."

// goFile is one parsed file of ours.
type goFile struct {
	pkg   string // folder below the module, "internal/cli"
	path  string // "internal/cli/run.go"
	test  bool
	lines int
	fset  *token.FileSet
	ast   *ast.File
}

// generated files are not ours to shape.
func (f goFile) generated() bool { return ast.IsGenerated(f.ast) }

// imports lists the import paths of the file.
func (f goFile) imports() []string {
	var out []string
	for _, s := range f.ast.Imports {
		out = append(out, strings.Trim(s.Path.Value, `"`))
	}
	return out
}

// parseTree reads every Go file of the module, whatever its build tags.
func parseTree(t *testing.T) []goFile {
	t.Helper()
	var files []goFile
	err := filepath.WalkDir(repoRoot, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); path != repoRoot && (strings.HasPrefix(n, ".") || slices.Contains([]string{"testdata", "bin"}, n)) {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		parsed, err := parser.ParseFile(fset, path, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(repoRoot, path)
		files = append(files, goFile{
			pkg: filepath.ToSlash(filepath.Dir(rel)), path: filepath.ToSlash(rel),
			test: strings.HasSuffix(path, "_test.go"), lines: strings.Count(string(src), "\n"),
			fset: fset, ast: parsed,
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 20 {
		t.Fatalf("found only %d Go files: the walk is broken", len(files))
	}
	return files
}
