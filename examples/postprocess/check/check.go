package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/brigdev/brig/api"
)

// expectation is one line of expected.jsonl.
type expectation struct {
	CustomID  string          `json:"custom_id"`
	Verdict   api.Verdict     `json:"verdict"`
	Result    json.RawMessage `json:"result"`    // any, when absent
	Artifacts []string        `json:"artifacts"` // PNG files that must have come out
}

// check reads DIR/results.jsonl once and holds what is not yet accounted for.
func check(expectedFile, dir string) (*report, error) {
	want := map[string]expectation{}
	var order []string
	err := eachLine(expectedFile, func(line []byte) error {
		var e expectation
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		want[e.CustomID] = e
		order = append(order, e.CustomID)
		return nil
	})
	if err != nil {
		return nil, err
	}
	rep := newReport()
	seen := map[string]bool{}
	err = eachLine(filepath.Join(dir, "results.jsonl"), func(line []byte) error {
		var got api.ItemResult
		if err := json.Unmarshal(line, &got); err != nil {
			return err
		}
		e, known := want[got.CustomID]
		switch {
		case !known:
			rep.mismatch(got.CustomID, "has a result and is no item of the batch")
		case seen[got.CustomID]:
			rep.mismatch(got.CustomID, "has more than one result")
		default:
			compare(rep, dir, e, got)
		}
		seen[got.CustomID] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, id := range order {
		if !seen[id] {
			rep.mismatch(id, "has no result")
		}
	}
	return rep, nil
}

// compare judges one result by what was expected of it.
func compare(rep *report, dir string, want expectation, got api.ItemResult) {
	var wrong []string
	if got.Verdict != want.Verdict {
		wrong = append(wrong, fmt.Sprintf("is %s, expected %s%s", got.Verdict, want.Verdict, because(got)))
	} else if want.Result != nil && !sameJSON(want.Result, got.Result) {
		wrong = append(wrong, fmt.Sprintf("has the result %s, expected %s", clip(got.Result), clip(want.Result)))
	}
	if got.OK != (got.Verdict == api.OK) {
		wrong = append(wrong, fmt.Sprintf("has ok=%v and is %s", got.OK, got.Verdict))
	}
	for _, name := range want.Artifacts {
		if err := checkPNG(dir, filepath.Join("artifacts", want.CustomID, name)); err != nil {
			wrong = append(wrong, fmt.Sprintf("lacks the picture %s: %v", name, err))
		}
	}
	rep.count(got.Verdict, len(wrong) == 0)
	rep.pictures += len(want.Artifacts)
	for _, w := range wrong {
		rep.mismatch(want.CustomID, w)
	}
}

// because is why an item got the verdict that it got: Brig's own words, or the
// last that the program said.
func because(got api.ItemResult) string {
	lines := strings.Split(strings.TrimSpace(got.Stderr), "\n")
	switch last := lines[len(lines)-1]; {
	case got.Error != nil:
		return ": " + got.Error.Message
	case got.Evidence.Reason != "" && last != "":
		return fmt.Sprintf(": %s; %q", got.Evidence.Reason, last)
	case got.Evidence.Reason != "":
		return ": " + got.Evidence.Reason
	case last != "":
		return fmt.Sprintf(": %q", last)
	}
	return ""
}

var pngSignature = []byte("\x89PNG\r\n\x1a\n")

func checkPNG(dir, name string) error {
	f, err := os.OpenInRoot(dir, name)
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, len(pngSignature))
	if _, err := io.ReadFull(f, head); err != nil {
		return err
	}
	if !bytes.Equal(head, pngSignature) {
		return errors.New("it does not start with the PNG signature")
	}
	return nil
}

// eachLine calls f with every line of a file, one at a time.
func eachLine(path string, f func([]byte) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	r := bufio.NewReader(file)
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			if err := f(line); err != nil {
				return fmt.Errorf("%s:%d: %w", path, n, err)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func clip(b []byte) string {
	const limit = 200
	if len(b) > limit {
		return fmt.Sprintf("%s… (%d bytes)", bytes.ToValidUTF8(b[:limit], nil), len(b))
	}
	return string(b)
}
