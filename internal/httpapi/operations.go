package httpapi

import (
	"maps"
	"strings"

	"github.com/brigdev/brig/internal/httpapi/openapi"
)

// operation describes one row of the route table for the OpenAPI document. The
// test of that wants one for every row but the missing ones.
type operation struct {
	id   string
	does string
	// takes and gives are values of the types of the JSON bodies, or another media,
	// or nil for none.
	takes, gives any
	status       int    // of success, where it is neither 200 nor 204 for no body
	query        params // beside those of the path
}

// params are "name type what it says", such as "limit integer How many at most."
// A name with a ! has to be there, and one with header: before it is a header.
type params []string

// list splits them into what the document wants.
func (p params) list() []openapi.Param {
	var out []openapi.Param
	for _, line := range p {
		words := append(strings.SplitN(line, " ", 3), "", "")
		name, required := strings.CutSuffix(words[0], "!")
		name, isHeader := strings.CutPrefix(name, "header:")
		p := openapi.Param{Name: name, Type: words[1], Does: words[2], In: "query", Required: required}
		if isHeader {
			p.In = "header"
		}
		out = append(out, p)
	}
	return out
}

// media is a body that is not JSON.
type media = openapi.Media

func bytesOf(what string) media  { return media{Type: "application/octet-stream", Does: what} }
func eventsOf(what string) media { return media{Type: "text/event-stream", Does: what} }
func textOf(what string) media   { return media{Type: "text/plain", Does: what} }

// socket is a WebSocket, after whose upgrade no body comes.
func socket(what string) media { return media{Type: "application/octet-stream", Does: what} }

// operations are those of all rows, by their patterns.
func operations() map[string]operation {
	all := map[string]operation{}
	for _, part := range []map[string]operation{
		aboutOperations(), sandboxOperations(), lifeOperations(), execOperations(), processOperations(), fileOperations(),
		snapshotOperations(), codeOperations(), portOperations(), keyOperations(), batchOperations(), buildOperations(), e2bOperations(),
	} {
		maps.Copy(all, part)
	}
	return all
}
