import { BadRequestError } from "./errors.js";

/** Where a map notes what it has finished, so that another run goes on from there. */
export interface Journal {
  /** What was noted by earlier runs. */
  load(): AsyncIterable<{ key: string; value: unknown }> | Iterable<{ key: string; value: unknown }>;
  /** Notes one item; it is kept when this has resolved. */
  append(entry: { key: string; value: unknown }): Promise<void>;
}

/** A journal in a file with one line of JSON for each item, as the Python SDK's. Node only. */
export function fileJournal(path: string): Journal {
  let last: Promise<void> = Promise.resolve();
  return {
    load: () => load(path),
    append(entry) {
      // One after the other: two writes at once could mix.
      const write = last.then(() => append(path, entry));
      last = write.catch(() => undefined);
      return write;
    },
  };
}

/** load reads the lines. One that a crash has cut short is passed over: its item is done again. */
async function* load(path: string): AsyncGenerator<{ key: string; value: unknown }> {
  const { linesOf } = await import("./platform.js");
  for await (const line of linesOf(path)) {
    const entry = parse(line);
    if (typeof entry?.key === "string" && entry.ok === true) {
      yield { key: entry.key, value: entry.value };
    }
  }
}

function parse(line: string): { key?: unknown; ok?: unknown; value?: unknown } | undefined {
  try {
    return JSON.parse(line) as { key?: unknown } | undefined;
  } catch {
    return undefined; // cut short
  }
}

async function append(path: string, entry: { key: string; value: unknown }): Promise<void> {
  const { appendLine } = await import("./platform.js");
  await appendLine(path, lineOf(entry));
}

function lineOf(entry: { key: string; value: unknown }): string {
  try {
    return JSON.stringify({ key: entry.key, ok: true, value: entry.value ?? null });
  } catch (cause) {
    throw new BadRequestError(`cannot keep the result of item ${JSON.stringify(entry.key)}: because it is not JSON`, {
      code: "invalid",
      fix: "return plain values, or leave resume out",
      cause,
    });
  }
}
