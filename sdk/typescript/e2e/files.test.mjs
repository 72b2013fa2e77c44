// Files, of any size and name.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { BadRequestError, NotFoundError } from "@brig/sdk";

import { withSandbox } from "./helpers.mjs";

test("all that is done with files", () =>
  withSandbox(async ({ filesystem, ...sandbox }) => {
    const odd = "/work/new dir/50% & é#.bin";
    await filesystem.write(odd, new Uint8Array([0, 255, 10]), { mode: "0755" });
    assert.deepEqual([...(await filesystem.read(odd))], [0, 255, 10]);
    assert.deepEqual([...(await filesystem.read(odd, { offset: 1, length: 1 }))], [255]);
    assert.deepEqual([...(await filesystem.read(odd, { offset: 2 }))], [10]);
    const entry = await filesystem.stat(odd);
    assert.deepEqual([entry.name, entry.path, entry.kind, entry.isDir, entry.size, entry.mode], ["50% & é#.bin", odd, "file", false, 3, "0755"]);
    await filesystem.write("/work/t", "héllo");
    assert.equal(await filesystem.readText("/work/t"), "héllo");
    await filesystem.mkdir("/work/a/b");
    await filesystem.move("/work/t", "/work/a/t");
    assert.deepEqual((await filesystem.list("/work/a")).map((e) => e.name).sort(), ["b", "t"]);
    assert.deepEqual([await filesystem.exists("/work/t"), await filesystem.exists("/work/a/t")], [false, true]);
    await filesystem.remove("/work/a");
    await assert.rejects(filesystem.stat("/work/a"), NotFoundError);
    await assert.rejects(filesystem.read("/work"), BadRequestError);
    await assert.rejects(filesystem.write("relative", ""), BadRequestError);
  }));

test("a tar both ways", () =>
  withSandbox(async ({ filesystem }) => {
    await filesystem.write("/work/from/sub/f", "x");
    await filesystem.untar("/work/to", await filesystem.tar("/work/from"));
    assert.equal(await filesystem.readText("/work/to/sub/f"), "x");
  }));

test("100 MB both ways, as a stream from and to a file", () =>
  withSandbox(async (sandbox) => {
    const dir = await mkdtemp(join(tmpdir(), "brig-files-"));
    try {
      const [sent, got] = [join(dir, "sent"), join(dir, "got")];
      await randomFile(sent, 100_000_000);
      await sandbox.filesystem.upload(sent, "/work/big");
      assert.equal((await sandbox.filesystem.stat("/work/big")).size, 100_000_000);
      await sandbox.filesystem.download("/work/big", got);
      assert.equal((await stat(got)).size, 100_000_000);
      assert.equal(await sha256(got), await sha256(sent));
      await assert.rejects(sandbox.filesystem.upload(join(dir, "none"), "/work/none"), /ENOENT/);
    } finally {
      await rm(dir, { recursive: true });
    }
  }, { limits: { diskBytes: 512 << 20 } }));

test("what changes is told", () =>
  withSandbox(async ({ filesystem }) => {
    const stop = new AbortController();
    const changes = await filesystem.watch("/work", { recursive: true, signal: stop.signal });
    await filesystem.write("/work/new.txt", "x");
    for await (const change of changes) {
      if (change.name === "new.txt" && change.op === "create") break;
    }
    stop.abort();
  }));

async function randomFile(path, size) {
  const file = createWriteStream(path);
  const block = new Uint8Array(1_000_000).map((_, i) => (i * 7919) >> 3);
  for (let i = 0; i < size / block.length; i++) {
    block[0] = i;
    if (!file.write(Buffer.from(block))) await new Promise((resolve) => file.once("drain", resolve));
  }
  await new Promise((resolve) => file.end(resolve));
}

const sha256 = async (path) => {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(path)) hash.update(piece);
  return hash.digest("hex");
};
