package openapi

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
)

// builder collects the named types that a document refers to.
type builder struct {
	doc        Document
	components map[string]*component
	sources    *sources
	err        error // the first one
}

// component is one named type.
type component struct {
	typ    reflect.Type
	schema Schema
	// request says that a request has it: then no field has to be there.
	request bool
}

// schemas are the components as the document has them.
func (b *builder) schemas() Schema {
	out := Schema{}
	for name, c := range b.components {
		if c.request {
			delete(c.schema, "required")
		}
		out[name] = c.schema
	}
	return out
}

// schemaOf describes a type; named structs and enumerations by reference.
func (b *builder) schemaOf(t reflect.Type, request bool) Schema {
	if s, ok := b.doc.Types[t]; ok {
		return s
	}
	switch t {
	case reflect.TypeFor[time.Time]():
		return Schema{"type": "string", "format": "date-time"}
	case reflect.TypeFor[time.Duration]():
		return Schema{"type": "integer", "description": "Nanoseconds."}
	case reflect.TypeFor[[]byte]():
		return Schema{"type": "string", "contentEncoding": "base64"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return b.schemaOf(t.Elem(), request)
	case reflect.Struct:
		if t.Name() == "" {
			return b.object(t, request)
		}
		return b.reference(t, request)
	case reflect.Slice, reflect.Array:
		return Schema{"type": "array", "items": b.schemaOf(t.Elem(), request)}
	case reflect.Map:
		return Schema{"type": "object", "additionalProperties": b.schemaOf(t.Elem(), request)}
	case reflect.Interface:
		return Schema{}
	case reflect.String:
		if values := b.sources.constants(t); len(values) > 0 {
			return Schema{"type": "string", "enum": values}
		}
		return Schema{"type": "string"}
	case reflect.Bool:
		return Schema{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return Schema{"type": "number"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return Schema{"type": "integer"}
	}
	b.fail("cannot describe the type %s", t)
	return Schema{}
}

func (b *builder) fail(format string, args ...any) {
	if b.err == nil {
		b.err = fmt.Errorf(format, args...)
	}
}

// reference makes a component of a struct once.
func (b *builder) reference(t reflect.Type, request bool) Schema {
	name := exported(t.Name())
	ref := Schema{"$ref": "#/components/schemas/" + name}
	c := b.components[name]
	switch {
	case c == nil:
		c = &component{typ: t}
		b.components[name] = c
	case c.typ != t:
		b.fail("%s and %s have one name", c.typ, t)
		return ref
	case c.request || !request:
		return ref
	}
	c.request = c.request || request
	c.schema = b.object(t, request)
	if doc := b.sources.typeDoc(t); doc != "" {
		c.schema["description"] = doc
	}
	return ref
}

// exported is a Go name as a document has it: Page[path/api.File] is PageFile.
func exported(name string) string {
	name, argument, _ := strings.Cut(strings.TrimSuffix(name, "]"), "[")
	argument = argument[strings.LastIndexByte(argument, '.')+1:]
	return string(unicode.ToUpper(rune(name[0]))) + name[1:] + argument
}

// object describes a struct's fields as encoding/json has them.
func (b *builder) object(t reflect.Type, request bool) Schema {
	out := Schema{"type": "object"}
	properties, required := Schema{}, []string{}
	for _, f := range fieldsOf(t) {
		s := b.schemaOf(f.typ, request)
		if doc := b.sources.fieldDoc(f.owner, f.goName); doc != "" {
			s = described(s, doc)
		}
		properties[f.name] = s
		if !f.optional {
			required = append(required, f.name)
		}
	}
	if len(properties) > 0 {
		out["properties"] = properties
	}
	if len(required) > 0 && !request {
		slices.Sort(required)
		out["required"] = required
	}
	return out
}

// described adds a description without changing what others share.
func described(s Schema, doc string) Schema {
	out := Schema{"description": doc}
	for k, v := range s {
		if k != "description" {
			out[k] = v
		}
	}
	return out
}

// field is one JSON field of a struct.
type field struct {
	name, goName string
	owner, typ   reflect.Type
	optional     bool
}

// fieldsOf lists a struct's JSON fields; those of embedded structs come last and
// give way to others of the same name.
func fieldsOf(t reflect.Type) []field {
	var own, embedded []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			embedded = append(embedded, fieldsOf(inner)...)
		case name == "-" || !f.IsExported():
		default:
			if name == "" {
				name = f.Name
			}
			own = append(own, field{name, f.Name, t, f.Type, strings.Contains(options, "omit") || f.Type.Kind() == reflect.Pointer})
		}
	}
	for _, f := range embedded {
		if !slices.ContainsFunc(own, func(o field) bool { return o.name == f.name }) {
			own = append(own, f)
		}
	}
	return own
}
