package mcp

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/brigdev/brig/api"
)

func TestFiguresBecomeImages(t *testing.T) {
	values, image := show(api.CodeResult{Data: map[string]string{"image/png": "iVBORw0=", "text/plain": "<Figure>"}})
	if image == nil || image.MIMEType != "image/png" || string(image.Data) != "\x89PNG\r" {
		t.Errorf("image %+v", image)
	}
	if values["text/plain"] != "<Figure>" || values["image/png"] != "" {
		t.Errorf("values %v", values)
	}
	if _, image = show(api.CodeResult{Data: map[string]string{"image/png": "not base64"}}); image != nil {
		t.Errorf("what is no base64 is shown as %+v", image)
	}
	if values, image = show(api.CodeResult{Data: map[string]string{"image/svg+xml": "<svg/>"}}); image != nil || values["image/svg+xml"] != "<svg/>" {
		t.Errorf("a drawing in text: %v, %+v", values, image)
	}
}

func TestClip(t *testing.T) {
	if got, cut := clip("short"); got != "short" || cut {
		t.Errorf("%q, %v", got, cut)
	}
	got, cut := clip("begin" + strings.Repeat("é", maxText) + "end")
	if !cut || len(got) > maxText+100 || !utf8.ValidString(got) || !strings.HasPrefix(got, "begin") || !strings.HasSuffix(got, "end") {
		t.Errorf("%d bytes, cut %v", len(got), cut)
	}
}

func TestIsText(t *testing.T) {
	for in, want := range map[string]bool{
		"": true, "plain": true, "é": true, "\xa9 begins in a character": true, "ends in one \xc3": true,
		"\xff\xfe": false, "a\xffb": false, "\x80\x80\x80\x80\x80": false,
	} {
		if got := isText([]byte(in)); got != want {
			t.Errorf("%q: %v", in, got)
		}
	}
}
