package template

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/dockerfile"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/image"
	"github.com/brigdev/brig/internal/rootfs"
	"github.com/brigdev/brig/internal/users"
)

// doRun runs a program in a sandbox whose root filesystem is what was built so
// far.
func (w *work) doRun(ctx context.Context, tree *rootfs.Tree) (*rootfs.Tree, error) {
	b, run := w.b, w.step.Run
	if b.run == nil {
		var err error
		if b.run, err = b.c.runner(ctx, b.o); err != nil {
			return nil, err
		}
	}
	job, err := w.job(tree)
	if err != nil {
		return nil, err
	}
	img, err := b.scratchImage(ctx, tree)
	if err != nil {
		return nil, err
	}
	defer os.Remove(img.Image)
	job.Root = img
	if job.Changes, err = b.temp(); err != nil {
		return nil, err
	}
	left := int64(maxLogBytes)
	stdout := &logLines{step: b.step, stream: "stdout", emit: b.emit, left: &left}
	stderr := &logLines{step: b.step, stream: "stderr", emit: b.emit, left: &left}
	var said tail
	start := time.Now().Add(-2 * time.Second) // the sandbox's clock may be a little behind
	within, cancel := context.WithTimeoutCause(ctx, job.Limits.Timeout, fmt.Errorf("it ran longer than %s", job.Limits.Timeout))
	defer cancel()
	end, err := b.run.Run(within, job, io.MultiWriter(stdout, &said), io.MultiWriter(stderr, &said))
	stdout.flush()
	stderr.flush()
	if err := runError(ctx, within, run, end, err, said); err != nil {
		return nil, err
	}
	delta := rootfs.NewDelta(rootfs.Limits{})
	if err := delta.ApplyFile(ctx, job.Changes); err != nil {
		return nil, err
	}
	delta.ClampTimes(start)
	return delta, nil
}

// runError says how a RUN failed, with the end of its log.
func runError(ctx, within context.Context, run *dockerfile.Run, end RunEnd, err error, said tail) error {
	switch {
	case ctx.Err() != nil:
		return api.Errorf(api.CodeCancelled, "cannot go on building: %w", context.Cause(ctx))
	case within.Err() != nil:
		return api.Errorf(api.CodeInvalid, "RUN did not end: %w", context.Cause(within)).WithFix("give it longer: --timeout 2h")
	case err != nil:
		return err
	case end.OOM:
		return api.Errorf(api.CodeInvalid, "RUN was ended because it used more memory than it may").WithFix("give it more: --memory 4GiB")
	case end.Status == 0:
		return nil
	}
	e := api.Errorf(api.CodeInvalid, "RUN ended with %s: %q", statusText(end.Status), said.lastLine())
	return e.WithFix("its log is above; what came before it is cached, so mend %q and build again. If it needs a network: --allow-egress HOST", lastWord(run.Argv))
}

func lastWord(argv []string) string {
	s := strings.Join(strings.Fields(argv[len(argv)-1]), " ")
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}

// job decides as whom and with which environment a RUN runs.
func (w *work) job(tree *rootfs.Tree) (RunJob, error) {
	run := w.step.Run
	j := RunJob{Argv: run.Argv, Cwd: run.Cwd, Stdin: run.Stdin, Limits: w.b.o.limits(), Egress: w.b.o.egress()}
	who := users.Account{Home: "/root"}
	if run.User != "" {
		var err error
		if who, err = findAccount(tree, run.User); err != nil {
			return j, api.Errorf(api.CodeInvalid, "USER %s is nobody here: %w", run.User, err)
		}
	}
	j.User = api.User{UID: who.UID, GID: who.GID}
	j.Env = map[string]string{"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": who.Home}
	for _, kv := range run.Env {
		name, value, _ := strings.Cut(kv, "=")
		j.Env[name] = value
	}
	return j, nil
}

// scratchImage writes a tree and the guest's programs into an image that is only
// for one RUN.
func (b *dockerBuild) scratchImage(ctx context.Context, tree *rootfs.Tree) (root driver.RootFS, err error) {
	f, err := os.CreateTemp(b.c.scratch, "image-*")
	if err != nil {
		return root, fileError("write", b.c.scratch, err)
	}
	defer f.Close()
	w, err := image.NewWriter(f, image.Limits{})
	if err == nil {
		err = tree.WriteImage(ctx, w, keepFiles)
	}
	if err == nil {
		err = w.AddContents(ctx, b.c.skeleton(w.Has))
	}
	if err == nil {
		_, err = w.Seal()
	}
	if err != nil {
		os.Remove(f.Name())
		return root, err
	}
	return driver.RootFS{Image: f.Name()}, nil
}
