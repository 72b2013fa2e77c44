package template

import (
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"
)

func TestManual(t *testing.T) {
	dir := os.Getenv("MANUAL")
	if dir == "" {
		t.Skip("manual")
	}
	start := time.Now()
	c, err := Open(t.Context(), dir, Options{Log: slog.Default()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	h, err := c.Resolve(t.Context(), "host")
	fmt.Println(time.Since(start), h, err)
	start = time.Now()
	p, err := c.Build(t.Context(), "python", BuildOptions{}, func(s string) { fmt.Println(s) })
	fmt.Println(time.Since(start), p, err)
	start = time.Now()
	l, err := c.List(t.Context())
	fmt.Println(time.Since(start), l, err)
}
