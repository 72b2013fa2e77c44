// The examples of README.md: their types are checked, and they run. What a comment
// behind console.log says has to be what is printed.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = fileURLToPath(new URL("..", import.meta.url));
const examples = [...readFileSync(join(root, "README.md"), "utf8").matchAll(/^## (.*)$|^```ts\n([^]*?)^```$/gm)]
  .reduce((list, [, heading, code]) => (heading ? [...list, { heading }] : [...list, { heading: list.at(-1)?.heading ?? "the first", code }]), [])
  .filter(({ code }) => code !== undefined);
const dir = mkdtempSync(join(tmpdir(), "brig-readme-"));

before(async () => {
  mkdirSync(join(dir, "node_modules", "@brig"), { recursive: true });
  symlinkSync(root, join(dir, "node_modules", "@brig", "sdk"));
  writeFileSync(join(dir, "package.json"), '{"type":"module"}');
  const files = examples.map(({ code }, i) => {
    writeFileSync(join(dir, `example${i}.ts`), `${code}export {};\n`);
    return `example${i}.ts`;
  });
  const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
  const flags = ["--strict", "--module", "NodeNext", "--target", "ES2022", "--lib", "ES2022,DOM,ESNext.Disposable"];
  await run(process.execPath, [tsc, ...flags, ...files], { cwd: dir }).catch((error) => assert.fail(error.stdout || error));
});

after(() => rmSync(dir, { recursive: true }));

test("there are examples", () => assert.ok(examples.length >= 8));

for (const [i, { heading, code }] of examples.entries()) {
  test(`${heading}: example ${i + 1}`, async () => {
    const { stdout } = await run(process.execPath, [`example${i}.js`], { cwd: dir });
    const words = stdout.split(/\s+/).join(" ");
    for (const [, said] of code.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)) {
      if (!/^(text|with)/.test(said)) {
        assert.ok(words.includes(said), `it printed ${JSON.stringify(words)}, without ${JSON.stringify(said)}`);
      }
    }
  });
}
