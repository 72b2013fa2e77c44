// The life of sandboxes: made, found, moved in time, kept, forked, ended.
import assert from "node:assert/strict";
import { test } from "node:test";

import { AuthError, BadRequestError, Client, ConflictError, NotFoundError, Sandbox } from "@brig/sdk";

import { all, client, withSandbox } from "./helpers.mjs";

test("made, found, listed, ended", async () => {
  const sandbox = await Sandbox.create({ template: "python", ttlSeconds: 60, name: `ts-${process.pid}`, metadata: { n: 7, yes: true } });
  try {
    assert.deepEqual(sandbox.info.metadata, { n: "7", yes: "true" });
    assert.equal(sandbox.info.isolation, "gvisor");
    assert.equal((await Sandbox.get(sandbox.info.name)).id, sandbox.id);
    assert.deepEqual((await Sandbox.list({ metadata: { n: "7" }, status: "running" })).map((s) => s.id), [sandbox.id]);
  } finally {
    await sandbox.delete();
  }
  await assert.rejects(sandbox.exec("true"), (e) => e instanceof NotFoundError && e.fix !== undefined);
  await sandbox[Symbol.asyncDispose](); // again is no error
  assert.ok((await sandbox.events()).some((e) => e.type === "ended" && e.sandboxId === sandbox.id));
});

test("mistakes", async () => {
  await assert.rejects(client.sandboxes.get("nope"), NotFoundError);
  await assert.rejects(client.sandboxes.create({ template: "no-such" }), (e) => e.code === "not_found" || e.code === "invalid");
  await assert.rejects(client.sandboxes.create({ ttlSeconds: -1 }), BadRequestError);
  await assert.rejects(new Client({ apiKey: "brig_wrong" }).sandboxes.list(), AuthError);
  assert.equal((await client.version()).name, "brig");
  await client.ready();
});

test("one key makes one sandbox", async () => {
  const options = { template: "python", ttlSeconds: 60, idempotencyKey: `k-${process.pid}` };
  const [a, b] = await Promise.all([client.sandboxes.create(options), client.sandboxes.create(options)]);
  assert.equal(a.id, b.id);
  await a.delete();
});

test("listed in pages", async () => {
  const metadata = { paged: `${process.pid}` };
  const made = await Promise.all([1, 2, 3].map(() => client.sandboxes.create({ template: "python", ttlSeconds: 60, metadata })));
  const listed = await all(client.sandboxes.iterate({ metadata, pageSize: 2 }));
  assert.deepEqual(listed.map((s) => s.id).sort(), made.map((s) => s.id).sort());
  await Promise.all(made.map((s) => s.delete()));
});

test("lifecycle", () =>
  withSandbox(async (sandbox) => {
    assert.equal((await sandbox.setTtl(90)).ttlSeconds, 90);
    const changed = await sandbox.setLifecycle({ idleTimeoutSeconds: 50 });
    assert.deepEqual([changed.ttlSeconds, changed.idleTimeoutSeconds, changed.persistent], [90, 50, false]);
    assert.ok(new Date((await sandbox.lifecycle()).expiresAt) > new Date());
    assert.ok((await sandbox.stats()).memoryBytes > 0);
  }));

test("pause, hibernate, wake", () =>
  withSandbox(async (sandbox) => {
    await sandbox.exec("echo kept > /work/f");
    await sandbox.pause();
    await assert.rejects(sandbox.exec("true"), ConflictError);
    await sandbox.resume();
    await sandbox.hibernate();
    assert.equal((await sandbox.refresh()).status, "hibernated");
    await sandbox.wake();
    assert.equal(await sandbox.filesystem.readText("/work/f"), "kept\n");
  }));

test("snapshots", () =>
  withSandbox(async (sandbox) => {
    await sandbox.runCode("x = 1");
    const snapshot = await sandbox.snapshot({ name: "ts", ttlSeconds: 600 });
    try {
      await sandbox.runCode("x = 2");
      await withSandbox(async (second) => assert.equal((await second.runCode("x")).text, "1"), { template: undefined, fromSnapshot: snapshot.id });
      assert.equal((await client.snapshots.get(snapshot.id)).sandboxId, sandbox.id);
      assert.ok((await client.snapshots.list({ sandboxId: sandbox.id })).length === 1);
    } finally {
      await client.snapshots.delete(snapshot.id);
    }
  }));

test("fork and promote", () =>
  withSandbox(async (sandbox) => {
    await sandbox.filesystem.write("/work/f", "parent");
    const tree = await sandbox.forkTree({ count: 3, metadata: { role: "child" } });
    assert.deepEqual([tree.children.length, tree.errors.length, tree.parentId], [3, 0, sandbox.id]);
    const [first, second] = tree.children;
    await first.filesystem.write("/work/f", "first");
    assert.equal(await second.filesystem.readText("/work/f"), "parent");
    const promoted = await first.promote();
    assert.deepEqual([promoted.winner, promoted.deleted.length], [first.id, 2]);
    await assert.rejects(second.exec("true"), NotFoundError);
    const child = await first.fork();
    assert.equal(await child.filesystem.readText("/work/f"), "first");
    await Promise.all([first.delete(), child.delete()]);
  }));

test("events, until the end", () =>
  withSandbox(async (sandbox) => {
    const types = [];
    for await (const event of sandbox.followEvents()) {
      if (types.push(event.type) === 1) void sandbox.delete();
    }
    assert.equal(types.at(-1), "ended");
  }));

test("logs", () =>
  withSandbox(async (sandbox) => {
    await sandbox.exec("echo out; echo err >&2");
    assert.match((await all(sandbox.logs())).join(""), /out\n/);
    assert.doesNotMatch((await all(sandbox.logs({ stream: "stderr" }))).join(""), /out/);
    let seen = "";
    for await (const piece of sandbox.logs({ follow: true })) {
      seen += piece;
      if (seen.includes("out")) break;
    }
  }));

test("keys", async () => {
  const key = await client.keys.create({ label: "ts", scopes: ["read"], ttlSeconds: 600 });
  try {
    const reader = new Client({ apiKey: key.key });
    assert.ok(Array.isArray(await reader.sandboxes.list()));
    await assert.rejects(reader.sandboxes.create({ template: "python" }), AuthError);
    assert.ok((await client.keys.list()).some((k) => k.prefix === key.prefix && k.key === undefined));
  } finally {
    await client.keys.revoke(key.prefix);
  }
  await assert.rejects(new Client({ apiKey: key.key }).sandboxes.list(), AuthError);
});
