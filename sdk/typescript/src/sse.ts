import { NetworkError } from "./errors.js";

/** One server-sent event. */
export interface ServerEvent {
  /** Its name; "" for a plain message. */
  name: string;
  id: string;
  /** Its data as JSON. */
  data: Record<string, unknown>;
}

/** MAX_EVENT bounds one event, in characters. */
const MAX_EVENT = 128 << 20;

/**
 * readEvents gives the events of a reply's body until it ends. Whoever stops
 * earlier ends the request. A signal that has ended it is its error. @internal
 */
export async function* readEvents(response: Response, signal?: AbortSignal): AsyncGenerator<ServerEvent> {
  for await (const block of blocks(response, signal)) {
    const event = parse(block);
    if (event !== undefined) {
      yield event;
    }
  }
}

/** blocks splits the body at blank lines. */
async function* blocks(response: Response, signal?: AbortSignal): AsyncGenerator<string> {
  if (response.body === null) {
    return;
  }
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let buffer = "";
  try {
    for (;;) {
      const { value, done } = await read(reader, signal);
      if (done) {
        return; // what has no blank line behind it is not whole
      }
      // A piece ends a block only near its own beginning: the rest was searched before.
      let from = Math.max(0, buffer.length - 1);
      buffer += decoder.decode(value, { stream: true });
      for (let end = buffer.indexOf("\n\n", from); end >= 0; end = buffer.indexOf("\n\n", from)) {
        yield buffer.slice(0, end);
        buffer = buffer.slice(end + 2);
        from = 0;
      }
      if (buffer.length > MAX_EVENT) {
        throw new NetworkError("cannot read the server's answer: because an event is too large", { code: "unavailable" });
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined); // it has ended, or broken off
  }
}

/** @internal */
export async function read(reader: ReadableStreamDefaultReader<Uint8Array>, signal?: AbortSignal): Promise<ReadableStreamReadResult<Uint8Array>> {
  try {
    return await reader.read();
  } catch (cause) {
    signal?.throwIfAborted();
    throw brokeOff(cause);
  }
}

/** brokeOff is for an answer that ended too early. @internal */
export function brokeOff(cause?: unknown): NetworkError {
  return new NetworkError("cannot read the server's answer: because it broke off", {
    code: "unavailable",
    fix: "see whether the server still runs, and try again",
    cause,
  });
}

function parse(block: string): ServerEvent | undefined {
  const event: ServerEvent = { name: "", id: "", data: {} };
  let data: string | undefined;
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon <= 0) {
      continue; // a comment
    }
    const value = line.slice(colon + 1).replace(/^ /, "");
    switch (line.slice(0, colon)) {
      case "event":
        event.name = value;
        break;
      case "id":
        event.id = value;
        break;
      case "data":
        data = data === undefined ? value : `${data}\n${value}`;
    }
  }
  if (data === undefined) {
    return undefined;
  }
  try {
    event.data = JSON.parse(data) as Record<string, unknown>;
  } catch (cause) {
    throw brokeOff(cause);
  }
  return event;
}
