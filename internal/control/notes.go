package control

import "encoding/json"

// Notes are what another API than ours keeps with a sandbox for itself; nil when
// there are none. No list shows them, and children do not get them.
func (sb *Sandbox) Notes() json.RawMessage {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	return sb.rec.Notes
}

// EditNotes replaces the notes by what edit makes of them, as one step. edit must
// not use the sandbox. Errors: edit's, or the record could not be written.
func (sb *Sandbox) EditNotes(edit func(old json.RawMessage) (json.RawMessage, error)) error {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	notes, err := edit(sb.rec.Notes)
	if err != nil {
		return err
	}
	rec := sb.rec
	rec.Notes = notes
	if err := sb.svc.journal.save(rec); err != nil {
		return err
	}
	sb.rec = rec
	return nil
}

// Search gives a sandbox, whoever owns it, that is says yes to; nil when there is
// none. It is for routes that a sandbox's own secret opens.
func (s *Service) Search(is func(*Sandbox) bool) *Sandbox {
	for _, sb := range s.all() {
		if is(sb) {
			return sb
		}
	}
	return nil
}
