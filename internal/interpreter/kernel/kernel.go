// Package kernel is the code interpreter's inside: the programs that keep state
// between cells, which every image gets, and the frames that they and the host
// exchange. Nothing here knows how such a program is started.
//
// A kernel is an ordinary program. A frame on its standard streams is a
// little-endian u32 length and that much JSON. The host sends one request at a
// time and gets any number of events, the last of them "end"; all carry the
// request's id. What a kernel says is data: it is bounded before it is kept, and
// a kernel that breaks the frames is ended.
package kernel

import (
	"embed"
	"fmt"
	"io/fs"

	"github.com/brigdev/brig/api"
)

// Dir is where the kernels are in every image.
const Dir = "/.brig/kernel"

// The languages that have a kernel.
const (
	Python     = "python"
	JavaScript = "javascript"
)

//go:embed *.py *.js
var sources embed.FS

// Sources are the kernels' files, by their path inside.
func Sources() map[string][]byte {
	files := map[string][]byte{}
	names, _ := fs.Glob(sources, "*") // the pattern is a constant
	for _, name := range names {
		data, err := sources.ReadFile(name)
		if err != nil {
			panic(fmt.Sprintf("an embedded file cannot be read: %v", err))
		}
		files[Dir+"/"+name] = data
	}
	return files
}

// Language gives a language its one name. Errors: CodeInvalid.
func Language(name string) (string, error) {
	switch name {
	case "python", "py", "python3":
		return Python, nil
	case "javascript", "js", "node":
		return JavaScript, nil
	}
	return "", api.Errorf(api.CodeInvalid, "cannot run cells in %.40q: because there is no kernel of that language", name).
		WithFix("use python or javascript")
}

// Argv starts the kernel of a language, one of Language's results.
func Argv(language string) []string {
	if language == JavaScript {
		return []string{"node", Dir + "/kernel.js"}
	}
	return []string{"python3", Dir + "/kernel.py"}
}

// WarmUp is a cell that has a kernel import and touch what first cells want; what
// is not installed is left out. Its traces are removed, but for the modules.
func WarmUp(language string) string {
	if language == JavaScript {
		return `display({ a: [1, "b", new Map([[1, 2]])] }); console.log("warm"); await import("node:fs"); 0`
	}
	return warmPython
}

// A DataFrame and a figure, drawn once: fonts are looked for and lazy imports are
// done by then; pandas looks through all packages for who plots. FreeType reads a font in pieces of a few bytes, each a system call:
// the fonts that are open afterwards are in memory.
const warmPython = `
import io, json, math, re, random, datetime, collections, pathlib, subprocess
from unittest import mock
try:
    import numpy as np
except ImportError:
    pass
try:
    import pandas as pd
    frame = pd.DataFrame({"a": [1, 2.5], "b": ["x", None]}, index=pd.date_range("2024-01-01", periods=2))
    display(frame, frame.describe(), frame.groupby("b").sum())
    pd.read_csv(io.StringIO(frame.to_csv()))
except ImportError:
    pass
try:
    import matplotlib.pyplot as plt
    fig, ax = plt.subplots()
    ax.plot([1, 2, 3], [1, 4, 9], "o-", label="x"); ax.bar([1, 2], [3, 4]); ax.set_title("0123456789.-"); ax.legend(); ax.grid()
    try:
        frame.reset_index().plot(y="a", ax=ax)
        pd.plotting.deregister_matplotlib_converters()
    except NameError:
        pass
    with mock.patch("builtins.open", lambda path, *_, **__: io.BytesIO(pathlib.Path(path).read_bytes())):
        fig.savefig(io.BytesIO(), format="png", bbox_inches="tight")
except ImportError:
    pass
print("warm")
`
