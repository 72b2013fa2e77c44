package template

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/guest"
)

func TestRollback(t *testing.T) {
	c := open(t, t.TempDir())
	var digests []string
	for _, file := range []string{"one", "two", "three", "four"} {
		digests = append(digests, buildTar(t, c, "app", file).Digest)
	}
	means := func() string {
		t.Helper()
		tm, err := c.Resolve(t.Context(), "app")
		must(t, err)
		return tm.Digest
	}
	back := func(to string) {
		t.Helper()
		got, err := c.Rollback(t.Context(), "app", to)
		must(t, err)
		if got != means() {
			t.Errorf("rolled back to %s, and it means %s", got, means())
		}
	}
	if back(""); means() != digests[2] {
		t.Errorf("it means %s of %q", means(), digests)
	}
	if back(""); means() != digests[3] {
		t.Errorf("twice is not where it began: %s of %q", means(), digests)
	}
	if back(digests[1]); means() != digests[1] {
		t.Errorf("to a digest: %s of %q", means(), digests)
	}
	_, err := c.Rollback(t.Context(), "app", digests[0])
	wantCode(t, err, api.CodeNotFound, "brig template inspect app")
	// What is too old is gone, once no process has it; the rest stays.
	must(t, c.Close())
	c = open(t, c.dir)
	c.sweep(t.Context())
	for i, d := range digests {
		if exists(c.imagePath(d)) != (i > 0) {
			t.Errorf("image %d: there %v", i, i == 0)
		}
	}
	buildTar(t, c, "fresh")
	_, err = c.Rollback(t.Context(), "fresh", "")
	wantCode(t, err, api.CodeNotFound, "")
	// The same again is no history.
	buildTar(t, c, "fresh")
	if h, err := c.History("fresh"); err != nil || len(h) != 0 {
		t.Errorf("history %v, %v", h, err)
	}
}

func TestTag(t *testing.T) {
	c := open(t, t.TempDir())
	one, two := buildTar(t, c, "one", "1"), buildTar(t, c, "two", "2")
	must(t, c.Tag(t.Context(), "one", "stable"))
	must(t, c.Tag(t.Context(), "two", "stable"))
	h, err := c.History("stable")
	must(t, err)
	if tm, err := c.Resolve(t.Context(), "stable"); err != nil || tm.Digest != two.Digest || len(h) != 1 || h[0].Digest != one.Digest {
		t.Errorf("%v %+v, history %v", err, tm, h)
	}
	for name, to := range map[string]string{"one": "Not A Name", "none": "x", "host": "x", "two": "host"} {
		if err := c.Tag(t.Context(), name, to); err == nil || api.FixOf(err) == "" {
			t.Errorf("%s as %s: %v", name, to, err)
		}
	}
}

func TestWhatIsInUseStays(t *testing.T) {
	inUse := map[string]string{}
	used := func(o *Options) {
		o.InUse = func(context.Context) (map[string]string, error) { return inUse, nil }
	}
	data := t.TempDir()
	c := open(t, data, used)
	tm := buildTar(t, c, "mine", "1")
	inUse[tm.Digest] = "the sandbox sb-1"
	err := c.Remove(t.Context(), "mine")
	wantCode(t, err, api.CodeConflict, "remove that first")
	if !strings.Contains(err.Error(), "the sandbox sb-1") {
		t.Errorf("the error does not say what uses it: %v", err)
	}
	// An image that nothing names but a snapshot stays, and goes with it.
	for _, f := range []string{"2", "3", "4"} {
		buildTar(t, c, "mine", f)
	}
	must(t, c.Close())
	c = open(t, data, used)
	if r, err := c.Collect(t.Context(), false); err != nil || len(r.Images) != 0 || !exists(tm.Root.Image) {
		t.Errorf("%v: %+v", err, r)
	}
	clear(inUse)
	if r, err := c.Collect(t.Context(), true); err != nil || !slices.Equal(r.Images, []string{tm.Digest}) || r.Freed == 0 || !exists(tm.Root.Image) {
		t.Errorf("dry run: %v: %+v", err, r)
	}
	if r, err := c.Collect(t.Context(), false); err != nil || len(r.Images) != 1 || exists(tm.Root.Image) {
		t.Errorf("%v: %+v", err, r)
	}
}

func TestWarmScriptIsPartOfTheTemplate(t *testing.T) {
	c, d := open(t, t.TempDir()), newCounted(t)
	from := rootTar(t)
	build := func(name, script string) Template {
		t.Helper()
		tm, err := c.Build(t.Context(), name, BuildOptions{From: from, Warm: []string{"json"}, WarmScript: script}, nil)
		must(t, err)
		return tm
	}
	plain, good, bad := build("plain", ""), build("good", "write /home/user/made by the script\n"), build("bad", "stderr it broke\nexit 3\n")
	if good.Digest == plain.Digest || good.Digest == bad.Digest {
		t.Errorf("digests %s %s %s", plain.Digest, good.Digest, bad.Digest)
	}
	_, err := c.Build(t.Context(), "cold", BuildOptions{From: from, WarmScript: "x"}, nil)
	wantCode(t, err, api.CodeInvalid, "--warm json")
	if got := names(t, good.Root.Image)[warmPath]; got != "write /home/user/made by the script\n" {
		t.Errorf("the image holds %q", got)
	}
	rec, _, err := c.Inspect("good")
	must(t, err)
	if rec.WarmScript == "" {
		t.Error("the record does not have it")
	}
	// The fake's boxes do not have the image's files, so the script is not found.
	_, err = c.Snapshot(t.Context(), bad, d, OneShot, api.DefaultLimits())
	if api.CodeOf(err) != api.CodeInvalid || !strings.Contains(err.Error(), "its warm-up script ended with exit code 127") {
		t.Errorf("got %v", err)
	}
	// Templates made from it have it too, unless they have their own.
	copied, err := c.Build(t.Context(), "copied", BuildOptions{From: "good"}, nil)
	must(t, err)
	if got := names(t, copied.Root.Image)[warmPath]; got != rec.WarmScript || !copied.Warm {
		t.Errorf("a copy holds %q", got)
	}
}

func TestKernelsAreBaked(t *testing.T) {
	var asked []string
	c, d := open(t, t.TempDir(), func(o *Options) {
		o.Kernel = func(_ context.Context, client *guest.Client, env map[string]string, language string) (api.KernelRef, error) {
			asked = append(asked, language)
			if client == nil || env["HOME"] == "" {
				t.Errorf("client %v, environment %v", client, env)
			}
			return api.KernelRef{ID: "k-" + language, Language: language, PID: 7}, nil
		}
	}), newCounted(t)
	tm := buildTar(t, c, "mine")
	rec, err := c.record(tm.Digest)
	must(t, err)
	rec.Kernels = []string{"python", "javascript"}
	must(t, c.writeJSON(c.recordPath(rec.Digest), rec))
	tm.Kernels = rec.Kernels
	session, err := c.Snapshot(t.Context(), tm, d, Code, api.DefaultLimits())
	must(t, err)
	oneshot, err := c.Snapshot(t.Context(), tm, d, OneShot, api.DefaultLimits())
	must(t, err)
	if !slices.Equal(asked, rec.Kernels) {
		t.Errorf("started %q", asked)
	}
	got := Kernels(session)
	if len(got) != 2 || got[0].ID != "k-python" || !got[0].Default || got[1].Default || len(Kernels(oneshot)) != 0 || Kernels("") != nil {
		t.Errorf("kernels %+v and %+v", got, Kernels(oneshot))
	}
}
