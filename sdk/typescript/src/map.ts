import { BadRequestError, BrigError, CommandError } from "./errors.js";
import { Input, type Pulled } from "./input.js";
import { fileJournal, type Journal } from "./journal.js";
import type { Sandbox, Sandboxes } from "./sandbox.js";
import type { CreateOptions } from "./types.js";

/** What is done with one item, in a sandbox that only it has. */
export type Work<T, R> = (sandbox: Sandbox, item: T, context: { key: string; index: number; signal: AbortSignal }) => Promise<R>;

/** What became of one item. */
export type MapResult<T, R> = {
  key: string;
  index: number;
  item: T;
  attempts: number;
  /** An earlier run has done it. */
  resumed: boolean;
} & (
  | { ok: true; value: R }
  | { ok: false; error: unknown }
);

/** How far a map is. */
export interface MapProgress {
  done: number;
  failed: number;
  /** Of those done: an earlier run had them. */
  resumed: number;
  running: number;
  /** How many there are, when that can be known. */
  total: number | undefined;
  seconds: number;
}

export interface MapOptions<T> {
  /** How many sandboxes there are at a time. Default 8. */
  concurrency?: number;
  /** How each is made. Default: a TTL of 10 minutes. */
  create?: CreateOptions;
  /** Names an item, the same in every run. Default: its `custom_id` or `id`, else its place. */
  key?: (item: T, index: number) => string;
  /**
   * Where good results are kept: a file's name (Node), or a journal of your own.
   * What is in it from an earlier run is not done again. Values have to be JSON.
   */
  resume?: string | Journal;
  /** How often an item is tried when the server fails, each time in a new sandbox. Default 2. */
  attempts?: number;
  onProgress?: (progress: MapProgress) => void;
  /** Stops it, and deletes the sandboxes. */
  signal?: AbortSignal;
}

const DEFAULT_CONCURRENCY = 8;
const DEFAULT_ATTEMPTS = 2;
const DEFAULT_TTL_SECONDS = 600;

/**
 * map works on items as they come, and takes no more of them than it can work on
 * or than its caller reads. It remembers their keys, and nothing else of them. @internal
 */
export async function* map<T, R>(
  sandboxes: Sandboxes, items: Iterable<T> | AsyncIterable<T>, work: Work<T, R>, options: MapOptions<T>,
): AsyncGenerator<MapResult<T, R>> {
  const concurrency = options.concurrency ?? DEFAULT_CONCURRENCY;
  if (!Number.isInteger(concurrency) || concurrency < 1) {
    throw new BadRequestError(`cannot work on ${concurrency} items at a time: because it is no number from 1`, { code: "invalid", fix: "use 8" });
  }
  const run = new Run<T, R>(sandboxes, work, options, countOf(items));
  const input = new Input(items);
  const running = new Map<number, Promise<MapResult<T, R>>>();
  try {
    await run.begin();
    for (;;) {
      if (running.size < concurrency) {
        input.pull();
      }
      if (input.pending === undefined && running.size === 0) {
        return;
      }
      const first = await run.until<MapResult<T, R> | Pulled<T>>([...running.values(), ...(input.pending === undefined ? [] : [input.pending])]);
      if ("key" in first) {
        running.delete(first.index);
        run.count(first, running.size);
        yield first;
        continue;
      }
      input.taken();
      if (!first.done) {
        running.set(first.index, run.item(first.value, first.index));
      }
    }
  } finally {
    run.stop();
    await Promise.allSettled(running.values());
    await input.close();
  }
}

/** countOf is how many items there are, if that can be known. */
function countOf(items: unknown): number | undefined {
  if (Array.isArray(items)) {
    return items.length;
  }
  return items instanceof Set || items instanceof Map ? items.size : undefined;
}

/** nameOf is an item's key unless the caller has one. */
function nameOf(item: unknown, index: number): string {
  const { custom_id, id } = (typeof item === "object" && item !== null ? item : {}) as Record<string, unknown>;
  return String(custom_id ?? id ?? index);
}

/** Run is what the items of one map share. */
class Run<T, R> {
  private readonly aborter = new AbortController();
  private readonly finished = new Map<string, unknown>();
  private readonly seen = new Set<string>();
  private readonly journal: Journal | undefined;
  private readonly progress: MapProgress;
  private readonly began = Date.now();
  private readonly signal = this.aborter.signal;
  /** Who waits in until. They share one listener: Node warns of more than ten. */
  private readonly waiting = new Set<(reason: unknown) => void>();
  private readonly abort = (): void => this.aborter.abort(this.options.signal?.reason);

  constructor(
    private readonly sandboxes: Sandboxes, private readonly work: Work<T, R>, private readonly options: MapOptions<T>, total: number | undefined,
  ) {
    this.progress = { done: 0, failed: 0, resumed: 0, running: 0, total, seconds: 0 };
    this.journal = typeof options.resume === "string" ? fileJournal(options.resume) : options.resume;
  }

  async begin(): Promise<void> {
    this.options.signal?.addEventListener("abort", this.abort, { once: true });
    this.options.signal?.throwIfAborted();
    this.signal.addEventListener("abort", () => this.waiting.forEach((stop) => stop(this.signal.reason)), { once: true });
    for await (const { key, value } of this.journal?.load() ?? []) {
      this.finished.set(key, value);
    }
  }

  stop(): void {
    this.options.signal?.removeEventListener("abort", this.abort);
    this.abort();
  }

  /** The first of several promises, or the reason of a stop. */
  async until<V>(promises: Promise<V>[]): Promise<V> {
    this.signal.throwIfAborted();
    let stop: (reason: unknown) => void = () => undefined;
    const stopped = new Promise<never>((_, reject) => (stop = reject));
    this.waiting.add(stop);
    try {
      return await Promise.race([stopped, ...promises]);
    } finally {
      this.waiting.delete(stop);
    }
  }

  count(result: MapResult<T, R>, running: number): void {
    this.progress.running = running;
    this.progress.seconds = (Date.now() - this.began) / 1000;
    this.progress.done++;
    this.progress.failed += result.ok ? 0 : 1;
    this.progress.resumed += result.resumed ? 1 : 0;
    this.options.onProgress?.({ ...this.progress });
  }

  async item(item: T, index: number): Promise<MapResult<T, R>> {
    const key = this.options.key?.(item, index) ?? nameOf(item, index);
    const about = { key, index, item, resumed: false };
    if (this.seen.has(key)) {
      throw new BadRequestError(`cannot map: because item ${index} has the key ${JSON.stringify(key)} of an earlier one`, {
        code: "invalid",
        fix: "give map a key that differs for each item",
      });
    }
    this.seen.add(key);
    if (this.finished.has(key)) {
      return { ...about, attempts: 0, resumed: true, ok: true, value: this.finished.get(key) as R };
    }
    for (let attempts = 1; ; attempts++) {
      try {
        const value = await this.attempt(item, key, index);
        await this.journal?.append({ key, value });
        return { ...about, attempts, ok: true, value };
      } catch (error) {
        if (attempts >= (this.options.attempts ?? DEFAULT_ATTEMPTS) || this.signal.aborted || !isPlatform(error)) {
          return { ...about, attempts, ok: false, error };
        }
      }
    }
  }

  /** attempt works on an item in a new sandbox, which is deleted at once when the map is stopped. */
  private async attempt(item: T, key: string, index: number): Promise<R> {
    const { signal } = this;
    signal.throwIfAborted();
    const sandbox = await this.sandboxes.create({ ttlSeconds: DEFAULT_TTL_SECONDS, ...this.options.create });
    try {
      signal.throwIfAborted();
      return await this.until([this.work(sandbox, item, { key, index, signal })]);
    } finally {
      await sandbox[Symbol.asyncDispose]().catch(() => undefined); // its TTL ends it
    }
  }
}

/** isPlatform tells a failure of the server from one of the work. */
const isPlatform = (error: unknown): boolean =>
  error instanceof BrigError && !(error instanceof CommandError) && ["internal", "unavailable", "exhausted", "timeout"].includes(error.code);
