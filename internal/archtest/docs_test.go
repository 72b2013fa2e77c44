package archtest

import (
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestVerdictsDocument wants every verdict and every error code explained.
func TestVerdictsDocument(t *testing.T) {
	text := readDoc(t, "docs/verdicts.md")
	for _, typ := range []string{"Verdict", "Code"} {
		values := constantsOf(t, "api", typ)
		if len(values) < 5 {
			t.Fatalf("found only %d constants of type api.%s", len(values), typ)
		}
		for _, v := range values {
			if !strings.Contains(text, "`"+v+"`") {
				t.Errorf("docs/verdicts.md does not explain the %s `%s`", strings.ToLower(typ), v)
			}
		}
	}
}

// TestArchitectureDocument wants every package on the map.
func TestArchitectureDocument(t *testing.T) {
	text := readDoc(t, "docs/architecture.md")
	for pkg := range arrows {
		if !strings.Contains(text, "`"+pkg+"`") {
			t.Errorf("docs/architecture.md does not name the package `%s`", pkg)
		}
	}
}

// TestDocumentsNameWhatExists wants every file and test that a document names.
func TestDocumentsNameWhatExists(t *testing.T) {
	tests := map[string]bool{}
	for _, f := range parseTree(t) {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && f.test {
				tests[fn.Name.Name] = true
			}
		}
	}
	quoted := regexp.MustCompile("`([^`\\s]+)`")
	path := regexp.MustCompile(`^(api|cmd|docs|e2e|examples|internal|scripts|templates)/[\w./-]+$`)
	for _, doc := range documents(t) {
		for _, m := range quoted.FindAllStringSubmatch(readDoc(t, doc), -1) {
			switch name := m[1]; {
			case strings.HasPrefix(name, "Test") && !tests[name]:
				t.Errorf("%s names the test %s, which does not exist", doc, name)
			case path.MatchString(name):
				if _, err := os.Stat(filepath.Join(repoRoot, name)); err != nil {
					t.Errorf("%s names %s, which does not exist", doc, name)
				}
			}
		}
	}
}

// documents lists README.md and docs/.
func documents(t *testing.T) []string {
	t.Helper()
	docs, err := filepath.Glob(filepath.Join(repoRoot, "docs", "*.md"))
	if err != nil || len(docs) < 4 {
		t.Fatalf("found the documents %v (%v)", docs, err)
	}
	list := []string{"README.md"}
	for _, d := range docs {
		list = append(list, filepath.Join("docs", filepath.Base(d)))
	}
	return list
}

func readDoc(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(repoRoot, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// constantsOf lists the string values of the constants of one type in a package.
func constantsOf(t *testing.T, pkg, typ string) []string {
	t.Helper()
	var out []string
	for _, f := range parseTree(t) {
		if f.pkg != pkg {
			continue
		}
		for _, d := range f.ast.Decls {
			gen, ok := d.(*ast.GenDecl)
			if !ok || gen.Tok != token.CONST {
				continue
			}
			for _, s := range gen.Specs {
				spec := s.(*ast.ValueSpec)
				name, ok := spec.Type.(*ast.Ident)
				if !ok || name.Name != typ {
					continue
				}
				for _, v := range spec.Values {
					text, err := strconv.Unquote(v.(*ast.BasicLit).Value)
					if err != nil {
						t.Fatal(err)
					}
					out = append(out, text)
				}
			}
		}
	}
	return out
}
