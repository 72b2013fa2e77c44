// Many items, each in a sandbox of its own.
import assert from "node:assert/strict";
import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { BadRequestError, fileJournal, ServerError } from "@brig/sdk";

import { info, json, stub } from "./stub.mjs";

/** boxes serves sandboxes and counts those that live. */
function boxes(use) {
  const count = { live: 0, most: 0, made: 0 };
  return stub((request, response) => {
    if (request.method === "DELETE") {
      count.live--;
      return json(response, 204);
    }
    count.most = Math.max(count.most, ++count.live);
    json(response, 201, info(`s${count.made++}`));
  }, (client, requests) => use(client, count, requests));
}

const all = async (results) => {
  const list = [];
  for await (const result of results) list.push(result);
  return list.sort((a, b) => a.index - b.index);
};

const soon = () => new Promise((resolve) => setTimeout(resolve, 2));

test("every item has a sandbox, and only so many live at a time", () =>
  boxes(async (client, count, requests) => {
    const progress = [];
    const results = await all(client.map([..."abcdefghij"], async (sandbox, item) => (await soon(), item + item), {
      concurrency: 3, create: { template: "t" }, onProgress: (p) => progress.push(p),
    }));
    assert.deepEqual(results.map((r) => r.value), [..."abcdefghij"].map((c) => c + c));
    assert.deepEqual([count.made, count.live, count.most], [10, 0, 3]);
    assert.deepEqual(requests[0].json, { ttl_seconds: 600, template: "t" });
    assert.deepEqual([progress.length, progress[9].done, progress[9].failed, progress[9].total, progress[9].running], [10, 10, 0, 10, 0]);
  }));

test("endless input is read no faster than its results", () =>
  boxes(async (client, count) => {
    let read = 0;
    let closed = false;
    async function* endless() {
      try {
        for (;;) yield read++;
      } finally {
        closed = true;
      }
    }
    let seen = 0;
    for await (const result of client.map(endless(), async () => 1, { concurrency: 4 })) {
      assert.equal(result.ok, true);
      if (++seen === 20) break;
    }
    assert.ok(read <= 20 + 5, `${read} were read for 20 results`);
    assert.equal(closed, true);
    assert.equal(count.live, 0);
  }));

test("one failure does not stop the others", () =>
  boxes(async (client) => {
    const results = await all(client.map([1, 2, 3], async (_, n) => {
      if (n === 2) throw new Error("two");
      return n;
    }));
    assert.deepEqual(results.map((r) => (r.ok ? r.value : r.error.message)), [1, "two", 3]);
  }));

test("failures of the server are tried again in a new sandbox, those of the work are not", () =>
  boxes(async (client, count) => {
    const tries = { server: 0, work: 0 };
    const [server, work] = await all(client.map(["server", "work"], async (_, item) => {
      tries[item]++;
      if (item === "work") throw new Error("bug");
      if (tries.server < 3) throw new ServerError("oops");
      return "done";
    }, { attempts: 3 }));
    assert.deepEqual([server.ok, server.attempts, work.ok, work.attempts, count.made], [true, 3, false, 1, 4]);
  }));

test("a run goes on where another has ended", async () => {
  const dir = await mkdtemp(join(tmpdir(), "brig-map-"));
  const resume = join(dir, "results.jsonl");
  const items = ["a", "b", "c"].map((id) => ({ id }));
  const work = (fail) => async (_, { id }) => {
    if (id === fail) throw new Error(id);
    return { id };
  };
  try {
    await boxes((client) => all(client.map(items, work("b"), { resume })));
    await appendFile(resume, '{"key":"b","ok":tr'); // a crash
    await boxes(async (client, count) => {
      const results = await all(client.map(items, work(), { resume }));
      assert.deepEqual(results.map((r) => [r.value.id, r.resumed]), [["a", true], ["b", false], ["c", true]]);
      assert.equal(count.made, 1);
    });
    await boxes(async (client, count) => {
      assert.equal((await all(client.map(items, work(), { resume }))).filter((r) => r.resumed).length, 3);
      assert.equal(count.made, 0);
    });
  } finally {
    await rm(dir, { recursive: true });
  }
});

test("what cannot be kept is a failure", () =>
  boxes(async (client) => {
    const dir = await mkdtemp(join(tmpdir(), "brig-map-"));
    try {
      const loop = {};
      loop.loop = loop;
      const [result] = await all(client.map([1], async () => loop, { resume: join(dir, "r") }));
      assert.ok(!result.ok && result.error instanceof BadRequestError);
    } finally {
      await rm(dir, { recursive: true });
    }
  }));

test("a stop deletes the sandboxes", () =>
  boxes(async (client, count) => {
    const stop = new AbortController();
    const results = client.map([1, 2, 3, 4], async (_, n) => {
      if (n === 2) stop.abort(new Error("enough"));
      await new Promise(() => undefined); // does not care
    }, { concurrency: 2, signal: stop.signal });
    await assert.rejects(all(results), /enough/);
    assert.deepEqual([count.made, count.live], [2, 0]);
  }));

test("mistakes", () =>
  boxes(async (client) => {
    await assert.rejects(all(client.map([1, 1], async () => 1, { key: String })), (e) => e instanceof BadRequestError && /key "1"/.test(e.message));
    await assert.rejects(all(client.map([1], async () => 1, { concurrency: 0 })), BadRequestError);
    await assert.rejects(all(client.map((function* () { throw new Error("input"); })(), async () => 1)), /input/);
  }));

test("a journal in a file", async () => {
  const dir = await mkdtemp(join(tmpdir(), "brig-journal-"));
  const path = join(dir, "j");
  try {
    const journal = fileJournal(path);
    assert.deepEqual(await all(journal.load()), []);
    await Promise.all(Array.from({ length: 20 }, (_, i) => journal.append({ key: String(i), value: "é\n".repeat(i) })));
    assert.equal((await readFile(path, "utf8")).trimEnd().split("\n").length, 20);
    await writeFile(path, '{"key":"x","ok":false,"value":null}\n{"key":"y","ok":true,"value":1}\n{"key":"z","o');
    await fileJournal(path).append({ key: "w", value: 2 });
    const loaded = [];
    for await (const entry of fileJournal(path).load()) loaded.push(entry.key);
    assert.deepEqual(loaded, ["y", "w"]);
  } finally {
    await rm(dir, { recursive: true });
  }
});
