package template

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
)

// TestRemoteBases: a build for somebody elsewhere starts from no file of this host,
// and asks no registry of this machine.
func TestRemoteBases(t *testing.T) {
	c := open(t, t.TempDir())
	tar := rootTar(t)
	_, err := c.Build(t.Context(), "mine", BuildOptions{From: tar}, nil)
	must(t, err)
	remote := &Remote{MayUse: func(name string) bool { return name == "mine" }, PublicOnly: true}
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "image.tar"), []byte("x"), 0o600))
	build := func(dockerfile string) error {
		_, err := c.Build(t.Context(), "app", BuildOptions{
			File: "Dockerfile", Recipe: dockerfile, Context: dir, Runner: &shell{t: t}, Remote: remote, Args: map[string]string{"B": "/etc/x.tar"},
		}, nil)
		return err
	}
	must(t, build("FROM mine\nCOPY image.tar /x"))
	for _, text := range []string{
		"FROM /etc/x.tar", "FROM ./image.tar", "FROM ../x.tar", "FROM oci:/etc/x.tar", "FROM oci:image.tar", "ARG B\nFROM ${B}",
		"FROM mine\nCOPY --from=/etc/x.tar / /", "FROM mine\nCOPY --from=./image.tar / /",
	} {
		if err := build(text); api.CodeOf(err) != api.CodeInvalid || !strings.Contains(err.Error(), "over HTTP") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := c.Build(t.Context(), "image", BuildOptions{From: "docker://127.0.0.1:1/x:y", Remote: remote}, nil); err == nil || !strings.Contains(err.Error(), "not on the public") {
		t.Errorf("a registry of this machine: %v", err)
	}
	tm, err := c.Build(t.Context(), "sent", BuildOptions{From: tar, Remote: &Remote{MayUse: remote.MayUse, Called: "an upload"}}, nil)
	must(t, err)
	if rec, _, err := c.Inspect(tm.Name); err != nil || rec.Source != "an upload" {
		t.Errorf("the record says %q, %v", rec.Source, err)
	}
}
