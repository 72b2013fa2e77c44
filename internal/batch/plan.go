package batch

import (
	"container/heap"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/batch/input"
)

// plan is what the first reading of the input found.
type plan struct {
	index    index
	format   input.Format
	items    int64 // good records
	selected int64
	rejected int64
}

// duplicate is the reason of the second record of an id, and of all after it.
const duplicate = "custom_id was used before: the first record counts"

// makePlan reads the whole input, tells reject of every record that is no item,
// and chooses what this run is about.
func makePlan(ctx context.Context, path string, o Options, reject func(*input.Rejected) error) (plan, error) {
	p := plan{index: index{}}
	only := make(map[key]string, len(o.Only))
	for _, id := range o.Only {
		only[keyOf(id)] = id
	}
	sample := newSample(o.Sample, o.Seed)
	format, err := each(ctx, path, o, func(it input.Item, bad *input.Rejected) error {
		if bad == nil {
			k := keyOf(it.CustomID)
			if _, twice := p.index[k]; !twice {
				p.add(k, o, only, sample)
				return nil
			}
			bad = &input.Rejected{Line: it.Line, CustomID: it.CustomID, Reason: duplicate}
		}
		p.rejected++
		return reject(bad)
	})
	if err != nil {
		return p, err
	}
	p.format = format
	if len(only) > 0 && len(o.Only) > 0 {
		return p, missing(only)
	}
	if o.Sample > 0 {
		p.selected = sample.keepOnly(p.index)
	}
	if o.Input == "-" {
		path = "standard input"
	}
	return p, p.check(path)
}

// add takes an item into the plan. What only still names was not found yet.
func (p *plan) add(k key, o Options, only map[key]string, sample *sample) {
	p.items++
	_, named := only[k]
	delete(only, k)
	chosen := (len(o.Only) == 0 || named) && (o.Limit == 0 || p.selected < o.Limit)
	if !chosen {
		p.index[k] = 0
		return
	}
	p.index[k] = selected
	p.selected++
	sample.offer(k)
}

// check refuses an input with nothing in it to run.
func (p *plan) check(path string) error {
	switch {
	case p.items > 0:
		return nil
	case p.rejected > 0:
		return api.Errorf(api.CodeInvalid, "cannot run %s: because none of its %d records is an item (read as %s)", path, p.rejected, p.format).
			WithFix(`give JSONL with {"custom_id": …, "code": …} in each line, or say what it is with --format`)
	}
	return api.Errorf(api.CodeInvalid, "cannot run %s: because there is nothing in it", path).
		WithFix(`give JSONL with {"custom_id": …, "code": …} in each line, or a directory of programs`)
}

func missing(only map[key]string) error {
	ids := make([]string, 0, len(only))
	for _, id := range only {
		ids = append(ids, fmt.Sprintf("%.80q", id))
	}
	slices.Sort(ids)
	more := ""
	if len(ids) > 5 {
		ids, more = ids[:5], fmt.Sprintf(" and %d more", len(ids)-5)
	}
	return api.Errorf(api.CodeInvalid, "cannot run only %s%s: because the input has no such item", strings.Join(ids, ", "), more).
		WithFix("give custom_ids as they are in the input")
}

// each reads an input from its beginning and hands over every record, good or
// bad. It gives the format that was read.
func each(ctx context.Context, path string, o Options, f func(input.Item, *input.Rejected) error) (input.Format, error) {
	r, err := input.Open(path, input.Options{Format: o.Format, Languages: o.Languages})
	if err != nil {
		return "", err
	}
	defer r.Close()
	for {
		if err := ctx.Err(); err != nil {
			return r.Format(), err
		}
		it, err := r.Next()
		var bad *input.Rejected
		if err == io.EOF {
			return r.Format(), nil
		}
		if err != nil && !errors.As(err, &bad) {
			return r.Format(), err
		}
		if err := f(it, bad); err != nil {
			return r.Format(), err
		}
	}
}

// sample keeps the n items with the smallest hashes of seed and id: the same
// ones for the same seed, whatever their order, and each as likely as another.
type sample struct {
	n    int64
	seed uint64
	kept draws
}

type draw struct {
	hash key
	item key
}

func newSample(n int64, seed uint64) *sample { return &sample{n: n, seed: seed} }

func (s *sample) offer(k key) {
	if s.n == 0 {
		return
	}
	h := sha256.Sum256(append(binary.LittleEndian.AppendUint64(nil, s.seed), k[:]...))
	heap.Push(&s.kept, draw{key(h[:16]), k})
	if int64(len(s.kept)) > s.n {
		heap.Pop(&s.kept)
	}
}

// keepOnly unselects everything else.
func (s *sample) keepOnly(x index) int64 {
	for k := range x {
		x[k] &^= selected
	}
	for _, d := range s.kept {
		x.set(d.item, selected)
	}
	return int64(len(s.kept))
}

// draws is a heap with the largest hash on top.
type draws []draw

func (d draws) Len() int           { return len(d) }
func (d draws) Less(i, j int) bool { return string(d[i].hash[:]) > string(d[j].hash[:]) }
func (d draws) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *draws) Push(x any)        { *d = append(*d, x.(draw)) }
func (d *draws) Pop() any {
	last := (*d)[len(*d)-1]
	*d = (*d)[:len(*d)-1]
	return last
}
