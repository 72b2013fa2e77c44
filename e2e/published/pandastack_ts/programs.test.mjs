// Programs, code cells and logs through the published package.
import assert from "node:assert/strict";
import { test } from "node:test";

import { BadRequestError, CommandError, SandboxTimeout } from "@pandastack/sdk";

import { withSandbox } from "./helpers.mjs";

test("exec", () =>
  withSandbox(async (sandbox) => {
    const failed = await sandbox.exec("echo out; echo err >&2; exit 7");
    assert.deepEqual([failed.exitCode, failed.stdout, failed.stderr], [7, "out\n", "err\n"]);
    assert.equal((await sandbox.commands.run("kill -9 $$")).exitCode, 137);
    assert.equal((await sandbox.exec("no-such-command")).exitCode, 127);
    await assert.rejects(sandbox.exec("echo bad >&2; false", { check: true }), (e) => e instanceof CommandError && e.exitCode === 1 && e.stderr === "bad\n");
    await assert.rejects(sandbox.exec(""), BadRequestError);
    // A permanent failure with these words must not be taken for a warm-up, and repeated.
    const words = await sandbox.exec("echo x >> /work/count; echo 'connect: connection refused; i/o timeout; no route to host' >&2; exit 1");
    assert.equal(words.exitCode, 1);
    assert.equal(await sandbox.filesystem.read("/work/count"), "x\n");
  }));

test("a program beyond its time is ended with all that it started; the sandbox goes on", () =>
  withSandbox(async (sandbox) => {
    await assert.rejects(sandbox.exec("(sleep 60; echo late > /work/late) & sleep 60", { timeoutSeconds: 1 }), SandboxTimeout);
    assert.equal((await sandbox.exec("cat /proc/[0-9]*/comm | grep -c '^sleep'; ls /work")).stdout, "0\n");
  }));

test("exec stream", () =>
  withSandbox(async (sandbox) => {
    let stdout = "";
    let stderr = "";
    const callbacks = { onStdout: (c) => (stdout += c), onStderr: (c) => (stderr += c) };
    assert.equal(await sandbox.execStream("for i in 1 2 3; do echo $i; sleep 0.1; done; echo é >&2; exit 4", callbacks), 4);
    assert.deepEqual([stdout, stderr], ["1\n2\n3\n", "é\n"]);
    await assert.rejects(sandbox.execStream("echo begun; sleep 60", { timeoutSeconds: 1 }), SandboxTimeout);
    let bytes = 0;
    assert.equal(await sandbox.execStream("head -c 20000000 /dev/zero | tr '\\0' x", { onStdout: (c) => (bytes += c.length) }), 0);
    assert.equal(bytes, 20_000_000);
  }));

test("runCode", () =>
  withSandbox(async (sandbox) => {
    assert.equal((await sandbox.runCode("print(sum(range(10)))", "python")).stdout, "45\n");
    assert.equal((await sandbox.runCode("echo $((2 + 2))")).stdout, "4\n");
  }));

test("code contexts", () =>
  withSandbox(async (sandbox) => {
    const context = await sandbox.createCodeContext();
    assert.equal(context.language, "python");
    await context.runCode("x = 20");
    const cell = await context.runCode("print('said'); x + 1");
    assert.deepEqual([cell.stdout, cell.text, cell.exit_code, cell.error], ["said\n", "21", 0, undefined]);
    const raised = await context.runCode("1 / 0");
    assert.equal(raised.exit_code, 1);
    assert.equal(raised.error, "ZeroDivisionError: division by zero");
    assert.match(raised.stderr, /Traceback/);
    const shown = await context.runCode("class P:\n  def _repr_png_(self): return b'\\x89PNG'\n  def _repr_html_(self): return '<b>é</b>'\nP()");
    assert.deepEqual([shown.png, shown.results[0].chart, shown.results[0].html], ["iVBORw==", "iVBORw==", "<b>é</b>"]);
    await assert.rejects(context.runCode("while True: pass", { timeoutSeconds: 1 }), SandboxTimeout);
    assert.equal((await context.runCode("x")).text, "20"); // it survived
    const second = await sandbox.createCodeContext("python3");
    assert.match((await second.runCode("x")).error, /^NameError/);
    await second.close();
    await context.close();
  }));

test("logs", () =>
  withSandbox(async (sandbox) => {
    await sandbox.exec("echo one; echo two >&2");
    const lines = [];
    for await (const line of sandbox.logs()) lines.push(line);
    assert.ok(lines.includes("one") && lines.includes("two"));
    const only = [];
    for await (const line of sandbox.logs({ stream: "stderr" })) only.push(line);
    assert.ok(only.includes("two") && !only.includes("one"));
    let followed = "";
    for await (const text of sandbox.logs({ follow: true })) {
      if (followed === "") void sandbox.exec("echo three");
      followed += text;
      if (followed.includes("three")) break;
    }
    assert.ok(followed.includes("one"));
  }));
