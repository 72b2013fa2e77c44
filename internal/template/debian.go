package template

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/image"
)

// fromDebian has mmdebstrap install packages and streams the result into the
// image. Nothing of it is ever unpacked by us.
func (c *Catalog) fromDebian(ctx context.Context, rec Record, o BuildOptions, progress func(string)) (source, error) {
	tool, err := findMmdebstrap(ctx, o, progress)
	if err != nil {
		return source{}, err
	}
	d := debian{tool: tool, packages: rec.Packages, mirrors: []string{o.Mirror}, progress: progress}
	host := readRelease("/")
	d.suite = or(o.Suite, or(host.codename, "stable"))
	if o.Mirror == "" {
		d.mirrors = host.mirrors(d.suite)
	}
	rec.Source, rec.Suite, rec.Mirror = "debian "+d.suite, d.suite, o.Mirror
	keep := keepAllBut(rec.Drop)
	return source{rec: rec, fill: func(ctx context.Context, w *image.Writer) error {
		start := time.Now()
		return d.run(ctx, c.scratch, func(ctx context.Context, r io.Reader) error {
			// What the installation itself wrote has the time of the build; the
			// packages' own files are older. Only the former would make each
			// build of the same packages another image.
			w.ClampTimes(start.Truncate(time.Second))
			return w.AddTar(ctx, r, keep)
		})
	}}, nil
}

// debian is one run of mmdebstrap.
type debian struct {
	tool     string
	suite    string
	mirrors  []string
	packages []string
	progress func(string)
}

func (d debian) args() []string {
	mode := "--mode=root"
	if os.Geteuid() != 0 {
		mode = "--mode=unshare"
	}
	args := []string{
		"--variant=essential", "--format=tar", mode, `--aptopt=Acquire::Retries "3"`,
		"--dpkgopt=force-unsafe-io", // it works in a directory that is thrown away
		"--include=" + strings.Join(d.packages, ","), d.suite, "-",
	}
	return append(args, d.mirrors...)
}

// run starts mmdebstrap and hands its output to read. When it returns, no
// process of it is left; its files are below scratch and are removed by run, or
// by whoever comes next if this process is killed.
func (d debian) run(ctx context.Context, scratch string, read func(ctx context.Context, r io.Reader) error) error {
	temp, err := buildDir(scratch)
	if err != nil {
		return fileError("make a directory in", scratch, err)
	}
	defer removeBuildDir(scratch, temp)
	running, stop := context.WithCancel(ctx)
	defer stop()
	out, feed := io.Pipe()
	cmd := exec.CommandContext(running, d.tool, d.args()...)
	cmd.Env = buildEnv(temp)
	cmd.Stdout = feed
	log := &toolLog{progress: d.progress}
	cmd.Stderr = log
	ended := make(chan error, 1)
	go func() {
		// The parent-death signal is bound to the thread that forks.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := runTool(cmd, scratch)
		if err != nil {
			// A root filesystem that is cut short must not look complete.
			feed.CloseWithError(fmt.Errorf("%w: %w", errTool, err))
		}
		feed.Close()
		ended <- err
	}()
	readErr := read(ctx, out)
	if readErr != nil {
		stop()
	} else {
		_, _ = io.Copy(io.Discard, out) // tar pads its end: cutting that off would look like a failure
	}
	out.CloseWithError(readErr) // unblocks a tool that has more to say
	runErr := <-ended
	log.flush()
	if ctx.Err() != nil {
		return api.Errorf(api.CodeCancelled, "cannot go on building: %w", context.Cause(ctx))
	}
	if runErr != nil && (readErr == nil || errors.Is(readErr, errTool)) {
		return toolError(runErr, log.failure())
	}
	return readErr
}

// errTool marks the end of a stream whose writer failed.
var errTool = errors.New("mmdebstrap failed")

func toolError(err error, said string) error {
	if errors.Is(err, syscall.EPERM) {
		return api.Errorf(api.CodeUnavailable, "cannot start mmdebstrap: because this container may make no namespaces: %w", err).
			WithFix("build outside of the container, or bring a finished root filesystem: --from rootfs.tar")
	}
	if said == "" {
		said = err.Error()
	}
	return api.Errorf(api.CodeUnavailable, "cannot install the packages: because mmdebstrap says %q", said).
		WithFix("check the network and the names of the packages, or choose other sources with --suite and --mirror")
}

// buildEnv passes on what a download needs and nothing else of our environment.
func buildEnv(temp string) []string {
	env := []string{"TMPDIR=" + temp, "LC_ALL=C.UTF-8", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive"}
	for _, name := range []string{"HOME", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// toolLog passes mmdebstrap's own lines on and remembers why it failed.
type toolLog struct {
	progress func(string)
	line     []byte
	errors   []string
}

func (t *toolLog) Write(p []byte) (int, error) {
	t.line = append(t.line, p...)
	for {
		n, line, err := bufio.ScanLines(t.line, false)
		if n == 0 || err != nil {
			break
		}
		t.say(string(line))
		t.line = t.line[n:]
	}
	if len(t.line) > 64<<10 {
		t.line = nil // no line of a log is that long
	}
	return len(p), nil
}

func (t *toolLog) flush() { t.say(string(t.line)); t.line = nil }

func (t *toolLog) say(line string) {
	switch {
	case strings.Contains(line, "tempdir"): // ours, and nobody's concern
	case strings.HasPrefix(line, "I: "):
		t.progress(strings.TrimPrefix(line, "I: "))
	case strings.HasPrefix(line, "E: ") && len(t.errors) < 20:
		t.errors = append(t.errors, strings.TrimPrefix(line, "E: "))
	}
}

// failure is the first error: the later ones are consequences.
func (t *toolLog) failure() string {
	if len(t.errors) == 0 {
		return ""
	}
	return t.errors[0]
}
