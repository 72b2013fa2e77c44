// Package openapi writes an OpenAPI 3.1 document from routes, Go types and the
// comments on those. It reads sources, so it works at development time only: the
// document is checked in, and a test of package httpapi keeps it up to date.
package openapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// Operation is one route.
type Operation struct {
	Method, Path string // the path with {names}, as net/http has it
	ID           string
	Tag          string
	Does         string  // one sentence or more
	Public       bool    // anybody may use it
	Params       []Param // beside those of the path
	// Takes and Gives are values of the types of the JSON bodies, or a Media, or nil
	// for no body.
	Takes, Gives any
	// Status is that of success; 0 is 200, or 204 when nothing is given.
	Status int
}

// Param is one value in the query, or elsewhere.
type Param struct {
	Name, Type, Does string
	In               string // query or header
	Required         bool
}

// Media is a body that is not JSON: its type, and what it is.
type Media struct{ Type, Does string }

// Document is what a Writer needs to know beside the operations.
type Document struct {
	Title, Version, Does string
	Tags                 [][2]string // name and description, in order
	Error                any         // a value of the type of an error's body
	// Types are schemas of types that say in code how they are read.
	Types map[reflect.Type]Schema
	// Root is the module's directory, and Module its path.
	Root, Module string
}

// Schema is a JSON schema, or any other object of the document.
type Schema = map[string]any

// Write gives the document, indented, with a final newline.
func Write(d Document, ops []Operation) ([]byte, error) {
	b := &builder{doc: d, components: map[string]*component{}, sources: newSources(d.Root, d.Module)}
	paths, failure := Schema{}, b.errorReply()
	ids := map[string]string{}
	for _, op := range ops {
		if other, twice := ids[op.ID]; twice || op.ID == "" {
			return nil, fmt.Errorf("%s %s: the id %q is that of %q", op.Method, op.Path, op.ID, other)
		}
		ids[op.ID] = op.Path
		path := strings.ReplaceAll(op.Path, "...}", "}")
		if paths[path] == nil {
			paths[path] = Schema{}
		}
		paths[path].(Schema)[strings.ToLower(op.Method)] = b.operation(op)
	}
	var tags []Schema
	for _, t := range d.Tags {
		tags = append(tags, Schema{"name": t[0], "description": t[1]})
	}
	out, err := json.MarshalIndent(Schema{
		"openapi": "3.1.0",
		"info":    Schema{"title": d.Title, "version": d.Version, "description": d.Does},
		"servers": []Schema{{"url": "/"}},
		"tags":    tags,
		"paths":   paths,
		"components": Schema{
			"schemas":         b.schemas(),
			"responses":       Schema{"Error": failure},
			"securitySchemes": Schema{"key": Schema{"type": "http", "scheme": "bearer", "description": "A key that 'brig key create' made."}},
		},
		"security": []Schema{{"key": []string{}}},
	}, "", "  ")
	if b.err != nil {
		return nil, b.err
	}
	return append(out, '\n'), err
}

var pathParam = regexp.MustCompile(`\{(\w+)(?:\.\.\.)?\}`)

func (b *builder) operation(op Operation) Schema {
	var params []Schema
	for _, m := range pathParam.FindAllStringSubmatch(op.Path, -1) {
		params = append(params, Schema{"name": m[1], "in": "path", "required": true, "schema": Schema{"type": "string"}})
	}
	for _, q := range op.Params {
		p := Schema{"name": q.Name, "in": q.In, "description": q.Does, "schema": Schema{"type": q.Type}}
		if q.Required {
			p["required"] = true
		}
		params = append(params, p)
	}
	out := Schema{"operationId": op.ID, "tags": []string{op.Tag}, "summary": op.Does, "responses": b.replies(op)}
	if summary, rest, ok := strings.Cut(op.Does, ". "); ok {
		out["summary"], out["description"] = summary+".", rest
	}
	if len(params) > 0 {
		out["parameters"] = params
	}
	if op.Takes != nil {
		out["requestBody"] = Schema{"content": b.content(op.Takes, true)}
	}
	if op.Public {
		out["security"] = []Schema{}
	}
	return out
}

func (b *builder) replies(op Operation) Schema {
	status := op.Status
	switch {
	case status == 0 && op.Gives == nil:
		status = http.StatusNoContent
	case status == 0:
		status = http.StatusOK
	}
	reply := Schema{"description": http.StatusText(status)}
	if m, ok := op.Gives.(Media); ok {
		reply["description"] = m.Does
	}
	if op.Gives != nil && status != http.StatusSwitchingProtocols {
		reply["content"] = b.content(op.Gives, false)
	}
	return Schema{strconv.Itoa(status): reply, "default": Schema{"$ref": "#/components/responses/Error"}}
}

func (b *builder) errorReply() Schema {
	return Schema{
		"description": "What could not be done, why, and what mends it. The status says what kind of failure it is, as code does.",
		"content":     b.content(b.doc.Error, false),
	}
}

// content describes a body, of a request or of a reply.
func (b *builder) content(v any, request bool) Schema {
	if m, ok := v.(Media); ok {
		return Schema{m.Type: Schema{"schema": Schema{"type": "string", "description": m.Does}}}
	}
	return Schema{"application/json": Schema{"schema": b.schemaOf(reflect.TypeOf(v), request)}}
}
