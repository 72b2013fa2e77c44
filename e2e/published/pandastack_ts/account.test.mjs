// Keys, templates and ports through the published package, and what this server
// has not.
import assert from "node:assert/strict";
import { test } from "node:test";

import { AuthError, Client, NotFoundError, TemplateBuildError } from "@pandastack/sdk";

import { client, notServed, template, withSandbox } from "./helpers.mjs";

test("me and tokens", async () => {
  const panda = client();
  assert.equal(typeof (await panda.me()), "object");
  const made = await panda.tokens.create("ci");
  assert.match(made.token, /^pds_[0-9a-f]{32}$/);
  assert.equal(made.token.startsWith(made.prefix), true);
  const second = new Client({ apiUrl: process.env.BRIG_API, apiKey: made.token });
  assert.ok(Array.isArray(await second.sandboxes.list()));
  const listed = (await panda.tokens.list()).find((t) => t.prefix === made.prefix);
  assert.equal(listed.label, "ci");
  assert.ok(listed.created_at && listed.token === undefined);
  await panda.tokens.revoke(made.prefix);
  await assert.rejects(second.sandboxes.list(), AuthError);
});

test("templates are listed and found", async () => {
  const panda = client();
  assert.ok((await panda.templates.list()).some((t) => t.name === template));
  const found = await panda.templates.get(template);
  assert.deepEqual([found.name, typeof found.size_bytes, found.is_global], [template, "number", true]);
  await assert.rejects(panda.templates.get("no-such"), NotFoundError);
});

test("a template is built from a Dockerfile, with its log, used and deleted", async () => {
  const panda = client();
  const name = `panda-${process.pid}`;
  const build = await panda.templates.buildFromDockerfile({
    name,
    dockerfile: `FROM ${template}\nCOPY sub/data.txt /data.txt\nRUN echo built > /made.txt && echo said-by-the-build\n`,
    context: { "sub/data.txt": "from the context\n" },
  });
  assert.equal(build.name, name);
  const lines = [];
  for await (const line of panda.templates.buildLogs(build.id)) lines.push(line);
  assert.ok(lines.length > 0, "the log is empty");
  const done = await panda.templates.waitForBuild(build.id);
  assert.equal(done.status, "done");
  assert.ok((await panda.templates.builds()).some((b) => b.id === build.id));
  await withSandbox(
    async (sandbox) => assert.equal((await sandbox.exec("cat /data.txt /made.txt")).stdout, "from the context\nbuilt\n"),
    { template: name },
  );
  await panda.templates.delete(name);
  await assert.rejects(panda.templates.get(name), NotFoundError);
});

test("a build that fails says so", async () => {
  const panda = client();
  const build = await panda.templates.buildFromDockerfile({ name: `bad-${process.pid}`, dockerfile: `FROM ${template}\nRUN exit 3\n` });
  await assert.rejects(panda.templates.waitForBuild(build.id, { intervalMs: 100 }), TemplateBuildError);
  const nowhere = await panda.templates.register({ name: `none-${process.pid}`, imageRef: "127.0.0.1:1/none:latest" });
  await assert.rejects(panda.templates.waitForBuild(nowhere.id, { intervalMs: 100 }), (e) => e instanceof TemplateBuildError && e.build.error !== "");
});

test("ports and preview URLs", () =>
  withSandbox(async (sandbox) => {
    assert.match(sandbox.previewUrl(8000), new RegExp(`^https://8000-${sandbox.id}\\.`));
    assert.ok(`65535-${sandbox.id}`.length <= 63); // one DNS label
    const listening = new Promise((resolve, reject) => {
      sandbox.execStream("python3 -u -m http.server 8000", { onStdout: resolve, timeoutSeconds: 60 }).catch(reject);
    });
    await listening;
    assert.ok(8000 in (await sandbox.previewUrls()));
  }));

test("what is not part of this server says so", async () => {
  const panda = client();
  for (const call of [
    () => panda.functions.list(), () => panda.functions.create("f", "python", "x"), () => panda.schedules.list(),
    () => panda.databases.list(), () => panda.databases.create(), () => panda.apps.list(), () => panda.volumes.list(),
    () => panda.volumes.create({ name: "v", size_mb: 1 }),
  ]) {
    await notServed(call());
  }
});
