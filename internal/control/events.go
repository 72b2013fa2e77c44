package control

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strconv"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/audit"
)

const (
	maxLogBytes = 256 << 10 // of output that is kept for one sandbox
	maxEvents   = 500       // that are kept for one sandbox
)

// event writes down that something happened; pairs are a payload's keys and
// values.
func (sb *Sandbox) event(what string, pairs ...string) {
	e := api.Event{Time: time.Now().UTC(), Sandbox: sb.id, Type: what}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			continue
		}
		if e.Payload == nil {
			e.Payload = map[string]string{}
		}
		e.Payload[pairs[i]] = pairs[i+1]
	}
	sb.audit(e)
	sb.mu.Lock()
	defer sb.mu.Unlock()
	sb.announce(&e)
	sb.events = append(sb.events, e)
	var err error
	if len(sb.events) > 2*maxEvents {
		sb.events = append([]api.Event(nil), sb.events[len(sb.events)-maxEvents:]...)
		err = replaceFile(sb.eventsFile(), jsonLines(sb.events))
	} else {
		err = appendFile(sb.eventsFile(), jsonLines([]api.Event{e}))
	}
	if err != nil {
		sb.svc.log.Warn("cannot record an event", "id", sb.id, "error", err)
	}
}

// audit writes what no caller did into the audit log.
func (sb *Sandbox) audit(e api.Event) {
	if e.Type != "egress" && e.Type != "ended" {
		return // whoever asked for it is recorded with the request
	}
	outcome := "ok"
	if e.Payload["allowed"] == "false" {
		outcome = "refused"
	}
	sb.svc.cfg.Audit.Add(audit.Entry{Time: e.Time, Owner: sb.owner, Actor: "server", Action: e.Type, Target: sb.id, Outcome: outcome, Detail: e.Payload})
}

// Audit takes a decision about a sandbox's traffic, for its events. It never
// blocks: of very many at once some are not written down.
func (s *Service) Audit(e api.EgressEvent) {
	if e.Kind == api.EgressLookup && e.Allowed || e.Kind == api.EgressClose && e.Reason == "" {
		return // what follows, or came before, says enough
	}
	select {
	case s.audits <- e:
	default:
	}
}

func (s *Service) recordAudits() {
	for {
		select {
		case <-s.ctx.Done():
			return
		case e := <-s.audits:
			for _, sb := range s.all() {
				if sb.record().Box == e.Sandbox {
					sb.event("egress", auditWords(e)...)
				}
			}
		}
	}
}

func auditWords(e api.EgressEvent) []string {
	words := []string{"kind", e.Kind, "allowed", strconv.FormatBool(e.Allowed), "name", clip(e.Name, 253), "rule", e.Rule, "reason", clip(e.Reason, 200)}
	if e.Target.IsValid() {
		words = append(words, "target", e.Target.String())
	}
	if e.Suppressed > 0 {
		words = append(words, "suppressed", strconv.FormatInt(e.Suppressed, 10))
	}
	return words
}

func (sb *Sandbox) eventsFile() string { return sb.svc.journal.file("events", sb.id, ".jsonl") }
func (sb *Sandbox) logFile() string    { return sb.svc.journal.file("logs", sb.id, ".jsonl") }

// Events gives the newest tail events, the oldest first; all that are kept for
// tail 0.
func (sb *Sandbox) Events(tail int) ([]api.Event, error) {
	list, err := readLines[api.Event](sb.eventsFile())
	if err != nil {
		return nil, err
	}
	if tail <= 0 || tail > maxEvents {
		tail = maxEvents
	}
	if len(list) > tail {
		list = list[len(list)-tail:]
	}
	return list, nil
}

// Logs gives the end of what the sandbox's programs printed, terminals' output
// left out; with follow it goes on until the sandbox or ctx ends.
func (sb *Sandbox) Logs(ctx context.Context, follow bool, give func(Chunk) error) error {
	if _, end := sb.log.span(); end == 0 { // of an earlier server
		old, err := readLines[Chunk](sb.logFile())
		if err != nil {
			return err
		}
		for _, c := range old {
			if err := give(c); err != nil {
				return err
			}
		}
	}
	return sb.log.follow(ctx, 0, follow && sb.record().living(), false, give)
}

// saveLog keeps the log beyond this server, and ends it for who follows it.
func (sb *Sandbox) saveLog() {
	sb.log.finish()
	var kept []Chunk
	_ = sb.log.follow(sb.svc.ctx, 0, false, false, func(c Chunk) error { // which does not wait, nor fail
		kept = append(kept, c)
		return nil
	})
	if len(kept) == 0 {
		return
	}
	if err := replaceFile(sb.logFile(), jsonLines(kept)); err != nil {
		sb.svc.log.Warn("cannot keep the log of a sandbox", "id", sb.id, "error", err)
	}
}

func jsonLines[T any](list []T) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for _, v := range list {
		_ = enc.Encode(v) // plain data always encodes
	}
	return b.Bytes()
}

func appendFile(name string, b []byte) error {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(b); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
