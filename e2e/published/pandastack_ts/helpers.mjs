// What the tests with the published @pandastack/sdk share. The server is named by
// BRIG_API and BRIG_API_KEY; nothing of the package is changed.
import assert from "node:assert/strict";

import { Client, ServerError } from "@pandastack/sdk";

export const template = "python";

/** client is the published one, with the URL and the key of this server. */
export const client = () => new Client({ apiUrl: process.env.BRIG_API, apiKey: process.env.BRIG_API_KEY });

/** withSandbox makes a sandbox for the length of a test. */
export async function withSandbox(use, options = {}) {
  const sandbox = await client().sandboxes.create({ template, ttlSeconds: 120, ...options });
  try {
    return await use(sandbox);
  } finally {
    await sandbox.kill();
  }
}

/** notServed wants a clear refusal, not a silent success. */
export const notServed = (call) =>
  assert.rejects(call, (error) => error instanceof ServerError && error.statusCode === 501 && /is not part of this server/.test(error.message));
