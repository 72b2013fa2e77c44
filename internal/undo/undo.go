// Package undo takes back a half-done operation: each step that was done adds
// how to take it back, and what ends early runs them in reverse.
//
//	var u undo.Stack
//	defer func() { err = errors.Join(err, u.Run(ctx, 10*time.Second)) }()
//	… u.Add("remove the directory", func(ctx context.Context) error { … })
//	u.Keep() // all done: nothing to take back
package undo

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Stack holds the steps to take back. The zero value is empty and ready. It
// belongs to one goroutine.
type Stack struct {
	steps []step
}

type step struct {
	what string
	back func(context.Context) error
}

// Add puts a step on the stack. what names it in errors, as in "remove the
// directory".
func (s *Stack) Add(what string, back func(context.Context) error) {
	s.steps = append(s.steps, step{what, back})
}

// Keep forgets all steps: the operation succeeded.
func (s *Stack) Keep() { s.steps = nil }

// Run takes back every step, the last one first, and forgets them. Steps run
// although earlier ones failed; the errors are joined. They share a deadline of
// their own and not ctx's end, which is often the reason for going back; ctx
// only lends its values.
func (s *Stack) Run(ctx context.Context, limit time.Duration) error {
	if len(s.steps) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	var errs []error
	for i := len(s.steps) - 1; i >= 0; i-- {
		if err := s.steps[i].back(ctx); err != nil {
			errs = append(errs, fmt.Errorf("cannot %s: %w", s.steps[i].what, err))
		}
	}
	s.steps = nil
	return errors.Join(errs...)
}
