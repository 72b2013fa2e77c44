// The package as its users get it: both kinds of modules, and types in both.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import * as esm from "@brig/sdk";

const require = createRequire(import.meta.url);
const root = fileURLToPath(new URL("..", import.meta.url));

test("both kinds of modules have the same names", () => {
  const cjs = require("@brig/sdk");
  assert.deepEqual(Object.keys(cjs).sort(), Object.keys(esm).sort());
  assert.equal(typeof new cjs.Client({ apiUrl: "http://h" }).sandboxes.create, "function");
});

test("a bundler for browsers takes files without Node's modules", async () => {
  const { browser } = require("../package.json");
  for (const [node, replacement] of Object.entries(browser)) {
    const [has, instead] = await Promise.all([node, replacement].map((file) => import(join(root, file))));
    const names = (module) => Object.keys(module).filter((name) => !["default", "module.exports", "__esModule"].includes(name)).sort();
    assert.deepEqual(names(instead), names(has));
    await assert.rejects(instead.saveFile(), /browser/);
    assert.doesNotMatch(readFileSync(join(root, replacement), "utf8"), /node:/);
  }
});

test("the types are strict users' types, and need no others", () => {
  const dir = mkdtempSync(join(tmpdir(), "brig-types-"));
  try {
    mkdirSync(join(dir, "node_modules", "@brig"), { recursive: true });
    symlinkSync(root, join(dir, "node_modules", "@brig", "sdk"));
    const program = `
      import { Client, Sandbox, type Provider, BrigProvider, NotFoundError } from "@brig/sdk";
      const provider: Provider = new BrigProvider({ template: "python" }, { apiUrl: "http://h" });
      export async function main(client: Client): Promise<Uint8Array> {
        await using sandbox = await Sandbox.create({ ttlSeconds: 5, metadata: { n: 1 } }, client);
        const { stdoutBytes }: { stdoutBytes: Uint8Array } = await sandbox.exec(["true"], { timeoutSeconds: 1 });
        for await (const r of client.map([1, 2], async (sb, n) => (await sb.exec("echo " + n)).stdout)) {
          const text: string = r.ok ? r.value : String(r.error instanceof NotFoundError);
          text.trim();
        }
        // @ts-expect-error: no such option
        await sandbox.exec("x", { timeout: 1 });
        await provider.cleanup();
        return stdoutBytes;
      }`;
    writeFileSync(join(dir, "user.mts"), program);
    writeFileSync(join(dir, "user.cts"), program);
    const tsc = require.resolve("typescript/bin/tsc");
    const flags = ["--noEmit", "--strict", "--module", "NodeNext", "--target", "ES2022", "--lib", "ES2022,DOM,ESNext.Disposable"];
    try {
      execFileSync(process.execPath, [tsc, ...flags, "user.mts", "user.cts"], { cwd: dir, encoding: "utf8" });
    } catch (error) {
      assert.fail(error.stdout || error);
    }
  } finally {
    rmSync(dir, { recursive: true });
  }
});
