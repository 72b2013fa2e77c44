// What the tests against a server share. BRIG_API and BRIG_API_KEY name it.
import { Client } from "@brig/sdk";

export const client = new Client();

export async function withSandbox(use, options = {}) {
  const sandbox = await client.sandboxes.create({ template: "python", ttlSeconds: 120, ...options });
  try {
    return await use(sandbox);
  } finally {
    await sandbox[Symbol.asyncDispose]();
  }
}

/** all collects what comes. */
export async function all(values) {
  const list = [];
  for await (const value of values) list.push(value);
  return list;
}

export const text = (bytes) => new TextDecoder().decode(bytes);
