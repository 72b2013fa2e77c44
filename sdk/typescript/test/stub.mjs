// A server that answers what a test says, and remembers what it was asked.
import { createServer } from "node:http";

import { Client } from "@brig/sdk";

/** stub serves for the length of use; answer gets a request with its body and the place of it. */
export async function stub(answer, use, options = {}) {
  const requests = [];
  const server = createServer(async (request, response) => {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const body = Buffer.concat(pieces).toString();
    const seen = { method: request.method, url: request.url, headers: request.headers, body, json: parse(body) };
    requests.push(seen);
    try {
      await answer(seen, response, requests.length - 1);
    } catch (error) {
      response.destroy(error);
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const client = new Client({ apiUrl: `http://127.0.0.1:${server.address().port}`, apiKey: "k", ...options });
  try {
    return await use(client, requests);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

const parse = (text) => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

/** json answers with a value. */
export function json(response, status, value, headers = {}) {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(value === undefined ? "" : JSON.stringify(value));
}

export const info = (id) => ({ id, status: "running", template: "t", metadata: {} });

/** event is one server-sent event as text. */
export const event = (name, data, id) => `${id ? `id: ${id}\n` : ""}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;

export const end = { exit_code: 0, verdict: "ok", timed_out: false, duration_ms: 1, usage: { wall_ms: 1 }, evidence: {} };
