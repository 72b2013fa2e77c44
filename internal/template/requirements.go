package template

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/rootfs"
)

// fromRequirements puts pip's or npm's packages on top of a template. This host's
// own pip or npm fetches them, as files that nothing is run of; they are installed
// in a sandbox, by a Dockerfile that is written here.
func (c *Catalog) fromRequirements(ctx context.Context, o BuildOptions, emit func(BuildEvent)) (source, error) {
	dir, err := os.MkdirTemp(c.scratch, "requirements-")
	if err != nil {
		return source{}, fileError("make a directory in", c.scratch, err)
	}
	defer os.RemoveAll(dir)
	text := "FROM " + o.From + "\nUSER root\n"
	if len(o.Pip) > 0 {
		lines, err := c.fetchWheels(ctx, o, filepath.Join(dir, "wheels"), emit)
		if err != nil {
			return source{}, err
		}
		text += lines
	}
	if len(o.Npm) > 0 {
		lines, err := fetchModules(ctx, o, filepath.Join(dir, "npm"), emit)
		if err != nil {
			return source{}, err
		}
		text += lines
	}
	o.File, o.Context, o.Recipe, o.From = "requirements ("+strings.Join(slices.Concat(o.Pip, o.Npm), " ")+")", dir, text, ""
	o.Args, o.Target = nil, ""
	return c.fromDockerfile(ctx, o, emit)
}

// fetchWheels downloads the wheels that requirements need in the template's own
// version of Python.
func (c *Catalog) fetchWheels(ctx context.Context, o BuildOptions, dir string, emit func(BuildEvent)) (string, error) {
	python, err := exec.LookPath("python3")
	if err != nil {
		return "", missingTool("--pip", "python3 with pip", "apt-get install -y python3-pip")
	}
	version, err := c.pythonOf(ctx, o.From)
	if err != nil {
		return "", err
	}
	requirements, err := requirementsText(o.Pip)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fileError("make", dir, err)
	}
	list := filepath.Join(dir, "requirements.txt")
	if err := os.WriteFile(list, requirements, 0o600); err != nil {
		return "", fileError("write", list, err)
	}
	emit(BuildEvent{Event: "progress", Text: "fetching wheels for Python " + version})
	args := []string{"-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", "--dest", dir,
		"--python-version", version, "--implementation", "cp", "--abi", "cp" + strings.ReplaceAll(version, ".", ""), "--abi", "abi3", "--abi", "none"}
	for _, p := range platforms() {
		args = append(args, "--platform", p)
	}
	// pip itself is installed from its wheel: the template need not have it.
	if err := runFetch(ctx, python, append(args, "--requirement", list, "pip"), dir, "pip", "python3 with pip"); err != nil {
		return "", err
	}
	return `COPY wheels /tmp/wheels
RUN python3 "$(echo /tmp/wheels/pip-*.whl)/pip" install --no-index --find-links /tmp/wheels --no-compile --no-cache-dir --break-system-packages --root-user-action ignore --disable-pip-version-check --quiet --requirement /tmp/wheels/requirements.txt && rm -r /tmp/wheels
`, nil
}

// platforms are those whose wheels a Debian of the last years can use.
func platforms() []string {
	machine := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	var list []string
	for _, glibc := range []string{"manylinux_2_36", "manylinux_2_34", "manylinux_2_31", "manylinux_2_28", "manylinux_2_27", "manylinux_2_26", "manylinux_2_24", "manylinux_2_17", "manylinux2014", "manylinux2010", "manylinux1", "linux"} {
		list = append(list, glibc+"_"+machine)
	}
	return append(list, "any")
}

// pythonOf finds the version of a template's Python.
func (c *Catalog) pythonOf(ctx context.Context, from string) (string, error) {
	w, err := c.newWorkshop("", nil)
	if err != nil {
		return "", err
	}
	defer w.close()
	b, err := w.open(ctx, from)
	if err != nil {
		return "", err
	}
	tree, err := w.files(b).look(ctx)
	if err != nil {
		return "", err
	}
	if v := pythonVersion(tree); v != "" {
		return v, nil
	}
	return "", api.Errorf(api.CodeInvalid, "cannot install with pip on %s: because it has no python3", from).WithFix("use --from python")
}

func pythonVersion(tree *rootfs.Tree) string {
	version := regexp.MustCompile(`^python(3\.\d+)$`)
	for _, dir := range binDirs() {
		_, n := tree.Resolve(dir)
		if n == nil || !n.IsDir() || n.Child("python3") == nil {
			continue
		}
		for _, name := range n.Names() {
			if m := version.FindStringSubmatch(name); m != nil {
				return m[1]
			}
		}
	}
	return ""
}

// requirementsText is what pip reads: a file's content, or the names as lines.
func requirementsText(words []string) ([]byte, error) {
	if len(words) == 1 && (strings.HasSuffix(words[0], ".txt") || strings.Contains(words[0], "/")) {
		data, err := os.ReadFile(words[0])
		if err != nil {
			return nil, api.Errorf(api.CodeInvalid, "cannot read the requirements: because of %w", err).WithFix("write --pip requirements.txt or --pip rich,httpx==0.27.0")
		}
		return data, nil
	}
	for _, w := range words {
		if !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._\[\]-]*([<>=!~]=?[A-Za-z0-9.*+!-]+)?$`).MatchString(w) {
			return nil, api.Errorf(api.CodeInvalid, "cannot install %q: because that is no name of a package", w).WithFix("write --pip requirements.txt or --pip rich,httpx==0.27.0")
		}
	}
	return []byte(strings.Join(words, "\n") + "\n"), nil
}

// fetchModules has npm put packages and what they need into an empty directory,
// without running any script of theirs.
func fetchModules(ctx context.Context, o BuildOptions, dir string, emit func(BuildEvent)) (string, error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", missingTool("--npm", "npm", "apt-get install -y npm")
	}
	for _, w := range o.Npm {
		if !regexp.MustCompile(`^(@[a-z0-9._-]+/)?[a-z0-9][a-z0-9._-]*(@[A-Za-z0-9.^~*_-]+)?$`).MatchString(w) {
			return "", api.Errorf(api.CodeInvalid, "cannot install %q: because that is no name of a package", w).WithFix("write --npm lodash,@scope/name@1.2.3")
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fileError("make", dir, err)
	}
	manifest, _ := json.Marshal(map[string]string{"name": "brig", "version": "0.0.0"}) // it cannot fail
	if err := os.WriteFile(filepath.Join(dir, "package.json"), manifest, 0o600); err != nil {
		return "", fileError("write", dir, err)
	}
	emit(BuildEvent{Event: "progress", Text: "fetching npm packages"})
	args := append([]string{"install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-bin-links", "--loglevel=error", "--prefix", dir}, o.Npm...)
	if err := runFetch(ctx, npm, args, dir, "npm", "npm"); err != nil {
		return "", err
	}
	return "COPY npm/node_modules /usr/local/lib/node_modules\nENV NODE_PATH=/usr/local/lib/node_modules\n", nil
}

func missingTool(flag, tool, install string) error {
	return api.Errorf(api.CodeUnavailable, "cannot use %s: because this host has no %s", flag, tool).WithFix("%s", install)
}

// runFetch runs a package manager of this host. It ends with us: its process
// group is killed when the context ends, and it dies when we do.
func runFetch(ctx context.Context, tool string, args []string, dir, name, needs string) error {
	temp, err := os.MkdirTemp(filepath.Dir(dir), "tool-")
	if err != nil {
		return fileError("make a directory in", filepath.Dir(dir), err)
	}
	cmd := exec.CommandContext(ctx, tool, args...)
	cmd.Dir = temp
	cmd.Env = append(os.Environ(), "TMPDIR="+temp, "PIP_NO_INPUT=1", "NO_UPDATE_NOTIFIER=1")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := runTied(cmd); err != nil {
		if ctx.Err() != nil {
			return api.Errorf(api.CodeCancelled, "cannot go on building: %w", context.Cause(ctx))
		}
		words := lastLine(said.Bytes())
		if len(words) > lastWords {
			words = words[:lastWords]
		}
		return api.Errorf(api.CodeUnavailable, "cannot fetch the packages: because %s says %q", name, fmt.Sprint(words)).
			WithFix("check the names and the network; %s of this host is used (%s)", name, needs)
	}
	return nil
}
