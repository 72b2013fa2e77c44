import { read } from "./sse.js";
import { concat } from "./wire.js";

/** readLines gives the whole lines of a reply, with their length and line break in bytes. @internal */
export async function* readLines(response: Response, signal?: AbortSignal): AsyncGenerator<{ text: string; bytes: number }> {
  if (response.body === null) {
    return;
  }
  const reader = response.body.getReader();
  let rest: Uint8Array[] = [];
  try {
    for (;;) {
      const { value, done } = await read(reader, signal);
      if (done) {
        return; // what has no line break behind it is not whole
      }
      let from = 0;
      for (let end = value.indexOf(0x0a); end >= 0; end = value.indexOf(0x0a, from)) {
        const line = concat([...rest, value.subarray(from, end)]);
        rest = [];
        from = end + 1;
        yield { text: new TextDecoder().decode(line), bytes: line.length + 1 };
      }
      rest.push(value.subarray(from));
    }
  } finally {
    await reader.cancel().catch(() => undefined); // it has ended, or broken off
  }
}
