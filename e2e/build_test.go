package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// built is what a build says of itself with --json: an event a line.
type built struct {
	Event  string `json:"event"`
	Text   string `json:"text"`
	Stream string `json:"stream"`
	Step   int    `json:"step"`
	Line   int    `json:"line"`
	Cached bool   `json:"cached"`
	Digest string `json:"digest"` // of the template in the last event
}

func events(t *testing.T, o output) []built {
	t.Helper()
	var list []built
	for line := range strings.Lines(o.stdout) {
		var e built
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		list = append(list, e)
	}
	return list
}

func count(list []built, is func(e built) bool) (n int) {
	for _, e := range list {
		if is(e) {
			n++
		}
	}
	return n
}

// dockerfile is one of twelve instructions whose RUNs change files in all ways.
// The first RUN draws a number, so that no other build has its layers: what is
// cached was cached by this test.
const dockerfile = `FROM python
ARG ID=0
ENV GREETING="hello $ID"
WORKDIR /app
COPY main.py .
RUN python3 -c "print($ID)" > id.txt && rm /usr/bin/sort && mkdir -p a/b && echo 1 > a/b/old && ln -s b a/link && ln a/b/old a/hard
RUN test ! -e /usr/bin/sort && rm -r a/b && mkdir a/b && echo "$GREETING" > a/b/new && head -c 3000000 /dev/zero > big && (sleep 1000 &)
COPY --chown=1000:1000 data /data/
USER user
RUN test "$(id -u)" = 1000 && test ! -e a/b/old && test "$(cat a/hard)" = 1 && cat /data/x > /work/mine
ENTRYPOINT ["python3"]
CMD ["main.py"]
`

// buildDir is a directory with that Dockerfile, and its own state directory.
func buildDir(t *testing.T) (file, state string) {
	t.Helper()
	dir := t.TempDir()
	for name, data := range map[string]string{"Dockerfile": dockerfile, "main.py": "print(open('/app/a/b/new').read())", "data/x": "data"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	state = filepath.Join(dir, "state")
	t.Setenv("BRIG_STATE", state)
	return filepath.Join(dir, "Dockerfile"), state
}

// build starts a build whose cache is its own.
func build(t *testing.T, name, file, id string, more ...string) output {
	t.Helper()
	return run(t, "", append([]string{"template", "build", name, "--file", file, "--build-arg", "ID=" + id, "--no-bake", "--json"}, more...)...)
}

func TestDockerfileTwice(t *testing.T) {
	needPython(t)
	file, _ := buildDir(t)
	name, id := fmt.Sprintf("e2e-twice-%d", os.Getpid()), fmt.Sprint(os.Getpid())
	defer run(t, "", "template", "rm", name)
	first := build(t, name, file, id)
	if first.code != 0 {
		t.Fatal(first.stdout, first.stderr)
	}
	second := build(t, name, file, id)
	a, b := events(t, first), events(t, second)
	if last := b[len(b)-1]; last.Event != "built" || last.Digest != a[len(a)-1].Digest {
		t.Errorf("digests %s and %s", a[len(a)-1].Digest, last.Digest)
	}
	done := func(e built) bool { return e.Event == "done" }
	hit := func(e built) bool { return e.Event == "done" && e.Cached }
	// What comes before the first RUN may be known from another run of this test.
	if count(a, done) != 6 || count(a, hit) > 2 || count(b, hit) != 6 {
		t.Errorf("%d steps, %d cached at first, %d then", count(a, done), count(a, hit), count(b, hit))
	}
	script := `cat /app/id.txt /app/a/b/new /work/mine; wc -c < /app/big; readlink /app/a/link; ls /app/a/b; stat -c %u /data/x; ls /usr/bin/sort; echo "$GREETING"; cat /etc/hostname /etc/resolv.conf`
	o := run(t, "", "run", "--template", name, "--", "sh", "-c", script)
	want := fmt.Sprintf("%s\nhello %s\ndata3000000\nb\nnew\n1000\nhello %s\n", id, id, id)
	if o.stdout != want {
		t.Errorf("inside: %q, want %q (%s)", o.stdout, want, o.stderr)
	}
}

func TestDockerfileThatFails(t *testing.T) {
	needPython(t)
	file, _ := buildDir(t)
	text := "FROM python\nRUN true\nRUN echo to the log && \\\n    python3 -c 'import nothing_of_that_name'\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	o := build(t, "e2e-fails", file, "0")
	list := events(t, o)
	if o.code != 2 || !strings.Contains(o.stderr, "line 3: RUN ended with exit code 1") || !strings.Contains(o.stderr, "nothing_of_that_name") {
		t.Errorf("exit code %d: %s", o.code, o.stderr)
	}
	if n := count(list, func(e built) bool { return e.Event == "log" && e.Text == "to the log" && e.Stream == "stdout" }); n != 1 {
		t.Errorf("the log: %s", o.stdout)
	}
	if o := run(t, "", "template", "inspect", "e2e-fails"); o.code == 0 {
		t.Error("a template is there")
	}
}

// TestKilledBuild kills a build with SIGKILL at its steps: nothing is left of it,
// and the last build takes from the cache all that was finished.
func TestKilledBuild(t *testing.T) {
	needPython(t)
	file, state := buildDir(t)
	name, id := fmt.Sprintf("e2e-killed-%d", os.Getpid()), "1"+fmt.Sprint(os.Getpid())
	defer run(t, "", "template", "rm", name)
	run(t, "", "run", "--template", "python", "--", "true")
	before := census(t, state)
	finished := 0
	for _, at := range []string{"step 1", "step 3", "done 3", "step 4", "done 5", "step 6"} {
		cmd := brig(t.Context(), "template", "build", name, "--file", file, "--build-arg", "ID="+id, "--no-bake", "--json")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		cached := 0
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var e built
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
				t.Fatalf("%q: %v", lines.Text(), err)
			}
			if e.Event == "done" && e.Cached {
				cached++
			}
			if e.Event == "done" {
				finished = max(finished, e.Step)
			}
			if fmt.Sprintf("%s %d", e.Event, e.Step) == at {
				_ = cmd.Process.Kill()
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Fatalf("%s: it was not killed", at)
		}
		if o := run(t, "", "template", "inspect", name); o.code == 0 {
			t.Errorf("%s: a template is there", at)
		}
		if o := run(t, "", "gc"); o.code != 0 {
			t.Errorf("%s: gc: %s", at, o.stderr)
		}
		if after := census(t, state); !slices.Equal(before, after) {
			t.Errorf("%s: left behind: %v", at, difference(after, before))
		}
	}
	list := events(t, build(t, name, file, id))
	if n := count(list, func(e built) bool { return e.Event == "done" && e.Cached }); n < finished || list[len(list)-1].Event != "built" {
		t.Errorf("%d steps from the cache and %d were finished: %+v", n, finished, list)
	}
}

// TestRunAsUser: RUN runs as whom USER means, and what it makes is that user's.
func TestRunAsUser(t *testing.T) {
	needPython(t)
	file, _ := buildDir(t)
	const text = `FROM python
ARG ID
RUN echo app:x:33:34:app:/srv/app:/bin/sh >> /etc/passwd
USER app
WORKDIR /srv
RUN test "$(id -u):$(id -g):$HOME" = 33:34:/srv/app && ! touch /etc/no && touch /tmp/by-name$ID
USER 4242:17
RUN test "$(id -u):$(id -g)" = 4242:17 && touch /tmp/by-number
`
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	name, id := fmt.Sprintf("e2e-user-%d", os.Getpid()), fmt.Sprint(os.Getpid())
	defer run(t, "", "template", "rm", name)
	if o := build(t, name, file, id); o.code != 0 {
		t.Fatal(o.stdout, o.stderr)
	}
	o := run(t, "", "run", "--template", name, "--", "sh", "-c", "stat -c %u:%g /tmp/by-name* /tmp/by-number")
	if o.stdout != "33:34\n4242:17\n" {
		t.Errorf("they belong to %q (%s)", o.stdout, o.stderr)
	}
}
