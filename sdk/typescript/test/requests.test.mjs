// What is sent, what is sent again, and what errors become.
import assert from "node:assert/strict";
import { test } from "node:test";

import {
  AuthError, BadRequestError, BrigError, Client, ConflictError, NetworkError, NotFoundError, RateLimitError, SandboxTimeout,
  ServerError, UnavailableError, UnsupportedError,
} from "@brig/sdk";

import { info, json, stub } from "./stub.mjs";

test("names are those of each side, and keys of the caller's stay", () =>
  stub((_, response) => json(response, 201, { ...info("a"), memory_mb: 5, metadata: { some_key: "v" }, limits: { memory_bytes: 1 } }), async (client, requests) => {
    const sandbox = await client.sandboxes.create({ template: "t", ttlSeconds: 9, env: { MY_VAR: "1", myVar: "2" }, metadata: { camelKey: 1 }, limits: { memoryBytes: 7 } });
    assert.equal(requests[0].headers.authorization, "Bearer k");
    assert.deepEqual(requests[0].json, { template: "t", ttl_seconds: 9, env: { MY_VAR: "1", myVar: "2" }, metadata: { camelKey: 1 }, limits: { memory_bytes: 7 } });
    assert.equal(sandbox.info.memoryMb, 5);
    assert.deepEqual(sandbox.info.metadata, { some_key: "v" });
    assert.equal(sandbox.info.limits.memoryBytes, 1);
  }));

test("errors have a class, a code, the fix and the request", async (t) => {
  const cases = [
    [400, "invalid", BadRequestError], [401, "unauthorized", AuthError], [403, "invalid", AuthError], [404, "not_found", NotFoundError],
    [409, "conflict", ConflictError], [500, "internal", ServerError], [501, "unsupported", UnsupportedError], [504, "timeout", SandboxTimeout],
    [413, undefined, BadRequestError], [418, undefined, BadRequestError], [429, "exhausted", RateLimitError], [503, "unavailable", UnavailableError],
  ];
  for (const [status, code, type] of cases) {
    await t.test(`${status} ${code}`, () =>
      stub((_, response) => json(response, status, { error: "cannot x: because y", code, fix: "do z", request_id: "r-1" }, { "retry-after": "7" }), (client) =>
        assert.rejects(client.sandboxes.get("a"), (e) => {
          assert.equal(e.constructor, type);
          assert.deepEqual([e.name, e.message, e.fix, e.status, e.requestId, e.retryAfterSeconds], [type.name, "cannot x: because y", "do z", status, "r-1", 7]);
          return e.code === (code ?? "invalid") && e instanceof BrigError;
        }), { retries: 0 }));
  }
});

test("answers that are not the server's", async () => {
  await stub((_, response) => { response.writeHead(502); response.end("<html>bad gateway</html>"); }, (client) =>
    assert.rejects(client.sandboxes.get("a"), (e) => e instanceof UnavailableError && /status 502/.test(e.message)), { retries: 0 });
  await stub((_, response) => { response.writeHead(200); response.end("<html>"); }, (client) =>
    assert.rejects(client.sandboxes.get("a"), (e) => e instanceof NetworkError && /no JSON/.test(e.message)), { retries: 0 });
  const nobody = new Client({ apiUrl: "http://127.0.0.1:1", apiKey: "secret", retries: 0 });
  await assert.rejects(nobody.ready(), (e) => e instanceof NetworkError && e.fix !== undefined && !/secret/.test(e.message));
});

test("what may be done twice is done again", async () => {
  const flaky = (times) => (_, response, n) => (n < times ? response.destroy() : json(response, 200, info("a")));
  await stub(flaky(2), async (client, requests) => {
    await client.sandboxes.get("a");
    assert.equal(requests.length, 3);
  });
  await stub(flaky(1), async (client, requests) => {
    await client.sandboxes.create();
    assert.equal(requests.length, 2);
    assert.ok(requests[0].headers["idempotency-key"].length > 20);
    assert.equal(requests[0].headers["idempotency-key"], requests[1].headers["idempotency-key"]);
  });
  await stub((_, response, n) => (n === 0 ? response.destroy() : json(response, 404, { error: "gone", code: "not_found" })), async (client, requests) => {
    await client.sandboxes.delete("a"); // the first attempt may have done it
    assert.equal(requests.length, 2);
  });
});

test("what may not be done twice is not", async () => {
  for (const call of [(sb) => sb.exec("x"), (sb) => sb.runCode("x"), (sb) => sb.pause(), (sb) => sb.processes.start("x"), (sb) => sb.fork()]) {
    await stub((request, response) => (request.method === "GET" ? json(response, 200, info("a")) : response.destroy()), async (client, requests) => {
      await assert.rejects(call(await client.sandboxes.get("a")), NetworkError);
      assert.equal(requests.length, 2);
    });
  }
});

test("a server that refuses to begin is asked again when it says", () =>
  stub((_, response, n) => (n < 2 ? json(response, 429, { error: "later", code: "exhausted" }, { "retry-after": "0" }) : json(response, 204)), async (client, requests) => {
    await client.sandboxes.delete("a");
    assert.equal(requests.length, 3);
  }));

test("time limits and callers that give up", () =>
  stub(() => new Promise(() => undefined), async (client) => {
    await assert.rejects(client.sandboxes.get("a"), (e) => e instanceof SandboxTimeout && /50 ms/.test(e.message));
    const reason = new Error("enough");
    await assert.rejects(client.files.content("f", { signal: AbortSignal.abort(reason) }), (e) => e === reason);
    const later = new AbortController();
    setTimeout(() => later.abort(reason), 5);
    await assert.rejects(client.files.content("f", { signal: later.signal }), (e) => e === reason);
  }, { timeoutMs: 50, retries: 0 }));

test("addresses", async () => {
  assert.equal(new Client({ apiUrl: "http://h:1/v1/" }).apiUrl, "http://h:1");
  assert.equal(new Client({ apiUrl: "https://h/some/path/" }).apiUrl, "https://h/some/path");
  for (const bad of ["", "h:1", "unix:///run/x", "/run/x", "ftp://h"]) {
    assert.throws(() => new Client({ apiUrl: bad }), (e) => e instanceof BadRequestError && e.fix !== undefined);
  }
  await stub((request, response) => json(response, 200, [request.url]), async (client) => {
    const prefixed = new Client({ apiUrl: `${client.apiUrl}/brig` });
    assert.deepEqual(await prefixed.sandboxes.list({ status: ["running", "paused"], metadata: { "a b": "c&d" } }), ["/brig/v1/sandboxes?status=running%2Cpaused&metadata.a+b=c%26d"]);
  });
});
