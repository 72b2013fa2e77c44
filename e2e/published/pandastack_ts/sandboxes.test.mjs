// The life of sandboxes through the published package: made, listed, paused, kept,
// forked, ended.
import assert from "node:assert/strict";
import { test } from "node:test";

import { AuthError, BadRequestError, Client, ExploreError, NotFoundError, Sandbox } from "@pandastack/sdk";

import { client, notServed, template, withSandbox } from "./helpers.mjs";

test("made with the package's defaults, found, listed, ended", async () => {
  const panda = client();
  const sandbox = await Sandbox.create({}, panda); // names the template ubuntu-24.04
  try {
    assert.equal(sandbox.status, "running");
    assert.ok(sandbox.info.cpu > 0 && sandbox.info.memory_mb > 0 && sandbox.info.boot_ms >= 0 && sandbox.info.created_at);
    assert.equal((await sandbox.exec("echo ok")).stdout, "ok\n");
    assert.equal((await panda.sandboxes.get(sandbox.id)).id, sandbox.id);
    assert.ok((await Sandbox.list(panda)).some((s) => s.id === sandbox.id));
  } finally {
    await sandbox.kill();
  }
  await assert.rejects(sandbox.exec("true"), NotFoundError);
  assert.ok(!(await panda.sandboxes.list()).some((s) => s.id === sandbox.id));
});

test("what goes wrong has the class that the package has for it", async () => {
  const wrong = new Client({ apiUrl: process.env.BRIG_API, apiKey: "pds_00000000000000000000000000000000" });
  await assert.rejects(wrong.sandboxes.list(), AuthError);
  await assert.rejects(client().sandboxes.get("nope"), (e) => e instanceof NotFoundError && /nope/.test(e.message) && e.statusCode === 404);
  await assert.rejects(client().sandboxes.create({ template: "no-such" }), (e) => e instanceof NotFoundError || e instanceof BadRequestError);
  await assert.rejects(client().sandboxes.create({ template, ttlSeconds: -1 }), BadRequestError);
  await notServed(client().sandboxes.create({ template, volumes: [{ name: "v" }] }));
});

test("a base URL that ends in /v1", async () => {
  const panda = new Client({ apiUrl: `${process.env.BRIG_API}/v1`, apiKey: process.env.BRIG_API_KEY });
  assert.ok(Array.isArray(await panda.sandboxes.list()));
});

test("lifecycle", () =>
  withSandbox(async (sandbox) => {
    assert.equal((await sandbox.lifecycle()).ttl_seconds, 120);
    assert.equal((await sandbox.setTtl(90)).ttl_seconds, 90);
    const kept = await sandbox.setPersistent(true);
    assert.equal(kept.persistent, true);
    assert.ok(kept.idle_seconds >= 0);
  }));

test("pause and resume, hibernate and wake: programs and files go on", () =>
  withSandbox(async (sandbox) => {
    await sandbox.exec("echo kept > /work/f; (while :; do sleep 0.1; done) & echo $! > /work/pid");
    await sandbox.pause();
    await assert.rejects(sandbox.exec("true"), (e) => e instanceof BadRequestError && e.statusCode === 409);
    await sandbox.resume();
    await sandbox.hibernate();
    assert.equal((await client().sandboxes.get(sandbox.id)).status, "hibernated");
    await sandbox.wake();
    await sandbox.hibernate();
    const run = await sandbox.exec("cat /work/f && kill -0 $(cat /work/pid)"); // wakes it by itself
    assert.deepEqual([run.exitCode, run.stdout], [0, "kept\n"]);
  }));

test("snapshots", () =>
  withSandbox(async (sandbox) => {
    const panda = client();
    await sandbox.filesystem.write("/work/f", "then");
    const snapshot = await sandbox.snapshot();
    assert.equal(snapshot.sandbox_id, sandbox.id);
    await sandbox.filesystem.write("/work/f", "now");
    const second = await panda.sandboxes.create({ fromSnapshot: snapshot.id, ttlSeconds: 60 });
    try {
      assert.equal(await second.filesystem.read("/work/f"), "then");
      assert.equal(second.info.from_snapshot, snapshot.id);
    } finally {
      await second.kill();
    }
    assert.deepEqual((await panda.snapshots.list({ sandbox_id: sandbox.id })).map((s) => s.id), [snapshot.id]);
    const shown = await panda.snapshots.get(snapshot.id);
    assert.ok(shown.size_bytes > 0 && shown.created_at && shown.template === template);
    await panda.snapshots.delete(snapshot.id);
    await assert.rejects(panda.snapshots.get(snapshot.id), NotFoundError);
  }));

test("fork, fork-tree, promote", () =>
  withSandbox(async (sandbox) => {
    await sandbox.filesystem.write("/work/f", "parent");
    const child = await sandbox.fork({ metadata: { role: "child" } });
    assert.equal(child.info.metadata.role, "child");
    assert.equal(await child.filesystem.read("/work/f"), "parent");
    await child.filesystem.write("/work/f", "child");
    assert.equal(await sandbox.filesystem.read("/work/f"), "parent");
    await child.kill();

    const children = await sandbox.forkTree({ count: 3 });
    assert.equal(children.length, 3);
    const tree = children[0].info.metadata.fork_tree_id;
    assert.ok(tree && children.every((c) => c.info.metadata.fork_tree_id === tree));
    const promoted = await children[1].promote({ cleanupSiblings: true });
    assert.equal(promoted.winner, children[1].id);
    assert.deepEqual(promoted.deleted.sort(), [children[0].id, children[2].id].sort());
    await assert.rejects(children[0].exec("true"), NotFoundError);
    await children[1].kill();
  }));

test("explore keeps the best branch", () =>
  withSandbox(async (sandbox) => {
    const result = await sandbox.explore(
      ["echo 1 > /work/out", "echo 22 > /work/out; echo PASS", "exit 3", { label: "slow", cmd: "sleep 30", timeoutS: 1 }],
      { scoreFn: (_, o) => (o.stdoutTail.includes("PASS") ? 2 : o.ok ? 1 : 0) },
    );
    assert.deepEqual(result.errors, []);
    assert.equal(result.winnerOutcome.stdoutTail, "PASS\n");
    assert.deepEqual(result.winnerOutcome.filesChanged, ["/work/out"]);
    assert.equal(await result.winner.filesystem.read("/work/out"), "22\n");
    assert.ok(result.treeId);
    assert.equal(result.reaped.length, 3);
    assert.equal(result.outcomes.find((o) => o.label === "slow").timedOut, true);
    await result.winner.kill();
    await assert.rejects(sandbox.explore(["false"]), ExploreError);
  }));
