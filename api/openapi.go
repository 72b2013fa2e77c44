package api

import _ "embed" // of the document

//go:embed openapi.json
var openAPI string

// OpenAPI is the description of the HTTP API, in JSON: OpenAPI 3.1. A server has it
// at /openapi.json.
func OpenAPI() string { return openAPI }
