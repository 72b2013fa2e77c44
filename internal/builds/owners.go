package builds

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/durable"
	"github.com/brigdev/brig/internal/template"
	"github.com/brigdev/brig/templates"
)

// A template that a tenant has built is that tenant's: for others it does not
// exist, and its name is taken. Templates that were built on this machine belong to
// nobody: everybody may use them, and only this machine's owner may change them.

type ownerFile struct {
	Owner string `json:"owner"`
}

// OwnerOf gives the tenant that a template belongs to; "" is nobody.
func (s *Service) OwnerOf(name string) string {
	var f ownerFile
	if template.CheckName(name) != nil || durable.ReadJSON(s.ownerPath(name), &f) != nil {
		return ""
	}
	return f.Owner
}

func (s *Service) ownerPath(name string) string {
	return filepath.Join(s.cfg.Dir, "owners", name+".json")
}

// MayUse tells whether there is a template of that name for owner, as far as it is
// a question of whose it is.
func (s *Service) MayUse(owner, name string) bool {
	of := s.OwnerOf(name)
	return of == "" || of == owner || owner == s.cfg.Local
}

// reserved are names that mean something of their own.
func reserved(name string) bool {
	return name == template.HostName || name == "build" || name == "builds" || name == "ubuntu-24.04" || slices.Contains(templates.Names(), name)
}

// claim makes a name owner's, if it may have it. CodeConflict.
func (s *Service) claim(ctx context.Context, owner, name string) error {
	if err := template.CheckName(name); err != nil {
		return err
	}
	s.names.Lock()
	defer s.names.Unlock()
	if owner == s.cfg.Local && name != template.HostName && name != "build" && name != "builds" || s.OwnerOf(name) == owner {
		return nil
	}
	taken := reserved(name) || s.OwnerOf(name) != ""
	if !taken {
		var err error
		if taken, err = s.exists(ctx, name); err != nil {
			return err
		}
	}
	if taken {
		return api.Errorf(api.CodeConflict, "cannot call a template %s: because the name is taken", name).WithFix("choose another name")
	}
	if err := durable.WriteJSON(s.ownerPath(name), ownerFile{owner}); err != nil {
		return durable.DiskError("keep whose the template is", err)
	}
	return nil
}

// disown gives up the name of a template that was not built after all.
func (s *Service) disown(b *build) {
	s.names.Lock()
	defer s.names.Unlock()
	if s.OwnerOf(b.name) != b.owner || s.building(b) {
		return
	}
	if there, err := s.exists(context.WithoutCancel(b.ctx), b.name); err != nil || there {
		return
	}
	if err := os.Remove(s.ownerPath(b.name)); err != nil {
		s.cfg.Log.Warn("a template's name stays taken", "template", b.name, "error", err)
	}
}

// building tells whether another build of b's template is in hand.
func (s *Service) building(b *build) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.live {
		if other != b && other.name == b.name {
			return true
		}
	}
	return false
}

func (s *Service) exists(ctx context.Context, name string) (bool, error) {
	list, err := s.cfg.Templates.List(ctx)
	return slices.ContainsFunc(list, func(i template.Info) bool { return i.Name == name }), err
}

// RemoveTemplate removes a template that owner may change. CodeNotFound for what is
// somebody else's; CodeConflict while something needs it, or when it is everybody's.
func (s *Service) RemoveTemplate(ctx context.Context, owner, name string) error {
	if err := template.CheckName(name); err != nil {
		return err
	}
	of := s.OwnerOf(name)
	switch {
	case owner == s.cfg.Local:
	case of == "":
		if there, err := s.exists(ctx, name); err != nil || !there {
			return errors.Join(err, noTemplate(name))
		}
		return api.Errorf(api.CodeConflict, "cannot remove the template %s: because it is everybody's", name).
			WithFix("remove it on the server's machine: brig template rm %s", name)
	case of != owner:
		return noTemplate(name)
	}
	if err := s.cfg.Templates.Remove(ctx, name); err != nil && (api.CodeOf(err) != api.CodeNotFound || of == "") {
		return err
	}
	s.names.Lock()
	defer s.names.Unlock()
	if err := os.Remove(s.ownerPath(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return durable.DiskError("forget whose the template was", err)
	}
	return nil
}

func noTemplate(name string) error {
	return api.Errorf(api.CodeNotFound, "cannot find template %.80q: because there is none", name).WithFix("list them with GET /v1/templates")
}
