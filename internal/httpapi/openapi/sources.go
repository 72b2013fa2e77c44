package openapi

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"unicode"
)

// sources are the comments and constants of a module's packages.
type sources struct {
	root, module string
	packages     map[string]*sourcePackage
}

// sourcePackage is what one package's files say.
type sourcePackage struct {
	types  map[string]string // comments on types
	fields map[string]string // comments on fields, by "Type.Field"
	values map[string][]string
}

func newSources(root, module string) *sources {
	return &sources{root, module, map[string]*sourcePackage{}}
}

// of reads a type's package, if it is the module's.
func (s *sources) of(t reflect.Type) *sourcePackage {
	rel, ours := strings.CutPrefix(t.PkgPath(), s.module+"/")
	if !ours {
		return &sourcePackage{}
	}
	p := s.packages[rel]
	if p == nil {
		p = readPackage(filepath.Join(s.root, rel))
		s.packages[rel] = p
	}
	return p
}

// typeDoc is the comment on a type, without its name.
func (s *sources) typeDoc(t reflect.Type) string {
	return sentence(strings.TrimPrefix(s.of(t).types[nameOf(t)], nameOf(t)+" is "))
}

// nameOf is a type's name in its source, without arguments.
func nameOf(t reflect.Type) string {
	name, _, _ := strings.Cut(t.Name(), "[")
	return name
}

// fieldDoc is the comment on, or behind, a struct's field, with fields as JSON names
// them.
func (s *sources) fieldDoc(owner reflect.Type, name string) string {
	doc := strings.TrimPrefix(s.of(owner).fields[nameOf(owner)+"."+name], name+" is ")
	for _, f := range fieldsOf(owner) {
		if strings.ContainsFunc(f.goName[1:], unicode.IsUpper) { // else it may be an ordinary word
			doc = strings.ReplaceAll(doc, f.goName, f.name)
		}
	}
	return sentence(doc)
}

// constants are the values of the constants of a type.
func (s *sources) constants(t reflect.Type) []string {
	if t.Name() == "string" {
		return nil
	}
	return s.of(t).values[t.Name()]
}

// sentence makes a comment one paragraph that begins with a capital.
func sentence(doc string) string {
	doc = strings.Join(strings.Fields(doc), " ")
	if doc == "" {
		return ""
	}
	if first, _, _ := strings.Cut(doc, " "); !strings.Contains(first, "_") { // else it is a field's name
		doc = strings.ToUpper(doc[:1]) + doc[1:]
	}
	if !strings.HasSuffix(doc, ".") {
		doc += "."
	}
	return doc
}

// readPackage parses a directory. Files that cannot be read have no comments; the
// compiler complains about those.
func readPackage(dir string) *sourcePackage {
	p := &sourcePackage{types: map[string]string{}, fields: map[string]string{}, values: map[string][]string{}}
	names, _ := filepath.Glob(filepath.Join(dir, "*.go"))
	for _, name := range names {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			continue
		}
		for _, d := range f.Decls {
			if gen, ok := d.(*ast.GenDecl); ok {
				p.add(gen)
			}
		}
	}
	return p
}

func (p *sourcePackage) add(gen *ast.GenDecl) {
	for _, spec := range gen.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			doc := spec.Doc
			if doc == nil {
				doc = gen.Doc
			}
			p.types[spec.Name.Name] = doc.Text()
			if st, ok := spec.Type.(*ast.StructType); ok {
				p.addFields(spec.Name.Name, st)
			}
		case *ast.ValueSpec:
			typ, ok := spec.Type.(*ast.Ident)
			if !ok || gen.Tok != token.CONST {
				continue
			}
			for _, v := range spec.Values {
				if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					text, _ := strconv.Unquote(lit.Value) // it was parsed
					p.values[typ.Name] = append(p.values[typ.Name], text)
				}
			}
		}
	}
}

func (p *sourcePackage) addFields(typ string, st *ast.StructType) {
	for _, f := range st.Fields.List {
		doc := f.Doc.Text()
		if doc == "" {
			doc = f.Comment.Text()
		}
		for _, name := range f.Names {
			p.fields[typ+"."+name.Name] = doc
		}
	}
}
