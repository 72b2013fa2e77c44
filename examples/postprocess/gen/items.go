package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/brigdev/brig/api"
)

// Folders of programs that are meant to fail, or to try what they should not.
// Each is also the prefix of its items' ids.
const (
	broken  = "broken"
	hostile = "hostile"
)

// a benign program's case: one item.
type benignCase struct {
	Input json.RawMessage   `json:"input"`
	Files map[string]string `json:"files"`
}

// badCase is one line of a cases.json: a program and what becomes of it.
type badCase struct {
	File    string          `json:"file"`
	Verdict api.Verdict     `json:"verdict"`
	Timeout float64         `json:"timeout_seconds"`
	Result  json.RawMessage `json:"result"`
	Why     string          `json:"why"`
}

// collect makes the items of all programs below src, in the order of a hash of
// their ids: bad ones lie between good ones, a prefix of the batch is a fair
// sample of it, and a new program moves no other line.
func collect(src string) ([]api.Item, error) {
	items, err := benignItems(src)
	if err != nil {
		return nil, err
	}
	for _, kind := range []string{broken, hostile} {
		bad, err := badItems(src, kind)
		if err != nil {
			return nil, err
		}
		items = append(items, bad...)
	}
	rank := func(it api.Item) []byte {
		sum := sha256.Sum256([]byte(it.CustomID))
		return sum[:]
	}
	slices.SortFunc(items, func(a, b api.Item) int { return bytes.Compare(rank(a), rank(b)) })
	return items, nil
}

func benignItems(src string) ([]api.Item, error) {
	files, err := programs(src)
	if err != nil {
		return nil, err
	}
	var items []api.Item
	for _, file := range files {
		code, err := os.ReadFile(filepath.Join(src, file))
		if err != nil {
			return nil, err
		}
		name, language := nameAndLanguage(file)
		var cases []benignCase
		if err := readJSON(filepath.Join(src, name+".json"), &cases); err != nil {
			return nil, err
		}
		for i, c := range cases {
			items = append(items, api.Item{
				CustomID: fmt.Sprintf("%s-%d", name, i+1),
				Code:     string(code), Language: language,
				Input: c.Input, Files: c.Files,
				Trust: fmt.Sprintf("customer-%d", i%3+1),
			})
		}
	}
	return items, nil
}

// badItems takes the table of one folder; a program without a line in it, or a
// line without a program, is an error.
func badItems(src, kind string) ([]api.Item, error) {
	dir := filepath.Join(src, kind)
	var cases []badCase
	if err := readJSON(filepath.Join(dir, "cases.json"), &cases); err != nil {
		return nil, err
	}
	files, err := programs(dir)
	if err != nil {
		return nil, err
	}
	var items []api.Item
	for _, c := range cases {
		i := slices.Index(files, c.File)
		if i < 0 {
			return nil, fmt.Errorf("%s/cases.json names %q, which is not there or twice in the table", kind, c.File)
		}
		files = slices.Delete(files, i, i+1)
		code, err := os.ReadFile(filepath.Join(dir, c.File))
		if err != nil {
			return nil, err
		}
		name, language := nameAndLanguage(c.File)
		items = append(items, api.Item{
			CustomID: kind + "-" + name,
			Code:     string(code), Language: language,
			Trust: "stranger", Timeout: c.Timeout,
		})
	}
	if len(files) > 0 {
		return nil, fmt.Errorf("%s/cases.json does not name %s", kind, strings.Join(files, ", "))
	}
	return items, nil
}

// programs lists the .py and .sh files of a folder, sorted by name.
func programs(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); ext == ".py" || ext == ".sh" {
			out = append(out, e.Name())
		}
	}
	return out, nil
}

// nameAndLanguage splits "word-count.sh" into what its items are called and the
// language that they declare; Python is the default and not declared.
func nameAndLanguage(file string) (name, language string) {
	ext := filepath.Ext(file)
	if ext == ".sh" {
		language = "sh"
	}
	return strings.TrimSuffix(file, ext), language
}

func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is missing: every program needs its cases", path)
	}
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// encode writes one item a line. Characters such as < stay as they are: people
// read this file.
func encode(items []api.Item) ([]byte, error) {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	for _, it := range items {
		if err := e.Encode(it); err != nil {
			return nil, fmt.Errorf("%s: %w", it.CustomID, err)
		}
	}
	return buf.Bytes(), nil
}
