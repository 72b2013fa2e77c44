// Files through the published package.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { BadRequestError, NotFoundError } from "@pandastack/sdk";

import { withSandbox } from "./helpers.mjs";

test("read, write, list, stat, exists, walk", () =>
  withSandbox(async ({ filesystem }) => {
    const odd = "/work/a dir/50% & é#.txt";
    assert.deepEqual(await filesystem.write(odd, "héllo"), { path: odd, bytes: 6 });
    assert.equal(await filesystem.read(odd), "héllo");
    await filesystem.write(odd, "x"); // shorter than before
    assert.equal(await filesystem.read(odd), "x");
    await filesystem.write("/work/empty", "");
    assert.equal(await filesystem.read("/work/empty"), "");

    const [entry] = await filesystem.list("/work/a dir");
    assert.deepEqual([entry.name, entry.path, entry.is_dir, entry.size, entry.mode], ["50% & é#.txt", odd, false, 1, "0644"]);
    assert.ok(Math.abs(entry.mtime - Date.now() / 1000) < 600);
    assert.equal((await filesystem.stat("/work/a dir")).is_dir, true);
    assert.ok((await filesystem.list()).some((e) => e.path === "/work" && e.is_dir));
    assert.deepEqual([await filesystem.exists(odd), await filesystem.exists("/work/none")], [true, false]);

    const walked = [];
    for await (const { dir, files } of filesystem.walk("/work")) walked.push([dir, files.map((f) => f.name)]);
    assert.deepEqual(walked, [["/work", ["empty"]], ["/work/a dir", ["50% & é#.txt"]]]);

    await assert.rejects(filesystem.read("/work/none"), NotFoundError);
    await assert.rejects(filesystem.stat("/work/none"), NotFoundError);
    await assert.rejects(filesystem.read("/work"), BadRequestError);
    await assert.rejects(filesystem.read("relative"), BadRequestError);
  }));

test("upload and download", () =>
  withSandbox(async (sandbox) => {
    const dir = await mkdtemp(join(tmpdir(), "pandastack-"));
    try {
      await writeFile(join(dir, "in"), "some text\n");
      await sandbox.filesystem.upload(join(dir, "in"), "/work/in");
      assert.equal((await sandbox.exec("tr a-z A-Z < /work/in > /work/out")).exitCode, 0);
      await sandbox.filesystem.download("/work/out", join(dir, "new", "out"));
      assert.equal(await readFile(join(dir, "new", "out"), "utf8"), "SOME TEXT\n");
    } finally {
      await rm(dir, { recursive: true });
    }
  }));

test("bytes that are no text go in exactly", () =>
  withSandbox(async (sandbox) => {
    const bytes = new Uint8Array(1 << 20).map((_, i) => (i * 7919) & 255);
    await sandbox.filesystem.write("/work/b", bytes);
    const { createHash } = await import("node:crypto");
    const want = createHash("sha256").update(bytes).digest("hex");
    assert.equal((await sandbox.exec("sha256sum < /work/b")).stdout.slice(0, 64), want);
  }));
