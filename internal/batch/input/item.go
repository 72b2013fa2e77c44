package input

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/brigdev/brig/api"
)

// rawItem is api.Item with what tells an absent field from an empty one.
type rawItem struct {
	CustomID *string           `json:"custom_id"`
	Code     *string           `json:"code"`
	Language string            `json:"language"`
	Input    json.RawMessage   `json:"input"`
	Files    map[string]string `json:"files"`
	Trust    string            `json:"trust"`
	Timeout  float64           `json:"timeout_seconds"`
	// Body has all but the custom_id in a line for OpenAI's Batch API.
	Body json.RawMessage `json:"body"`
}

// parseItem reads one JSONL item, also in the envelope {"custom_id", "method",
// "url", "body"} of OpenAI's Batch API. Fields that it does not know are passed over.
func parseItem(line []byte, o Options) (it api.Item, id, reason string) {
	var raw rawItem
	if reason := decode(line, &raw); reason != "" {
		return it, deref(raw.CustomID), reason
	}
	var body rawItem
	if raw.Code == nil && len(raw.Body) > 0 && decode(raw.Body, &body) == "" {
		body.CustomID = raw.CustomID
		raw = body
	}
	switch {
	case raw.CustomID == nil:
		return it, "", "custom_id is missing"
	case raw.Code == nil:
		return it, *raw.CustomID, "code is missing"
	}
	it = api.Item{
		CustomID: *raw.CustomID, Code: *raw.Code, Language: raw.Language,
		Files: raw.Files, Trust: raw.Trust, Timeout: raw.Timeout,
	}
	if len(raw.Input) > 0 && string(raw.Input) != "null" {
		it.Input = bytes.Clone(raw.Input)
	}
	reason = o.complete(&it)
	return it, it.CustomID, reason
}

// complete checks what every format's items have to be, and names the language.
func (o Options) complete(it *api.Item) (reason string) {
	if reason := checkID(it.CustomID); reason != "" {
		return reason
	}
	switch {
	case strings.TrimSpace(it.Code) == "":
		return "code is empty"
	case it.Timeout < 0 || it.Timeout > maxTimeout:
		return fmt.Sprintf("timeout_seconds is %g and the range is 0 to %d", it.Timeout, maxTimeout)
	case it.Timeout > 0 && it.Timeout < 0.001:
		return "timeout_seconds is below a millisecond"
	case len(it.Trust) > maxTrustBytes:
		return fmt.Sprintf("trust has %d bytes and the cap is %d", len(it.Trust), maxTrustBytes)
	}
	if it.Language, reason = o.resolveLanguage(it.Language); reason != "" {
		return reason
	}
	return checkFiles(it)
}

func checkID(id string) (reason string) {
	switch {
	case id == "":
		return "custom_id is empty"
	case len(id) > MaxIDBytes:
		return fmt.Sprintf("custom_id has %d bytes and the cap is %d", len(id), MaxIDBytes)
	}
	return ""
}

// checkFiles wants names that stay below /work and are not the item's own.
func checkFiles(it *api.Item) (reason string) {
	if len(it.Files) > maxFiles {
		return fmt.Sprintf("there are %d files and the cap is %d", len(it.Files), maxFiles)
	}
	for name, text := range it.Files {
		clean := path.Clean(name)
		switch {
		case name == "" || path.IsAbs(name) || clean == "." || clean == ".." || strings.HasPrefix(clean, "../"):
			return "the file name " + quote(name) + " is not a path below /work"
		case len(name) > maxNameBytes || strings.ContainsRune(name, 0):
			return "the file name " + quote(name) + " is too long or has a zero byte"
		case clean == "input.json" || clean == "result.json" || clean == "run."+Ext(it.Language):
			return "the file name " + quote(name) + " is Brig's own"
		}
		if _, err := FileBytes(text); err != nil {
			return "the file " + quote(name) + " is not base64 behind its base64: mark"
		}
	}
	return ""
}

// FileBytes gives the content that an item's file stands for: its text, or the
// bytes behind "base64:".
func FileBytes(text string) ([]byte, error) {
	if b64, ok := strings.CutPrefix(text, "base64:"); ok {
		return base64.StdEncoding.DecodeString(b64)
	}
	return []byte(text), nil
}

// decode reads one JSON object strictly: valid UTF-8, nothing behind it.
func decode(line []byte, v any) (reason string) {
	if !utf8.Valid(line) {
		return "not UTF-8"
	}
	if line[0] != '{' {
		return "not a JSON object"
	}
	err := json.Unmarshal(line, v)
	var wrongType *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &wrongType):
		return fmt.Sprintf("%s is a %s, which is not what belongs there", quote(wrongType.Field), wrongType.Value)
	case errors.As(err, &syntax):
		return fmt.Sprintf("not JSON: %s (at byte %d)", err, syntax.Offset)
	}
	return "not JSON: " + err.Error()
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// quote shows a stranger's text in one of our lines.
func quote(s string) string { return strconv.Quote(clip(s, 80)) }

// clip cuts a text to at most n bytes, between characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
