package host

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/driver/fake"
)

var discardLog = slog.New(slog.DiscardHandler)

// journalled makes a box as a Manager does: first the record, then the box.
func journalled(t *testing.T, o *owner, d *fake.Driver, id string) {
	t.Helper()
	r := record{Info: api.SandboxInfo{ID: id, Driver: d.Name(), State: stateRunning}, Handle: driver.Handle{Driver: d.Name(), ID: id}}
	if err := o.journal().write(r); err != nil {
		t.Fatal(err)
	}
	bare(t, d, id)
}

// bare makes a box that no journal has.
func bare(t *testing.T, d *fake.Driver, id string) {
	t.Helper()
	if _, err := d.Create(t.Context(), driver.BoxSpec{ID: id, Limits: api.DefaultLimits()}); err != nil {
		t.Fatal(err)
	}
}

func testOwner(t *testing.T, stateDir string) *owner {
	t.Helper()
	o, err := register(stateDir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.release)
	return o
}

func boxesOf(t *testing.T, d driver.Driver) []string {
	t.Helper()
	ids, err := d.Leftovers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func recoverAll(t *testing.T, stateDir string, dryRun bool, drivers ...driver.Driver) Report {
	t.Helper()
	report, err := Recover(t.Context(), stateDir, drivers, dryRun, discardLog)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestRecoverTakesTheDeadAndLeavesTheLiving(t *testing.T) {
	dir := t.TempDir()
	d := fake.New(fake.Options{})
	prefix := idPrefix(dir)
	living, dead, crashed := testOwner(t, dir), testOwner(t, dir), testOwner(t, dir)
	journalled(t, living, d, prefix+"living")
	journalled(t, dead, d, prefix+"dead")
	bare(t, d, prefix+"unknown")
	bare(t, d, "bake-python")
	bare(t, d, idPrefix(dir+"/another")+"box")
	// A process that died while it registered, and one that died before it had
	// filled the record that it made.
	if err := os.Mkdir(filepath.Join(dir, "1-2-3"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(crashed.journal().path(prefix+"x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dead.release()
	crashed.release()

	for _, dryRun := range []bool{true, false} {
		report := recoverAll(t, dir, dryRun, d)
		var found []string // in the order of the owners' names, which are random
		for _, b := range report.Boxes {
			found = append(found, b.ID)
		}
		slices.Sort(found)
		if want := []string{prefix + "dead", prefix + "unknown", prefix + "x"}; !slices.Equal(found, want) || report.Owners != 3 || report.Foreign != 2 || report.Failed() > 0 {
			t.Errorf("dry run %v: %+v, want boxes %v of 3 owners, and 2 foreign", dryRun, report, want)
		}
		if dryRun && len(boxesOf(t, d)) != 5 {
			t.Errorf("a dry run left %v", boxesOf(t, d))
		}
	}
	want := []string{"bake-python", idPrefix(dir+"/another") + "box", prefix + "living"}
	slices.Sort(want)
	if got := boxesOf(t, d); !slices.Equal(got, want) {
		t.Errorf("left %v, want %v", got, want)
	}
	if dirs, _ := owners(dir); !slices.Equal(dirs, []string{living.dir}) {
		t.Errorf("owners left: %v", dirs)
	}
	if report := recoverAll(t, dir, false, d); len(report.Boxes) > 0 || report.Owners > 0 {
		t.Errorf("the second time: %+v", report)
	}
}

func TestRecoverKeepsWhatItCannotRemove(t *testing.T) {
	dir := t.TempDir()
	d := fake.New(fake.Options{Fault: func(int, driver.BoxSpec) fake.Fault {
		return fake.Fault{Destroy: errors.New("the kernel said no")}
	}})
	dead := testOwner(t, dir)
	journalled(t, dead, d, "stuck")
	dead.release()
	if report := recoverAll(t, dir, false); report.Failed() != 1 || !strings.Contains(report.Boxes[0].Error, "no driver") {
		t.Errorf("without its driver: %+v", report)
	}
	report := recoverAll(t, dir, false, d)
	if report.Failed() != 1 || report.Removed() != 0 || !strings.Contains(report.Boxes[0].Error, "the kernel said no") {
		t.Errorf("the first time: %+v", report)
	}
	if report := recoverAll(t, dir, false, d); report.Removed() != 1 {
		t.Errorf("the second time: %+v", report)
	}
	if left, _ := owners(dir); len(left)+len(boxesOf(t, d)) > 0 {
		t.Errorf("left %v and %v", left, boxesOf(t, d))
	}
}

// A record that is no JSON still has its id in its name; every driver is asked.
func TestRecoverDamagedRecord(t *testing.T) {
	dir := t.TempDir()
	other, d := fake.New(fake.Options{Name: "other"}), fake.New(fake.Options{})
	dead := testOwner(t, dir)
	journalled(t, dead, d, "damaged")
	if err := os.WriteFile(dead.journal().path("damaged"), []byte(`{"handle":{"id":"../../x"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	dead.release()
	if report := recoverAll(t, dir, false, other, d); report.Removed() != 1 || len(boxesOf(t, d)) > 0 {
		t.Errorf("%+v; left %v", report, boxesOf(t, d))
	}
}

func TestRecoverWithoutStateDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "never", "made")
	if report := recoverAll(t, dir, false); report.Owners > 0 || len(report.Boxes) > 0 {
		t.Errorf("%+v", report)
	}
	if list, err := ListAll(dir); err != nil || list == nil || len(list) > 0 {
		t.Errorf("%v, %v; want an empty list", list, err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("looking made the directory")
	}
}

func TestListAll(t *testing.T) {
	dir := t.TempDir()
	d := fake.New(fake.Options{})
	living, dead := testOwner(t, dir), testOwner(t, dir)
	journalled(t, living, d, "a")
	journalled(t, dead, d, "b")
	dead.release()
	list, err := ListAll(dir)
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]string{}
	for _, info := range list {
		states[info.ID] = info.State
	}
	if len(states) != 2 || states["a"] != stateRunning || states["b"] != stateOrphan {
		t.Errorf("%v", states)
	}
}

// Processes that come and go while another looks: nobody's directory is taken
// away while it lives.
func TestRegistrationAgainstRecovery(t *testing.T) {
	dir := t.TempDir()
	d := fake.New(fake.Options{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 200 {
			o, err := register(dir)
			if err != nil {
				t.Errorf("register: %v", err)
				return
			}
			if err := o.journal().write(record{Handle: driver.Handle{ID: "x"}, Info: api.SandboxInfo{ID: "x"}}); err != nil {
				t.Errorf("owner %d lost its directory: %v", i, err)
			}
			if err := o.journal().remove("x"); err != nil {
				t.Error(err)
			}
			if err := o.remove(); err != nil {
				t.Error(err)
			}
		}
	}()
	for {
		select {
		case <-done:
			if left, _ := owners(dir); len(left) > 0 {
				t.Errorf("left %v", left)
			}
			return
		default:
		}
		recoverAll(t, dir, false, d)
		if _, err := ListAll(dir); err != nil {
			t.Fatal(err)
		}
	}
}

// A record that got shorter is read without the end of the old one.
func TestJournalRewrite(t *testing.T) {
	j := journal{t.TempDir()}
	for _, name := range []string{"a-long-name-of-a-template", "short"} {
		want := record{Info: api.SandboxInfo{ID: "x", Driver: "d", Template: name}, Handle: driver.Handle{ID: "x", Driver: "d"}}
		if err := j.write(want); err != nil {
			t.Fatal(err)
		}
		got, err := j.read()
		if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0].Info, want.Info) {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	}
}

func TestJournalFullDisk(t *testing.T) {
	j := journal{filepath.Join(t.TempDir(), "missing")}
	err := j.write(record{Info: api.SandboxInfo{ID: "x"}})
	if api.CodeOf(err) != api.CodeInternal || api.FixOf(err) == "" {
		t.Errorf("%v, want an internal error with a fix", err)
	}
	if err := j.remove("x"); err != nil {
		t.Errorf("removing what is not there: %v", err)
	}
}

func TestIDs(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := newID("/run/brig")
		if seen[id] || len(id) > 40 || strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			t.Fatalf("bad or repeated id %q", id)
		}
		seen[id] = true
	}
	if idPrefix("/run/brig") == idPrefix("/run/brig2") {
		t.Error("two state directories have one prefix")
	}
}
