package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/client"
)

// readmeProgram is a program in a document and, behind it, what it prints.
var readmeProgram = regexp.MustCompile("(?s)```go\n(package main\n.*?)```\n+```text\n(.*?)```")

// TestGoReadme runs the programs of client/README.md, as they are, against a real
// server.
func TestGoReadme(t *testing.T) {
	s := service(t, "")
	text, err := os.ReadFile("../client/README.md")
	if err != nil {
		t.Fatal(err)
	}
	programs := readmeProgram.FindAllStringSubmatch(string(text), -1)
	if len(programs) < 3 {
		t.Fatalf("found %d programs", len(programs))
	}
	for _, p := range programs {
		dir := t.TempDir()
		source := filepath.Join(dir, "main.go")
		if err := os.WriteFile(source, []byte(p[1]), 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(dir, "program"), source)
		build.Dir = ".."
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		cmd := exec.CommandContext(ctx, filepath.Join(dir, "program"))
		cmd.Env = append(os.Environ(), s.env()...)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil || string(out) != p[2] {
			t.Errorf("it printed %q (%v, %s), want %q", out, err, stderr.String(), p[2])
		}
	}
}

// TestStreamResumes: a program prints 15 MB over connections that break every few
// MB, and all of it arrives, once.
func TestStreamResumes(t *testing.T) {
	s := service(t, "")
	u, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	line := &badLine{host: u.Host, after: 3 << 20}
	sb, err := client.Through(line, s.key).Sandboxes.Create(t.Context(), api.CreateRequest{Template: "python", TTLSeconds: 120})
	if err != nil {
		t.Fatal(err)
	}
	const lines = 500_000
	want := sha256.New()
	for i := range lines {
		fmt.Fprintf(want, "%d: a linë of a program\n", i)
	}
	got := sha256.New()
	code := fmt.Sprintf(`import sys
sys.stdout.reconfigure(encoding="utf-8")
for i in range(%d): print(f"{i}: a linë of a program")`, lines)
	res, err := sb.Stream(t.Context(), api.ExecRequest{Argv: []string{"python3", "-c", code}}, got, nil)
	if err != nil || res.ExitCode != 0 {
		t.Errorf("%+v, %v", res, err)
	}
	if !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
		t.Error("the output is another")
	}
	if line.cuts < 3 {
		t.Errorf("the line broke %d times: the test tests little", line.cuts)
	}
	if err := sb.Delete(t.Context()); err != nil {
		t.Error(err)
	}
}

// badLine carries requests to a server, and breaks streams of events off after some
// bytes.
type badLine struct {
	host  string
	after int
	cuts  int
}

func (l *badLine) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Host = l.host
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && strings.HasSuffix(r.URL.Path, "/exec/stream") {
		resp.Body = &cutBody{resp.Body, l, l.after}
	}
	return resp, err
}

type cutBody struct {
	io.ReadCloser
	line *badLine
	left int
}

func (b *cutBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		b.line.cuts++
		return 0, errors.New("the line is dead")
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
