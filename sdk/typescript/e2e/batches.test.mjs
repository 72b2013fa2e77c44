// Many items: mapped from here, and as batches of the server's own.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { BrigProvider } from "@brig/sdk";

import { all, client } from "./helpers.mjs";

test("a map over 64 items, 32 at a time, that goes on after a stop", async () => {
  const dir = await mkdtemp(join(tmpdir(), "brig-map-"));
  const items = Array.from({ length: 64 }, (_, id) => ({ id, values: [id, id + 1] }));
  const work = async (sandbox, item) => {
    await sandbox.filesystem.write("/work/input.json", JSON.stringify(item));
    await sandbox.filesystem.write("/work/run.py", "import json; d = json.load(open('input.json')); json.dump(sum(d['values']), open('result.json', 'w'))");
    await sandbox.exec("python3 run.py", { timeoutSeconds: 20, check: true });
    return JSON.parse(await sandbox.filesystem.readText("/work/result.json"));
  };
  const options = { concurrency: 32, create: { template: "python", ttlSeconds: 60, metadata: { from: "map" } }, resume: join(dir, "results.jsonl") };
  try {
    let seen = 0;
    for await (const result of client.map(items, work, options)) {
      assert.equal(result.ok, true, String(result.error));
      if (++seen === 20) break;
    }
    const results = await all(client.map(items, work, options));
    results.sort((a, b) => a.index - b.index);
    assert.deepEqual(results.map((r) => r.value), items.map(({ id }) => 2 * id + 1));
    assert.ok(results.filter((r) => r.resumed).length >= 20);
    assert.deepEqual(await client.sandboxes.list({ metadata: { from: "map" } }), []);
  } finally {
    await rm(dir, { recursive: true });
  }
});

test("a batch", async () => {
  const items = [1, 2, 3].map((n) => ({ custom_id: `i${n}`, code: "import json; json.dump({'a_key': json.load(open('/work/input.json')) * 2}, open('/work/result.json', 'w'))", input: n }));
  items.push({ custom_id: "bad", code: "raise SystemExit(3)" });
  const file = await client.files.upload(items.map((i) => JSON.stringify(i)).join("\n"), { filename: "items.jsonl" });
  const batch = await client.batches.create({ inputFileId: file.id, template: "python", metadata: { run: 1 } });
  const results = await all(client.batches.results(batch.id, { follow: true }));
  assert.deepEqual(results.map((r) => [r.customId, r.verdict, r.result]).sort(), [
    ["bad", "nonzero", null], ["i1", "ok", { a_key: 2 }], ["i2", "ok", { a_key: 4 }], ["i3", "ok", { a_key: 6 }],
  ]);
  const done = await client.batches.wait(batch.id);
  assert.deepEqual([done.status, done.requestCounts.total, done.requestCounts.completed, done.requestCounts.failed], ["completed", 4, 3, 1]);
  assert.equal((await client.batches.item(batch.id, "i2")).result.result.a_key, 4);
  assert.ok((await client.batches.list()).data.some((b) => b.id === batch.id));
  assert.ok((await client.files.content(done.outputFileId)).length > 0);
  await client.batches.delete(batch.id);
  await client.files.delete(file.id);
});

test("a provider", async () => {
  const provider = new BrigProvider({ template: "python", ttlSeconds: 60 });
  try {
    await provider.uploadFile("in.bin", new Uint8Array([1, 2, 255]));
    const run = await provider.execute("rev=\"open('out.bin', 'wb').write(open('in.bin', 'rb').read()[::-1])\"; python3 -c \"$rev\" && echo done");
    assert.deepEqual([run.stdout, run.exitCode, run.timedOut], ["done\n", 0, false]);
    assert.deepEqual([...(await provider.downloadFile("out.bin"))], [255, 2, 1]);
    assert.equal((await provider.execute("exit 3")).exitCode, 3);
    assert.equal((await provider.execute("sleep 60", { timeoutSeconds: 0.5 })).timedOut, true);
  } finally {
    await provider.cleanup();
  }
});
