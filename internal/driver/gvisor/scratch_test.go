package gvisor

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sort"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/guest"
	"github.com/brigdev/brig/internal/guest/agent"
	"github.com/brigdev/brig/internal/image"
)

func mkimg(t *testing.T) string {
	p := "/tmp/gv/py.erofs"
	f, err := os.Create(p)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := image.NewWriter(f, image.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	tar, _ := os.Open("/tmp/py.tar")
	if err := w.AddTar(t.Context(), tar, image.All); err != nil {
		t.Fatal(err)
	}
	if err := w.AddContents(t.Context(), []image.Content{
		{Entry: image.Entry{Path: ".brig/agent", Kind: image.File, Mode: 0o755}, Data: agent.Binary()},
		{Entry: image.Entry{Path: ".brig/runner.py", Kind: image.File, Mode: 0o644}, Data: agent.Runner()},
		{Entry: image.Entry{Path: "proc", Kind: image.Dir, Mode: 0o755}},
		{Entry: image.Entry{Path: "work", Kind: image.Dir, Mode: 0o755, UID: 1000, GID: 1000}},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

const mods = "json,re,csv,datetime,decimal,math,statistics,collections,itertools,functools,random,uuid,secrets,hashlib,base64,pathlib,io,os,sys,string,textwrap,unicodedata,dataclasses,typing,enum,struct,zlib,gzip,time,copy,traceback,subprocess,tempfile,shutil,glob,fnmatch,html,urllib.parse,ast,inspect,argparse,logging,heapq,bisect,operator,contextlib,fractions,calendar,difflib,pprint"

func pct(d []time.Duration, p int) time.Duration {
	sort.Slice(d, func(i, j int) bool { return d[i] < d[j] })
	return d[len(d)*p/100]
}

func TestScratch(t *testing.T) {
	d, err := New(Config{StateDir: "/tmp/gv/state"})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	img := mkimg(t)
	ctx := context.Background()
	l := api.DefaultLimits()
	n := 0
	mk := func(snap string) driver.BoxSpec {
		n++
		return driver.BoxSpec{ID: fmt.Sprintf("s-%d", n), Hostname: "sandbox", Limits: l, Attached: true, Root: driver.RootFS{Image: img}, Agent: []string{"/.brig/agent"}, Snapshot: snap}
	}
	bake := func(extra uint32) string {
		b, err := d.Create(ctx, mk(""))
		if err != nil {
			t.Fatal(err)
		}
		c, err := guest.Start(ctx, b.Channel(), [64]byte{}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if extra != 99 {
			var eb bytes.Buffer
			_, err := c.Exec(ctx, guest.ExecRequest{Flags: guest.ExecWarmStart | extra, Cwd: "/", Argv: wargv(extra), Env: map[string]string{"PATH": "/usr/bin"}}, guest.Streams{Stderr: &eb, Stdout: &eb})
			if err != nil {
				t.Fatal(err, eb.String())
			}
		}
		if err := b.(driver.Snapshotter).Snapshot(ctx, dir, false); err != nil {
			t.Fatal(err, b.Death())
		}
		b.Destroy(ctx)
		es, _ := os.ReadDir(dir)
		for _, e := range es {
			i, _ := e.Info()
			t.Log(e.Name(), i.Size())
		}
		return dir
	}
	item := func(snap string, req guest.ExecRequest, put bool) (total, create, run, destroy, cpu time.Duration) {
		t0 := time.Now()
		b, err := d.Create(ctx, mk(snap))
		if err != nil {
			t.Fatal(err)
		}
		c, err := guest.Start(ctx, b.Channel(), [64]byte{1}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		t1 := time.Now()
		if put {
			if err := c.Put(ctx, "/work/run.py", 0o644, bytes.NewReader([]byte("import json\nprint('hi')\njson.dump({'a':1},open('/work/result.json','w'))\n"))); err != nil {
				t.Fatal(err)
			}
		}
		var out, eb bytes.Buffer
		ex, err := c.Exec(ctx, req, guest.Streams{Stdout: &out, Stderr: &eb})
		if err != nil || ex.Status != 0 {
			t.Fatal(err, ex, out.String(), eb.String())
		}
		if put {
			var r bytes.Buffer
			if _, err := c.Get(ctx, "/work/result.json", 1000, &r); err != nil {
				t.Fatal(err)
			}
		}
		t2 := time.Now()
		u, _ := b.(driver.Usager).Usage()
		b.Destroy(ctx)
		c.Close()
		t3 := time.Now()
		return t3.Sub(t0), t1.Sub(t0), t2.Sub(t1), t3.Sub(t2), u.CPU
	}
	loop := func(name, snap string, req guest.ExecRequest, put bool) {
		var a, bb, cc, dd, ee []time.Duration
		for i := 0; i < 40; i++ {
			w, x, y, z, cpu := item(snap, req, put)
			if i > 2 {
				a, bb, cc, dd, ee = append(a, w), append(bb, x), append(cc, y), append(dd, z), append(ee, cpu)
			}
		}
		t.Logf("%s: total p50 %v p95 %v; create %v run %v destroy %v; box cpu %v (min %v)", name, pct(a, 50), pct(a, 95), pct(bb, 50), pct(cc, 50), pct(dd, 50), pct(ee, 50), pct(ee, 0))
	}
	loop("cold true", "", guest.ExecRequest{Cwd: "/work", Argv: []string{"/bin/true"}, NProc: 128}, false)
	ag := bake(99)
	loop("restored true", ag, guest.ExecRequest{Cwd: "/work", Argv: []string{"/bin/true"}, NProc: 128}, false)
	one := bake(0)
	loop("warm python", one, guest.ExecRequest{Flags: guest.ExecWarm, Cwd: "/work", Argv: []string{"/work/run.py"}, NProc: 128}, true)
	ses := bake(guest.ExecFork | guest.ExecRoot)
	loop("fork python", ses, guest.ExecRequest{Flags: guest.ExecWarm, Cwd: "/work", Argv: []string{"/work/run.py"}, NProc: 128}, true)
	loop("cold python", "", guest.ExecRequest{Cwd: "/work", Argv: []string{"/usr/bin/python3", "-E", "-s", "/work/run.py"}, NProc: 128}, true)
}

func wargv(extra uint32) []string {
	a := []string{"/usr/bin/python3", "-E", "-s", "-B", "/.brig/runner.py", "--warm", mods}
	if extra&guest.ExecFork != 0 {
		a = append(a, "--fork")
	}
	return a
}
