// Programs, cells and results that come as streams, also over connections that break.
import assert from "node:assert/strict";
import { test } from "node:test";

import { CommandError, NetworkError, SandboxTimeout } from "@brig/sdk";

import { end, event, info, json, stub } from "./stub.mjs";

/** withStream answers a sandbox, and other requests with the pieces of a stream. */
const withStream = (pieces, use) =>
  stub(async (request, response, n) => {
    if (n === 0) {
      return json(response, 200, info("a"));
    }
    if (request.url.endsWith("/signal")) {
      return json(response, 204);
    }
    response.writeHead(200, { "x-exec-id": "p1" });
    for (const piece of pieces(n - 1, request)) {
      if (piece === "break") {
        return response.destroy();
      }
      if (response.destroyed) {
        return;
      }
      response.write(piece);
      await new Promise(setImmediate);
    }
    response.end();
  }, async (client, requests) => use(await client.sandboxes.get("a"), requests));

const chunk = (text) => ({ chunk: text });

test("events in pieces of one byte", () => {
  const text = ": ping\n\n" + event("stdout", chunk("é€😀\n")) + ": ping\n\n" + event("stderr", chunk("e")) + event("exit", { ...end, exit_code: 3, stdout: "" });
  const bytes = Buffer.from(text);
  return withStream(() => [...bytes].map((_, i) => bytes.subarray(i, i + 1)), async (sandbox) => {
    const seen = [];
    const result = await sandbox.exec("x", { onStdout: (t) => seen.push(t) });
    assert.deepEqual([result.stdout, result.stderr, result.exitCode, result.ok, seen.join("")], ["é€😀\n", "e", 3, false, "é€😀\n"]);
  });
});

test("bytes that are no text are exact", () =>
  withStream(() => [event("stdout", { chunk: "a\ufffd", base64: Buffer.from([0x61, 0xff]).toString("base64") }), event("exit", end)], async (sandbox) => {
    const { stdout, stdoutBytes } = await sandbox.exec("x");
    assert.deepEqual([stdout, ...stdoutBytes], ["a\ufffd", 0x61, 0xff]);
  }));

test("what is asked of a program", () =>
  withStream(() => [event("exit", end)], async (sandbox, requests) => {
    await sandbox.exec(["a", "b"], { cwd: "/c", env: { D: "e" }, stdin: new Uint8Array([255]), user: "root" });
    assert.deepEqual(requests[1].json, {
      argv: ["a", "b"], stdin_base64: "/w==", cwd: "/c", env: { D: "e" }, timeout_seconds: 300, output_bytes: 16 << 20, user: "root", on_timeout: "result",
    });
    await sandbox.execStream("line", { stdin: "text" });
    assert.deepEqual(requests[2].json, { cmd: "line", stdin: "text", on_timeout: "result" });
  }));

test("check", () =>
  withStream(() => [event("stderr", chunk("first\nthe reason\n")), event("exit", { ...end, exit_code: 2, verdict: "nonzero" })], (sandbox) =>
    assert.rejects(sandbox.exec("x", { check: true }), (e) => e instanceof CommandError && e.result.exitCode === 2 && /the reason/.test(e.message))));

test("a connection that breaks is made again, and nothing is lost or said twice", () =>
  withStream((n) => [
    [event("stdout", chunk("one "), "p1:4"), event("stdout", chunk("half")).slice(0, 20), "break"],
    ["break"],
    [event("stdout", chunk("two "), "p1:8"), "break"],
    [event("stdout", chunk("three"), "p1:13"), event("exit", end)],
  ][n], async (sandbox, requests) => {
    const result = await sandbox.exec("x");
    assert.deepEqual([result.stdout, result.truncated], ["one two three", false]);
    assert.deepEqual(requests.slice(1).map((r) => [r.method, r.headers["last-event-id"]]), [["POST", undefined], ["GET", "p1:4"], ["GET", "p1:4"], ["GET", "p1:8"]]);
  }));

test("a stream without an end is no success", () =>
  stub((request, response) => {
    if (request.method === "GET") return json(response, 200, info("a"));
    response.end(event("stdout", chunk("x")));
  }, async (client) => {
    const sandbox = await client.sandboxes.get("a");
    await assert.rejects(sandbox.exec("x"), NetworkError);
    await assert.rejects(sandbox.runCode("x"), NetworkError);
  }));

test("an error inside of a stream has its class", () =>
  withStream(() => [event("error", { error: "too late", code: "timeout" })], (sandbox) =>
    assert.rejects(sandbox.exec("x"), (e) => e instanceof SandboxTimeout && e.message === "too late")));

test("a caller that gives up ends the program", async () => {
  for (const giveUp of [
    (sandbox) => {
      const stop = new AbortController();
      return sandbox.exec("x", { signal: stop.signal, onStdout: () => stop.abort(new Error("enough")) });
    },
    (sandbox) => sandbox.exec("x", { onStdout: () => { throw new Error("enough"); } }),
  ]) {
    await withStream(function* () { for (;;) yield event("stdout", chunk("y"), "p1:1"); }, async (sandbox, requests) => {
      await assert.rejects(giveUp(sandbox), /enough/);
      const last = requests.at(-1);
      assert.deepEqual([last.url, last.json], ["/v1/sandboxes/a/processes/p1/signal", { signal: "KILL", tree: true }]);
    });
  }
});

test("the output of a process goes on where it was", () =>
  stub((request, response, n) => {
    if (n === 0) return json(response, 200, info("a"));
    if (n === 1) return json(response, 201, { id: "p1", pid: 4 });
    const piece = (offset, text) => event("stdout", { offset, base64: Buffer.from(text).toString("base64") });
    response.writeHead(200);
    if (n === 2) { response.write(piece(0, "abc")); return setTimeout(() => response.destroy(), 20); }
    assert.equal(new URL(request.url, "http://x").searchParams.get("offset"), "3");
    response.end(piece(5, "fg") + event("exit", {}));
  }, async (client) => {
    const process = await (await client.sandboxes.get("a")).processes.start("x");
    const seen = [];
    for await (const { bytes, offset, lost } of process.output()) seen.push([new TextDecoder().decode(bytes), offset, lost]);
    assert.deepEqual(seen, [["abc", 0, 0], ["fg", 5, 2]]);
  }));

test("the results of a batch go on where they were", () => {
  const lines = [{ custom_id: "a", ok: true, result: { snake_key: 1 }, exit_code: 0 }, { custom_id: "é", ok: true, result: null, exit_code: 0 }].map((l) => `${JSON.stringify(l)}\n`);
  return stub((request, response, n) => {
    response.writeHead(200);
    if (n === 0) { response.write(lines[0] + lines[1].slice(0, 9)); return setTimeout(() => response.destroy(), 20); }
    assert.equal(new URL(request.url, "http://x").searchParams.get("offset"), String(Buffer.byteLength(lines[0])));
    response.end(lines[1]);
  }, async (client) => {
    const seen = [];
    for await (const result of client.batches.results("b")) seen.push([result.customId, result.exitCode, result.result]);
    assert.deepEqual(seen, [["a", 0, { snake_key: 1 }], ["é", 0, null]]);
  });
});

test("a cell", () =>
  withStream(() => [
    event("event", { stdout: "said\n" }), event("event", { result: { data: { "text/plain": "1" } } }),
    event("end", {
      results: [{ data: { "image/png": Buffer.from([1, 2]).toString("base64"), "application/json": '{"a_b":1}' } }, { data: { "text/plain": "42" }, main: true }],
      stdout: "said\n", stderr: "", execution_count: 2, wall_ms: 5,
    }),
  ], async (sandbox) => {
    const seen = [];
    const cell = await sandbox.runCode("x", { onStdout: (t) => seen.push(t), onResult: (r) => seen.push(r.text) });
    assert.deepEqual(seen, ["said\n", "1"]);
    assert.deepEqual([cell.text, cell.executionCount, [...cell.results[0].png], cell.results[0].json], ["42", 2, [1, 2], { a_b: 1 }]);
  }));
