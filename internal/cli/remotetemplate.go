package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/client"
	"github.com/brigdev/brig/internal/dockerfile"
)

// The template commands with BRIG_API set: they are about that server's templates.

func templateLsAt(ctx context.Context, env *Env, c *client.Client) error {
	list, err := c.Templates.List(ctx)
	if err != nil {
		return err
	}
	if env.JSON {
		return writeJSON(env.Stdout, list)
	}
	t := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tSIZE\tSNAPSHOTS\tLANGUAGES\tBUILT\tWHOSE\tDIGEST")
	for _, i := range list {
		built, snapshots, whose := "-", "-", "mine"
		if !i.BuiltAt.IsZero() {
			built = i.BuiltAt.Local().Format("2006-01-02 15:04")
		}
		if i.Warm {
			snapshots = fmt.Sprint(i.Snapshots)
		}
		if i.IsGlobal {
			whose = "everybody's"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%.19s\n", i.Name, api.FormatBytes(i.SizeBytes), snapshots, strings.Join(i.Languages, " "), built, whose, i.Digest)
	}
	return t.Flush()
}

func templateInspectAt(ctx context.Context, env *Env, c *client.Client, name string) error {
	i, err := c.Templates.Get(ctx, name)
	if err != nil {
		return err
	}
	if env.JSON {
		return writeJSON(env.Stdout, i)
	}
	t := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "name\t%s\ndigest\t%s\nsize\t%s\n", i.Name, i.Digest, api.FormatBytes(i.SizeBytes))
	if !i.BuiltAt.IsZero() {
		fmt.Fprintf(t, "built\t%s\n", i.BuiltAt.Local().Format(time.DateTime))
	}
	fmt.Fprintf(t, "runs\t%s\nsnapshots\t%d\n", strings.Join(i.Languages, " "), i.Snapshots)
	return t.Flush()
}

func templateRmAt(ctx context.Context, env *Env, c *client.Client, names []string) error {
	for _, name := range names {
		if err := c.Templates.Delete(ctx, name); err != nil {
			return err
		}
		fmt.Fprintf(env.Stderr, "removed %s\n", name)
	}
	return nil
}

// templateBuildAt has a server build a template, from what is sent there.
func templateBuildAt(ctx context.Context, env *Env, c *client.Client, name string, o templateBuildOptions) error {
	req, files, err := o.remote(env, name)
	if err != nil {
		return err
	}
	b, err := c.Templates.Build(ctx, req, files)
	if err != nil {
		return err
	}
	start, id := time.Now(), b.ID
	b, err = c.Templates.BuildLog(ctx, id, true, buildEvents(env))
	switch {
	case ctx.Err() != nil:
		gone, cancel := context.WithTimeout(context.WithoutCancel(ctx), destroyTimeout)
		defer cancel()
		return errors.Join(err, c.Templates.DeleteBuild(gone, id))
	case err != nil:
		return err
	case b.Status == api.BuildFailed:
		return (&api.Error{Code: b.Code, Message: b.Error}).WithFix("%s", b.Fix)
	}
	if env.JSON {
		return writeJSON(env.Stdout, struct {
			Event string `json:"event"`
			api.Build
		}{"built", b})
	}
	fmt.Fprintf(env.Stderr, "built %s: %s, in %s\n", name, api.FormatBytes(b.Bytes), time.Since(start).Round(time.Second/10))
	return nil
}

// remote is what the flags ask of a server.
func (o *templateBuildOptions) remote(env *Env, name string) (api.BuildRequest, client.BuildFiles, error) {
	b := o.build
	req := api.BuildRequest{
		Name: name, Args: b.Args, Target: b.Target, AllowEgress: b.AllowEgress, Warm: b.Warm, WarmScript: b.WarmScript, NoBake: o.noBake,
		RunMemoryMB: int64(o.memory) >> 20, RunDiskMB: int64(o.disk) >> 20, RunTimeoutSeconds: b.Limits.Timeout.Seconds(),
	}
	for flag, is := range map[string]bool{
		"--packages": len(b.Packages) > 0, "--pip": len(b.Pip) > 0, "--npm": len(b.Npm) > 0,
		"--suite": b.Suite != "", "--mirror": b.Mirror != "", "--install-tools": b.InstallTools,
	} {
		if is {
			return req, nil, notRemote(flag)
		}
	}
	switch {
	case b.File != "" && b.From != "":
		return req, nil, api.Errorf(api.CodeInvalid, "cannot build from a Dockerfile and from something else").WithFix("say what it starts from with FROM in the Dockerfile")
	case b.File != "":
		text, err := readDockerfile(env, b.File)
		req.Dockerfile = text
		return req, contextFiles(b.Context), err
	case strings.HasPrefix(b.From, "docker://"):
		req.ImageRef = b.From
		return req, nil, nil
	case b.From == "":
		return req, nil, notRemote("a recipe")
	}
	return req, func(add func(string, io.Reader) error) error {
		if b.From == "-" {
			return add(client.RootfsFile, env.Stdin)
		}
		return addFile(add, client.RootfsFile, b.From)
	}, checkArchive(b.From)
}

// checkArchive refuses what is no file to send.
func checkArchive(from string) error {
	if st, err := os.Stat(from); from != "-" && (err != nil || !st.Mode().IsRegular()) {
		return api.Errorf(api.CodeInvalid, "cannot send %s to the server: because it is no file", from).
			WithFix("name a tar, what 'docker save' writes, or docker://IMAGE:TAG; a template is started from with FROM in a Dockerfile")
	}
	return nil
}

func addFile(add func(string, io.Reader) error, name, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return cannotRead("the build's files", err)
	}
	defer f.Close()
	return add(name, f)
}

func readDockerfile(env *Env, name string) (string, error) {
	const most = 2 << 20 // the server knows the real limit
	r := env.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", cannotRead("the Dockerfile", err)
		}
		defer f.Close()
		r = f
	}
	b, err := io.ReadAll(io.LimitReader(r, most))
	if err != nil {
		return "", cannotRead("the Dockerfile", err)
	}
	return string(b), nil
}

// contextFiles sends the regular files of a build's directory that .dockerignore
// leaves. Symbolic links are not sent.
func contextFiles(dir string) client.BuildFiles {
	return func(add func(string, io.Reader) error) error {
		if dir == "" || dir == "-" {
			return nil
		}
		rules, err := os.ReadFile(filepath.Join(dir, ".dockerignore"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return cannotRead("the .dockerignore", err)
		}
		ignore := dockerfile.ParseIgnore(rules)
		return fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return cannotRead("the build's files", err)
			}
			if !d.Type().IsRegular() || ignore.Match(name) {
				return nil
			}
			return addFile(add, name, filepath.Join(dir, name))
		})
	}
}
