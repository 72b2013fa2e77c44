package archtest

import (
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
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
