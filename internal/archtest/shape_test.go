package archtest

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// What a reader can hold: beyond these, split.
const (
	maxFileLines = 700
	maxFuncLines = 80
)

// TestEveryPackageHasADoc wants "Package x …" in one file of each package.
func TestEveryPackageHasADoc(t *testing.T) {
	documented, onlyTests := map[string]bool{}, map[string]bool{}
	for _, f := range parseTree(t) {
		if _, seen := onlyTests[f.pkg]; !seen {
			onlyTests[f.pkg] = true
		}
		if !f.test {
			onlyTests[f.pkg] = false
		}
		doc := f.ast.Doc.Text()
		if strings.HasPrefix(doc, "Package ") || strings.HasPrefix(doc, "Command ") {
			documented[f.pkg] = true
		}
	}
	for pkg := range onlyTests {
		if !documented[pkg] {
			t.Errorf("%s has no package comment", pkg)
		}
	}
}

// TestNoInit: every init is paid by every sandbox, because the sentry is this
// same binary, and its order is invisible.
func TestNoInit(t *testing.T) {
	for _, f := range parseTree(t) {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s has func init", f.fset.Position(fn.Pos()))
			}
		}
	}
}

func TestFilesAndFunctionsAreShort(t *testing.T) {
	for _, f := range parseTree(t) {
		if f.generated() {
			continue
		}
		if f.lines > maxFileLines {
			t.Errorf("%s has %d lines, at most %d", f.path, f.lines, maxFileLines)
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || f.test {
				continue
			}
			if n := f.fset.Position(fn.End()).Line - f.fset.Position(fn.Pos()).Line + 1; n > maxFuncLines {
				t.Errorf("%s: %s has %d lines, at most %d", f.fset.Position(fn.Pos()), fn.Name.Name, n, maxFuncLines)
			}
		}
	}
}

// TestUnsafe keeps package unsafe to the few packages that need it.
func TestUnsafe(t *testing.T) {
	allowed := []string{
		"internal/doctor",               // asks KVM to run a guest
		"internal/driver/gvisor/sentry", // reaches a variable of gVisor's by linkname
		"internal/store/jetstream",      // reaches a variable of the server's by linkname
	}
	for _, f := range parseTree(t) {
		for _, imp := range f.imports() {
			if imp == "unsafe" && !slices.Contains(allowed, f.pkg) {
				t.Errorf("%s imports unsafe", f.path)
			}
		}
	}
}
