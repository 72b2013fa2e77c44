package image

import (
	"bytes"
	"context"
	"fmt"
)

// Content is an entry with its data at hand.
type Content struct {
	Entry
	Data []byte
}

// AddContents puts entries that are in memory: our agent, files of /etc.
func (w *Writer) AddContents(ctx context.Context, contents []Content) error {
	for _, c := range contents {
		c.Size = int64(len(c.Data))
		if err := w.Put(ctx, c.Entry, bytes.NewReader(c.Data)); err != nil {
			return fmt.Errorf("%s: %w", c.Path, err)
		}
	}
	return nil
}
