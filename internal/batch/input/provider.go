package input

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/brigdev/brig/api"
)

// openAILine is one line of an OpenAI batch output file, for the endpoints
// /v1/chat/completions, /v1/responses and /v1/completions.
type openAILine struct {
	CustomID string `json:"custom_id"`
	Response *struct {
		StatusCode int `json:"status_code"`
		Body       struct {
			Choices []struct {
				FinishReason string  `json:"finish_reason"`
				Text         *string `json:"text"` // of /v1/completions
				Message      struct {
					Content json.RawMessage `json:"content"`
					Refusal *string         `json:"refusal"`
				} `json:"message"`
			} `json:"choices"`
			Output []struct {
				Type    string        `json:"type"`
				Content []contentPart `json:"content"`
			} `json:"output"`
			Status string `json:"status"`
		} `json:"body"`
	} `json:"response"`
	Error *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// contentPart is a piece of an answer, at either provider.
type contentPart struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

func parseOpenAI(line []byte, o Options) (it api.Item, id, reason string) {
	var l openAILine
	if reason := decode(line, &l); reason != "" {
		return it, l.CustomID, reason
	}
	answer, reason := openAIAnswer(l)
	return o.fromAnswer(l.CustomID, answer, reason)
}

func openAIAnswer(l openAILine) (answer, reason string) {
	switch {
	case l.Error != nil:
		return "", failure(l.Error.Code, l.Error.Message)
	case l.Response == nil:
		return "", "the request has no response"
	case l.Response.StatusCode != 0 && l.Response.StatusCode != 200:
		return "", fmt.Sprintf("the request failed with status %d", l.Response.StatusCode)
	}
	body := l.Response.Body
	if len(body.Choices) == 0 {
		if body.Status == "incomplete" {
			return "", "the answer was cut"
		}
		var text strings.Builder
		for _, out := range body.Output {
			text.WriteString(textOf(out.Content))
		}
		return text.String(), ""
	}
	c := body.Choices[0]
	switch {
	case c.FinishReason == "length":
		return "", "the answer was cut at the token limit"
	case c.FinishReason == "content_filter", c.Message.Refusal != nil && *c.Message.Refusal != "":
		return "", "the model refused to answer"
	}
	if c.Text != nil {
		return *c.Text, ""
	}
	var text string
	if json.Unmarshal(c.Message.Content, &text) == nil {
		return text, ""
	}
	var parts []contentPart
	if json.Unmarshal(c.Message.Content, &parts) != nil {
		return "", "the answer has no text"
	}
	return textOf(parts), ""
}

// anthropicLine is one line of an Anthropic message batch's results.
type anthropicLine struct {
	CustomID string `json:"custom_id"`
	Result   *struct {
		Type    string `json:"type"`
		Message struct {
			Content    []contentPart `json:"content"`
			StopReason string        `json:"stop_reason"`
		} `json:"message"`
		Error struct {
			Error struct {
				Type    string `json:"type"`
				Message string `json:"message"`
			} `json:"error"`
		} `json:"error"`
	} `json:"result"`
}

func parseAnthropic(line []byte, o Options) (it api.Item, id, reason string) {
	var l anthropicLine
	if reason := decode(line, &l); reason != "" {
		return it, l.CustomID, reason
	}
	answer, reason := anthropicAnswer(l)
	return o.fromAnswer(l.CustomID, answer, reason)
}

func anthropicAnswer(l anthropicLine) (answer, reason string) {
	switch {
	case l.Result == nil:
		return "", "the request has no result"
	case l.Result.Type == "errored":
		return "", failure(l.Result.Error.Error.Type, l.Result.Error.Error.Message)
	case l.Result.Type != "succeeded":
		return "", "the request did not succeed: " + quote(l.Result.Type)
	case l.Result.Message.StopReason == "max_tokens":
		return "", "the answer was cut at the token limit"
	case l.Result.Message.StopReason == "refusal":
		return "", "the model refused to answer"
	}
	return textOf(l.Result.Message.Content), ""
}

// failure is why there is no answer, as far as the provider says.
func failure(code, message string) string {
	if why := strings.TrimSpace(code + " " + message); why != "" {
		return "the request failed: " + quote(why)
	}
	return "the request failed, and its error says nothing"
}

// fromAnswer makes an item of a model's answer.
func (o Options) fromAnswer(id, answer, why string) (it api.Item, _, reason string) {
	if reason := checkID(id); reason != "" {
		return it, id, reason
	}
	if why != "" {
		return it, id, why
	}
	preferred, _ := Language(o.Language)
	code, lang, reason := extractCode(answer, preferred)
	if reason != "" {
		return it, id, reason
	}
	it = api.Item{CustomID: id, Code: code, Language: lang}
	reason = o.complete(&it)
	return it, id, reason
}

func textOf(parts []contentPart) string {
	var b strings.Builder
	for _, p := range parts {
		if p.Type == "text" || p.Type == "output_text" {
			b.WriteString(p.Text)
		}
	}
	return b.String()
}
