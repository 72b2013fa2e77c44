// Programs, background programs, code cells, ports.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { connect, createServer } from "node:net";
import { test } from "node:test";

import { Client, CommandError, NotFoundError } from "@brig/sdk";

import { all, text, withSandbox } from "./helpers.mjs";

test("exec", () =>
  withSandbox(async (sandbox) => {
    const run = await sandbox.exec("echo out; echo err >&2; exit 3");
    assert.deepEqual([run.stdout, run.stderr, run.exitCode, run.verdict, run.ok], ["out\n", "err\n", 3, "nonzero", false]);
    assert.equal((await sandbox.exec(["printf", "%s", "a b; $HOME"])).stdout, "a b; $HOME");
    assert.equal((await sandbox.exec("cat; pwd; echo $X", { stdin: "in ", cwd: "/tmp", env: { X: "y" } })).stdout, "in /tmp\ny\n");
    await assert.rejects(sandbox.exec("echo why >&2; false", { check: true }), (e) => e instanceof CommandError && /why/.test(e.message));
    assert.equal((await sandbox.exec("id -u", { user: "root" })).stdout, "0\n");
  }));

test("limits are results with what was printed before", () =>
  withSandbox(async (sandbox) => {
    const late = await sandbox.exec("echo before; sleep 60", { timeoutSeconds: 0.5 });
    assert.deepEqual([late.timedOut, late.exitCode, late.verdict, late.stdout], [true, 124, "timeout", "before\n"]);
    const loud = await sandbox.exec("yes", { outputBytes: 1000 });
    assert.deepEqual([loud.verdict, loud.truncated, loud.stdoutBytes.length], ["output_limit", true, 1000]);
    const killed = await sandbox.exec("kill -9 $$");
    assert.deepEqual([killed.exitCode, killed.signal], [137, "SIGKILL"]);
  }));

test("bytes go in and come out exactly", () =>
  withSandbox(async (sandbox) => {
    const bytes = randomBytes(3 << 20);
    const run = await sandbox.exec(["cat"], { stdin: bytes });
    assert.equal(createHash("sha256").update(run.stdoutBytes).digest("hex"), createHash("sha256").update(bytes).digest("hex"));
  }));

test("output comes while it is printed, and a caller that gives up ends it", () =>
  withSandbox(async (sandbox) => {
    const stop = new AbortController();
    const program = sandbox.execStream("echo begun; sleep 60; echo over > /work/over", {
      signal: stop.signal,
      onStdout: (t) => t.includes("begun") && stop.abort(new Error("enough")),
    });
    await assert.rejects(program, /enough/);
    assert.equal((await sandbox.exec("cat /proc/[0-9]*/comm | grep -c '^sleep'")).stdout, "0\n");
    let bytes = 0;
    assert.equal((await sandbox.execStream("head -c 30000000 /dev/zero", { onStdout: (_, b) => (bytes += b.length) })).exitCode, 0);
    assert.equal(bytes, 30_000_000);
  }));

test("connections that break lose nothing", () =>
  withSandbox(async (sandbox) => {
    const cut = await cuttingProxy(process.env.BRIG_API, 700_000);
    try {
      const far = await new Client({ apiUrl: cut.url }).sandboxes.get(sandbox.id);
      const run = await far.exec("seq 1 400000");
      assert.equal(run.stdout, `${Array.from({ length: 400_000 }, (_, i) => i + 1).join("\n")}\n`);
      assert.deepEqual([run.exitCode, run.truncated], [0, false]);
      assert.ok(cut.count >= 3, `${cut.count} connections were cut`);
    } finally {
      await cut.close();
    }
  }));

test("background programs", () =>
  withSandbox(async (sandbox) => {
    const process = await sandbox.processes.start("while read line; do echo got $line; done; exit 5", { openStdin: true, tag: "reader" });
    await process.write("one\n");
    await process.write("two\n", { eof: true });
    const output = await all(process.output());
    assert.equal(output.map((o) => text(o.bytes)).join(""), "got one\ngot two\n");
    assert.deepEqual((await all(process.output({ offset: 8 }))).map((o) => text(o.bytes)).join(""), "got two\n");
    assert.equal((await process.wait()).exitCode, 5);
    const sleeper = await sandbox.processes.start("sleep 60 & sleep 60");
    const [, listed] = (await sandbox.processes.list()).sort((a, b) => a.startedAt.localeCompare(b.startedAt));
    assert.deepEqual([listed.id, listed.running], [sleeper.id, true]);
    await sleeper.kill();
    assert.equal((await sleeper.wait()).signal, "SIGKILL");
    await assert.rejects(sandbox.processes.get("nope"), NotFoundError);
  }));

test("a terminal", () =>
  withSandbox(async (sandbox) => {
    const process = await sandbox.processes.start(["sh", "-c", "stty size; read x; stty size"], { terminal: { rows: 10, cols: 20 }, openStdin: true });
    await process.resize(30, 40);
    await process.write("go\n");
    const shown = (await all(process.output())).map((o) => text(o.bytes)).join("");
    assert.match(shown, /30 40/);
  }));

test("code", () =>
  withSandbox(async (sandbox) => {
    const said = [];
    const cell = await sandbox.runCode("x = 41\nprint('said')\nx + 1", { onStdout: (t) => said.push(t) });
    assert.deepEqual([cell.text, cell.stdout, said.join(""), cell.executionCount], ["42", "said\n", "said\n", 1]);
    const raised = await sandbox.runCode("1 / 0");
    assert.deepEqual([raised.error.name, raised.error.value], ["ZeroDivisionError", "division by zero"]);
    const shown = await sandbox.runCode("class P:\n  def _repr_png_(self): return b'\\x89PNG'\nP()");
    assert.deepEqual([...shown.results[0].png], [0x89, 0x50, 0x4e, 0x47]);
    assert.equal((await sandbox.runCode("while True: pass", { timeoutSeconds: 0.5 })).timedOut, true);
    assert.equal((await sandbox.runCode("x")).text, "41");
    const context = await sandbox.createCodeContext({ cwd: "/tmp" });
    assert.equal((await context.runCode("x")).error.name, "NameError");
    assert.match((await context.runCode("import os; os.getcwd()")).text, /tmp/);
    await context.runCode("y = 1");
    await context.restart();
    assert.equal((await context.runCode("y")).error.name, "NameError");
    assert.ok((await sandbox.codeContexts()).some((c) => c.id === context.id));
    await context.close();
  }));

test("ports", () =>
  withSandbox(async (sandbox) => {
    await sandbox.filesystem.write("/work/www/hello.txt", "from inside");
    const server = await sandbox.processes.start("python3 -u -m http.server 8000 --directory /work/www");
    for await (const { bytes } of server.output()) {
      if (text(bytes).includes("Serving")) break;
    }
    assert.ok((await sandbox.ports.list()).some((p) => p.port === 8000 && p.listening));
    assert.equal(await (await sandbox.ports.fetch(8000, "/hello.txt")).text(), "from inside");
    const preview = await sandbox.ports.previewToken(8000, { ttlSeconds: 60 });
    assert.equal(preview.port, 8000);
  }));

/** cuttingProxy passes connections on to a server, and cuts each after so many bytes of answer. */
async function cuttingProxy(url, bytes) {
  const { hostname, port } = new URL(url);
  const sockets = new Set();
  const proxy = { count: 0 };
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    let left = bytes;
    far.on("data", (data) => {
      near.write(data.subarray(0, left));
      left -= data.length;
      if (left <= 0) {
        proxy.count++;
        far.destroy();
        near.destroySoon();
      }
    });
    near.pipe(far);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => [near, far].forEach((s) => s.destroySoon()));
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  proxy.url = `http://127.0.0.1:${server.address().port}`;
  proxy.close = () => {
    sockets.forEach((s) => s.destroy());
    return new Promise((resolve) => server.close(resolve));
  };
  return proxy;
}
