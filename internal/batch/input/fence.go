package input

import (
	"fmt"
	"strings"
)

// Block is one fenced code block of a Markdown text.
type Block struct {
	Tag  string // the first word behind the fence, e.g. "python"
	Code string
}

// Blocks finds the fenced code blocks of a text. closed is false when the last
// one has no end, which means that the text was cut.
func Blocks(text string) (blocks []Block, closed bool) {
	var tag, fence string // fence is what opened the block: at least as many close it
	var code strings.Builder
	var indent int
	for line := range strings.Lines(text) {
		bare := strings.TrimLeft(line, " ")
		at := len(line) - len(bare)
		mark := fenceOf(bare)
		info := strings.TrimSpace(bare[len(mark):])
		switch {
		case fence == "" && mark != "" && at <= 12 && !strings.Contains(info, "`"):
			tag, fence, indent = tagOf(info), mark, at
		case fence != "" && info == "" && mark != "" && mark[0] == fence[0] && len(mark) >= len(fence):
			blocks = append(blocks, Block{tag, code.String()})
			fence = ""
			code.Reset()
		case fence != "":
			code.WriteString(line[min(indent, at):])
		}
	}
	return blocks, fence == ""
}

// fenceOf gives the three or more backticks or tildes that a line begins with.
func fenceOf(line string) string {
	for _, c := range []string{"`", "~"} {
		if n := len(line) - len(strings.TrimLeft(line, c)); n >= 3 {
			return line[:n]
		}
	}
	return ""
}

// tagOf reads the language off an info string: "python", "{.python}", "py title=x".
func tagOf(info string) string {
	word, _, _ := strings.Cut(strings.Trim(info, "{}"), " ")
	return strings.TrimPrefix(strings.Trim(word, "{}"), ".")
}

// extractCode takes the one code block of an answer that can be meant: the only
// one of the preferred language, else the only one of any language we know, else
// the only one that says no language. More than one is not guessed about.
func extractCode(answer, preferred string) (code, lang, reason string) {
	blocks, closed := Blocks(answer)
	if !closed {
		return "", "", "the answer's code block has no end"
	}
	var first, known, untagged []Block
	for _, b := range blocks {
		lang, ok := Language(b.Tag)
		switch {
		case ok && lang == preferred:
			first = append(first, b)
		case ok:
			known = append(known, b)
		case b.Tag == "":
			untagged = append(untagged, b)
		}
	}
	for _, rank := range [][]Block{first, known, untagged} {
		if len(rank) > 1 {
			return "", "", fmt.Sprintf("the answer has %d code blocks that could be meant", len(rank))
		}
		if len(rank) == 1 {
			return rank[0].Code, rank[0].Tag, ""
		}
	}
	if len(blocks) > 0 {
		return "", "", "the answer's code block is in language " + quote(blocks[0].Tag)
	}
	return "", "", "the answer has no code block"
}

// CodeIn takes the code out of a generator's answer: the one code block that
// can be meant, or the whole text when there is no fence in it.
func CodeIn(answer, language string) (code, reason string) {
	if blocks, closed := Blocks(answer); len(blocks) == 0 && closed {
		return answer, ""
	}
	code, _, reason = extractCode(answer, language)
	return code, reason
}
