package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/client"
)

func newSandboxCpCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "cp SRC DST",
		Short: "Copy files and directories into a sandbox, or out of it",
		Long: `Copy a file or a directory into a sandbox, or out of it. One of SRC and DST is
ID:PATH; a path that is not absolute is below /work. The other is a path on this
machine, or - for stdin or stdout.

A directory is copied with all that is in it. When DST is a directory that exists,
or ends with a slash, SRC gets its own name in it. On the way out nothing is written
outside DST, whatever the sandbox says, and symbolic links that lead out of it are
left out.`,
		Example: `  brig sandbox cp data.csv ID:/work/
  brig sandbox cp ID:out ./out
  brig sandbox cp ID:/work/result.json -`,
		Args: args(2, 2, "SRC and DST"),
		RunE: func(c *cobra.Command, args []string) error {
			return runSandboxCp(c.Context(), env, args[0], args[1])
		},
	}
}

// place is one end of a copy.
type place struct {
	id   string // "" on this machine
	path string
}

// parsePlace splits ID:PATH. A path with a slash before its first colon, such as
// ./a:b, is this machine's.
func parsePlace(s string) place {
	id, p, ok := strings.Cut(s, ":")
	if !ok || id == "" || strings.ContainsAny(id, "/.") {
		return place{path: s}
	}
	slash := strings.HasSuffix(p, "/")
	p = insidePath(p)
	if slash && p != "/" {
		p += "/"
	}
	return place{id: id, path: p}
}

func runSandboxCp(ctx context.Context, env *Env, src, dst string) error {
	from, to := parsePlace(src), parsePlace(dst)
	if (from.id == "") == (to.id == "") {
		return api.Errorf(api.CodeInvalid, "cannot copy: because exactly one of SRC and DST has to be in a sandbox").
			WithFix("write it like 'brig sandbox cp data.csv ID:/work/data.csv'")
	}
	sb, err := sandboxOf(ctx, env, from.id+to.id)
	if err != nil {
		return err
	}
	p := newCopyProgress(env)
	defer p.end()
	if to.id != "" {
		return copyToSandbox(ctx, env, sb, from.path, to.path, p)
	}
	return copyFromSandbox(ctx, env, sb, from.path, to.path, p)
}

// copyToSandbox puts a file, a directory or stdin inside.
func copyToSandbox(ctx context.Context, env *Env, sb *client.Sandbox, src, dst string, p *copyProgress) error {
	if src == "-" {
		if strings.HasSuffix(dst, "/") {
			return api.Errorf(api.CodeInvalid, "cannot copy stdin to %s: because it has no name", dst).WithFix("name the file")
		}
		return sb.Files.Write(ctx, dst, 0o644, p.reader(env.Stdin))
	}
	st, err := os.Stat(src)
	if err != nil {
		return cannotRead("SRC", err)
	}
	if !st.IsDir() && !st.Mode().IsRegular() {
		return cannotCopyIn(src)
	}
	target, err := intoDir(dst, filepath.Base(filepath.Clean(src)), func(name string) (bool, error) {
		e, err := sb.Files.Stat(ctx, name)
		if api.CodeOf(err) == api.CodeNotFound && err != nil {
			return false, nil
		}
		return e.IsDir, err
	})
	if err != nil {
		return err
	}
	if st.IsDir() {
		return putDir(ctx, env, sb, src, target, p)
	}
	f, err := os.Open(src)
	if err != nil {
		return cannotRead("SRC", err)
	}
	defer f.Close()
	return sb.Files.Write(ctx, target, st.Mode().Perm(), p.reader(f))
}

// intoDir is where a copy goes: below dst when that is a directory, or is meant to
// be one.
func intoDir(dst, name string, isDir func(string) (bool, error)) (string, error) {
	if strings.HasSuffix(dst, "/") {
		return path.Join(dst, name), nil
	}
	dir, err := isDir(dst)
	if dir {
		return path.Join(dst, name), err
	}
	return dst, err
}

// copyFromSandbox fetches a file or a directory.
func copyFromSandbox(ctx context.Context, env *Env, sb *client.Sandbox, src, dst string, p *copyProgress) error {
	src = path.Clean(src)
	if dst == "-" {
		return sb.Files.ReadTo(ctx, src, p.writer(env.Stdout))
	}
	e, err := sb.Files.Stat(ctx, src)
	if err != nil {
		return err
	}
	target, err := intoDir(dst, path.Base(src), func(name string) (bool, error) {
		st, err := os.Stat(name)
		return err == nil && st.IsDir(), nil
	})
	if err != nil {
		return err
	}
	if e.IsDir {
		return getDir(ctx, env, sb, src, target, p)
	}
	root, err := os.OpenRoot(filepath.Dir(target))
	if err != nil {
		return cannotWrite(target, err)
	}
	defer root.Close()
	body, err := sb.Files.Open(ctx, src, 0, -1)
	if err != nil {
		return err
	}
	defer body.Close()
	mode := os.FileMode(0o644)
	if strings.ContainsAny(e.Mode, "1357") && len(e.Mode) == 4 && (e.Mode[1]-'0')&1 == 1 {
		mode = 0o755
	}
	return writeBeside(root, filepath.Base(target), mode, p.reader(body))
}

// writeBeside writes a file beside its name and renames it, so that a failure
// leaves what was there before. The root keeps it from leaving its directory.
func writeBeside(root *os.Root, name string, mode os.FileMode, r io.Reader) error {
	tmp := name + ".brig-part"
	_ = root.Remove(tmp) // of an earlier copy that was killed, or somebody's link
	f, err := root.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return cannotWrite(name, err)
	}
	_, err = io.Copy(f, r)
	if closed := f.Close(); err == nil && closed != nil {
		err = cannotWrite(name, closed)
	}
	if err == nil {
		if failed := root.Rename(tmp, name); failed != nil {
			err = cannotWrite(name, failed)
		}
	}
	if err != nil {
		_ = root.Remove(tmp) // the first error is the one to tell
	}
	return err
}

// leftOut names what a copy leaves out, the first few times.
type leftOut struct {
	w io.Writer
	n int
}

func (l *leftOut) add(name, why string) {
	switch l.n++; {
	case l.n <= maxSkipNotes:
		fmt.Fprintf(l.w, "brig: left out %q: %s\n", name, why)
	case l.n == maxSkipNotes+1:
		fmt.Fprintln(l.w, "brig: left out more, which is not named")
	}
}
