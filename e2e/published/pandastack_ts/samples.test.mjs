// The programs that people write with the published package, as they write them.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Sandbox } from "@pandastack/sdk";

import { client, template as small } from "./helpers.mjs";

// The samples name code-interpreter, which takes minutes to build.
const templates = await client().templates.list();
const template = templates.some((t) => t.name === "code-interpreter") ? "code-interpreter" : small;

test("a pool of 32 gives every item a sandbox", async () => {
  const panda = client();
  const code = "import json; item = json.load(open('/work/input.json')); json.dump({'id': item['id'], 'total': sum(item['values'])}, open('/work/result.json', 'w'))";
  const items = Array.from({ length: 48 }, (_, id) => ({ id, values: [id, id + 1, id + 2] }));
  const results = [];

  async function process(item) {
    const sandbox = await panda.sandboxes.create({ template, ttlSeconds: 60, metadata: { item_id: item.id, kind: "post-process" } });
    try {
      await sandbox.filesystem.write("/work/input.json", Buffer.from(JSON.stringify(item)));
      await sandbox.filesystem.write("/work/run.py", code);
      const run = await sandbox.exec("cd /work && python3 run.py", { timeoutSeconds: 20 });
      if (run.exitCode !== 0) {
        return { id: item.id, error: run.stderr.slice(-500) };
      }
      return JSON.parse(await sandbox.filesystem.read("/work/result.json"));
    } finally {
      await panda.sandboxes.delete(sandbox.id);
    }
  }

  const queue = [...items];
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
      results.push(await process(item));
    }
  };
  await Promise.all(Array.from({ length: 32 }, worker));
  results.sort((a, b) => a.id - b.id);
  assert.deepEqual(results, items.map(({ id }) => ({ id, total: 3 * id + 3 })));
  const left = (await panda.sandboxes.list()).filter((s) => s.info.metadata.kind === "post-process");
  assert.equal(left.length, 0);
});

test("a file into a directory that is not in the template", async () => {
  const sandbox = await Sandbox.create({ template, ttlSeconds: 60, metadata: { user: "u1" } }, client());
  try {
    assert.equal(sandbox.info.metadata.user, "u1");
    await sandbox.filesystem.write("/job/deep/code.py", "print('héllo')\n");
    const run = await sandbox.exec("python3 /job/deep/code.py");
    assert.deepEqual([run.exit_code, run.exitCode, run.stdout, run.stderr], [0, 0, "héllo\n", ""]);
    assert.ok(run.duration_ms >= 0);
  } finally {
    await sandbox.kill();
  }
});

test("a provider of four methods over the published package", async () => {
  class Provider {
    async execute(code) {
      this.sandbox ??= await Sandbox.create({ template, ttlSeconds: 60 }, client());
      await this.sandbox.filesystem.write("/work/program.py", code);
      return this.sandbox.exec("python3 /work/program.py", { timeoutSeconds: 20 });
    }
    uploadFile(path, content) {
      return this.sandbox.filesystem.write(path, content);
    }
    // Binary files come out as text.
    async downloadFile(path) {
      const { stdout } = await this.sandbox.exec(`tar -C "$(dirname ${path})" -cf - "$(basename ${path})" | base64 -w0`, { check: true });
      const tar = Buffer.from(stdout, "base64");
      const size = parseInt(tar.subarray(124, 136).toString(), 8);
      return tar.subarray(512, 512 + size);
    }
    async cleanup() {
      await this.sandbox?.kill();
    }
  }
  const provider = new Provider();
  try {
    assert.equal((await provider.execute("print(6 * 7)")).stdout, "42\n");
    const data = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    await provider.uploadFile("/work/in.bin", data);
    assert.equal((await provider.execute("open('/work/out.bin', 'wb').write(open('/work/in.bin', 'rb').read()[::-1])")).exitCode, 0);
    assert.deepEqual(await provider.downloadFile("/work/out.bin"), data.reverse());
  } finally {
    await provider.cleanup();
  }
});
