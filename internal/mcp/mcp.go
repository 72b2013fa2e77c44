// Package mcp offers sandboxes to language models, as tools of the Model Context
// Protocol. The tools are calls of package client, so that a model can do what its
// key can do, and is recorded and limited as any caller is. What a model is not
// given: opening a sandbox's network, keys, and other people's sandboxes.
package mcp

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/brigdev/brig/client"
)

// maxRequest bounds one message of a caller; a file to write is in one.
const maxRequest = 24 << 20

const instructions = `Run code that nobody has to trust: each sandbox is a throwaway machine with its own
files and processes, without a network, that is destroyed at its deadline.

For one snippet call run_code without sandbox_id. To keep files and variables between
calls, call create_sandbox first and pass its id. The working directory is /work. The
last expression of a cell, and every figure that it shows, comes back; figures as images.`

// Server answers callers of the protocol, each with a client of its own.
type Server struct {
	version string
	log     *slog.Logger
	schemas *sdk.SchemaCache // of the tools' types
}

// New makes a Server; version is what it tells callers of itself.
func New(version string, log *slog.Logger) *Server {
	return &Server{version: version, log: log, schemas: sdk.NewSchemaCache()}
}

// Run answers one caller over a pair of streams, a JSON message on each line, until
// in or ctx ends. It closes both.
func (s *Server) Run(ctx context.Context, c *client.Client, in io.ReadCloser, out io.WriteCloser) error {
	err := s.tools(c, "").Run(ctx, &sdk.IOTransport{Reader: in, Writer: out, MaxLineLength: maxRequest})
	if ctx.Err() != nil || errors.Is(err, io.EOF) || errors.Is(err, sdk.ErrConnectionClosed) {
		return nil
	}
	return err
}

// ServeHTTP answers one request of the streamable HTTP transport. Nothing is kept
// between requests: each brings its own key, and c is its caller's. With a sandbox
// the tools are about that one only.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request, c *client.Client, sandbox string) {
	serve := func(*http.Request) *sdk.Server { return s.tools(c, sandbox) }
	sdk.NewStreamableHTTPHandler(serve, &sdk.StreamableHTTPOptions{
		Stateless: true, Logger: s.log, MaxRequestBodyBytes: maxRequest, PropagateRequestCancellation: true,
		// Requests without a key are refused before they come here, and a browser
		// that was lured here has none.
		DisableLocalhostProtection: true,
	}).ServeHTTP(w, r)
}

// tools is a server with the tools of one caller.
func (s *Server) tools(c *client.Client, sandbox string) *sdk.Server {
	server := sdk.NewServer(
		&sdk.Implementation{Name: "brig", Title: "Brig sandboxes", Version: s.version},
		&sdk.ServerOptions{
			Instructions: instructions, Logger: s.log, SchemaCache: s.schemas,
			Capabilities: &sdk.ServerCapabilities{Tools: &sdk.ToolCapabilities{}},
		},
	)
	t := &toolset{server: server, c: c, sandbox: sandbox}
	t.addCode()
	t.addFiles()
	if sandbox == "" {
		t.addSandboxes()
	}
	return server
}
