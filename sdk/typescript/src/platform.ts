import { createReadStream, createWriteStream, existsSync } from "node:fs";
import { open } from "node:fs/promises";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

// What only Node has: files of this machine. A bundler for browsers takes
// platform.browser.ts instead.

/** fileContent gives a file's content, as often as it is asked. @internal */
export async function fileContent(path: string): Promise<() => ReadableStream<Uint8Array>> {
  await (await open(path)).close(); // its error is better than a broken stream's
  return () => Readable.toWeb(createReadStream(path)) as ReadableStream<Uint8Array>;
}

/** saveFile writes a stream to a file. @internal */
export async function saveFile(path: string, body: ReadableStream<Uint8Array>): Promise<void> {
  type WebStream = Parameters<typeof Readable.fromWeb>[0];
  await pipeline(Readable.fromWeb(body as unknown as WebStream), createWriteStream(path));
}

/** linesOf gives the lines of a file; none when there is no file. @internal */
export async function* linesOf(path: string): AsyncGenerator<string> {
  if (existsSync(path)) {
    yield* createInterface({ input: createReadStream(path), crlfDelay: Infinity });
  }
}

/** appendLine adds a line to a file, and returns when it is on the disk. @internal */
export async function appendLine(path: string, line: string): Promise<void> {
  const file = await open(path, "a+");
  try {
    const { size } = await file.stat();
    const end = new Uint8Array(1);
    if (size > 0) {
      await file.read(end, 0, 1, size - 1);
    }
    const cut = size > 0 && end[0] !== 0x0a; // a crash has cut the last line short
    await file.appendFile(`${cut ? "\n" : ""}${line}\n`);
    await file.datasync();
  } finally {
    await file.close();
  }
}
