package cli

import (
	"bytes"
	"context"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/batch/input"
	"github.com/brigdev/brig/internal/host"
	"github.com/brigdev/brig/internal/template"
)

// maxPutBytes bounds --code and --input, which are held in memory.
const maxPutBytes = 64 << 20

// runJob is a checked `brig run`: nothing in it can be a user's mistake any
// more, but for the names inside the sandbox.
type runJob struct {
	spec    api.SandboxSpec
	exec    api.ExecSpec
	files   []putFile
	copyIn  []copyPair
	copyOut []copyPair
	stdin   io.Reader
}

// putFile is a small file that goes inside.
type putFile struct {
	path string
	data []byte
}

// newRunJob checks the options and reads the files that they name.
func newRunJob(env *Env, o runOptions) (*runJob, error) {
	limits, err := o.limits.Limits()
	if err != nil {
		return nil, err
	}
	vars, err := parseEnv(o.env)
	if err != nil {
		return nil, err
	}
	j := &runJob{
		spec: api.SandboxSpec{Template: o.template, Isolation: o.isolation.isolation, Limits: limits},
		exec: api.ExecSpec{
			Env: vars, Cwd: api.WorkDir,
			Timeout: limits.Timeout, CPUTime: limits.CPUTime, OutputBytes: limits.OutputBytes,
		},
		stdin: env.Stdin,
	}
	if len(o.egress) > 0 {
		j.spec.Egress = &api.Egress{Mode: api.EgressAllow, Allow: o.egress}
	}
	if err := j.addProgram(env, o); err != nil {
		return nil, err
	}
	if o.input != "" {
		if err := j.addFile(path.Join(api.WorkDir, "input.json"), "--input", o.input, nil); err != nil {
			return nil, err
		}
	}
	if j.copyIn, err = parseCopyIn(o.copyIn); err != nil {
		return nil, err
	}
	j.copyOut, err = parseCopyOut(o.copyOut)
	return j, err
}

// addProgram sets what is run: the command line's argv, or a script.
func (j *runJob) addProgram(env *Env, o runOptions) error {
	switch {
	case o.code == "" && len(o.argv) == 0:
		return api.Errorf(api.CodeInvalid, "cannot run: because there is no program").
			WithFix("give one after --, as in 'brig run -- echo hello', or --code FILE")
	case o.code != "" && len(o.argv) > 0:
		return api.Errorf(api.CodeInvalid, "cannot run: because there are two programs, --code and the one after --").
			WithFix("leave one of them out")
	case o.code == "" && o.language != "":
		return api.Errorf(api.CodeInvalid, "cannot use --language: because it says what --code is written in, and there is no --code").
			WithFix("leave --language out")
	case o.code == "":
		j.exec.Argv = o.argv
		return nil
	}
	language, err := languageOf(o.code, o.language)
	if err != nil {
		return err
	}
	j.exec.Language = language
	j.exec.Script = path.Join(api.WorkDir, "run."+input.Ext(language))
	j.spec.Warm = language
	if o.code == "-" {
		j.stdin = nil // the program's stdin was the program
	}
	return j.addFile(j.exec.Script, "--code", o.code, env.Stdin)
}

// languageOf is the language of a script: what the user said, else what the
// file's extension says, else Python. Whether the template can run it is the
// host's to say.
func languageOf(file, language string) (string, error) {
	if language == "" {
		if l, ok := input.Language(strings.TrimPrefix(filepath.Ext(file), ".")); ok {
			return l, nil
		}
		return "python", nil
	}
	l, ok := input.Language(language)
	if !ok {
		return "", api.Errorf(api.CodeInvalid, "cannot run --language %s: because Brig does not know it", language).
			WithFix("use python, sh, bash, node, ruby, perl, php or lua, or start its interpreter after --")
	}
	return l, nil
}

// addFile reads a host file that becomes target inside. "-" reads stdin where
// that is allowed.
func (j *runJob) addFile(target, flag, name string, stdin io.Reader) error {
	var r io.Reader
	if name == "-" && stdin != nil {
		r = stdin
	} else {
		f, err := os.Open(name)
		if err != nil {
			return cannotRead(flag, err)
		}
		defer f.Close()
		r = f
	}
	data, err := io.ReadAll(io.LimitReader(r, maxPutBytes+1))
	if err != nil {
		return cannotRead(flag, err)
	}
	if len(data) > maxPutBytes {
		return api.Errorf(api.CodeInvalid, "cannot read %s: because %s is larger than %s", flag, name, api.FormatBytes(maxPutBytes)).
			WithFix("bring it in with --copy-in, which streams")
	}
	j.files = append(j.files, putFile{path: target, data: data})
	return nil
}

func cannotRead(flag string, err error) error {
	return api.Errorf(api.CodeInvalid, "cannot read %s: because %w", flag, err).
		WithFix("name a file that exists and that you may read")
}

// chooseTemplate fills the default: host for what the host can run, so that it
// works at once, and python for Python once it was built, because it is warm.
func (j *runJob) chooseTemplate(ctx context.Context, templates *template.Catalog) error {
	if j.spec.Template != "" {
		return nil
	}
	j.spec.Template = template.HostName
	if j.exec.Language != "python" {
		return nil
	}
	_, missing := templates.Resolve(ctx, "python")
	if missing == nil {
		j.spec.Template = "python"
		return nil
	}
	if api.CodeOf(missing) != api.CodeNotFound {
		return missing
	}
	host, err := templates.Resolve(ctx, template.HostName)
	if err != nil {
		return err
	}
	if _, ok := host.Languages["python"]; !ok {
		return missing
	}
	return nil
}

// putFiles brings everything inside before the program starts.
func (j *runJob) putFiles(ctx context.Context, env *Env, box host.Sandbox) error {
	for _, f := range j.files {
		if err := box.Put(ctx, f.path, 0o644, bytes.NewReader(f.data)); err != nil {
			return err
		}
	}
	in := copier{box: box, log: env.Stderr}
	for _, p := range j.copyIn {
		if err := in.copyIn(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// fetchFiles copies out what was asked for, whatever the verdict: a program
// that failed may have left what explains it. But what cannot be copied then is
// only named, because the program's end is the news; a sandbox that hit a limit
// is often gone.
func (j *runJob) fetchFiles(ctx context.Context, env *Env, box host.Sandbox, verdict api.Verdict) error {
	out := copier{box: box, log: env.Stderr}
	for _, p := range j.copyOut {
		err := out.copyOut(ctx, p)
		switch {
		case err == nil:
		case verdict == api.OK:
			return err
		default:
			out.skip(p.inside, oneLine(err.Error()))
		}
	}
	return nil
}

// insidePath makes a path inside absolute, below /work when it is relative.
func insidePath(p string) string {
	if strings.HasPrefix(p, "/") {
		return path.Clean(p)
	}
	return path.Join(api.WorkDir, p)
}
