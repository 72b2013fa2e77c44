import { BrigError, errorOf, NetworkError, RateLimitError, SandboxTimeout, UnavailableError } from "./errors.js";
import { fromWire, toWire } from "./wire.js";

/** What a body may be; a function is asked again when a request is repeated. */
export type Content = string | Uint8Array | ArrayBuffer | Blob | ReadableStream<Uint8Array>;
type Body = Content | FormData;

/** How one call can be stopped. */
export interface CallOptions {
  /** Ends the call, and what the server does for it. */
  signal?: AbortSignal | undefined;
  /** How long the answer may take, in milliseconds; 0 = for ever. Default: the client's. */
  timeoutMs?: number | undefined;
}

/** @internal */
export interface RequestOptions extends CallOptions {
  query?: Record<string, string | number | boolean | undefined>;
  json?: unknown;
  body?: Body | (() => Body | Promise<Body>);
  headers?: Record<string, string>;
  /** A field of the answer that is the caller's own JSON. */
  opaque?: string;
  /** Doing it twice is as doing it once: a POST may be repeated. */
  idempotent?: boolean;
}

/** @internal */
export interface TransportConfig {
  apiUrl: string;
  apiKey: string | undefined;
  timeoutMs: number;
  retries: number;
  fetch: typeof fetch;
}

/** Transport sends requests, repeats those that may be, and makes errors of replies. @internal */
export class Transport {
  constructor(readonly config: TransportConfig) {}

  /** json is a call whose answer is JSON; undefined when it is empty. */
  async json<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
    const text = await this.call(method, path, options, (response) => response.text());
    if (text === "") {
      return undefined as T;
    }
    try {
      return fromWire<T>(JSON.parse(text), options.opaque);
    } catch (cause) {
      throw new NetworkError("cannot read the server's answer: because it is no JSON", {
        code: "unavailable",
        fix: "see that the URL is that of a Brig server",
        cause,
      });
    }
  }

  /** bytes is a call whose answer is bytes. */
  async bytes(method: string, path: string, options: RequestOptions = {}): Promise<Uint8Array> {
    return new Uint8Array(await this.call(method, path, options, (response) => response.arrayBuffer()));
  }

  /** none is a call whose answer does not matter. */
  async none(method: string, path: string, options: RequestOptions = {}): Promise<void> {
    await this.call(method, path, options, (response) => response.arrayBuffer());
  }

  /** open is a call whose answer is a stream: the time limit ends with its headers. */
  async open(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
    return this.call(method, path, options, async (response) => response);
  }

  /** url is the address of a path. */
  url(path: string, query: RequestOptions["query"] = {}): string {
    const url = new URL(this.config.apiUrl + path);
    for (const [key, value] of Object.entries(query)) {
      if (value !== undefined) {
        url.searchParams.set(key, String(value));
      }
    }
    return url.toString();
  }

  /** headers are those of every request. */
  headers(more: Record<string, string> = {}): Record<string, string> {
    const key = this.config.apiKey;
    return { ...(key === undefined ? {} : { authorization: `Bearer ${key}` }), ...more };
  }

  private async call<T>(method: string, path: string, options: RequestOptions, use: (response: Response) => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.once(method, path, options, use, attempt);
      } catch (error) {
        if (!(error instanceof BrigError) || attempt >= this.config.retries || !mayRepeat(method, options, error)) {
          throw error;
        }
        await pause(error, attempt, options.signal);
      }
    }
  }

  private async once<T>(method: string, path: string, options: RequestOptions, use: (response: Response) => Promise<T>, attempt: number): Promise<T> {
    const limit = new Limit(options.timeoutMs ?? this.config.timeoutMs, options.signal);
    try {
      const response = await this.config.fetch(this.url(path, options.query), await this.init(method, options, limit.signal));
      if (response.status === 404 && method === "DELETE" && attempt > 0) {
        return await use(new Response(null, { status: 204 })); // the attempt before has done it
      }
      if (!response.ok) {
        throw await errorOf(response);
      }
      return await use(response);
    } catch (error) {
      throw limit.explain(error);
    } finally {
      limit.end();
    }
  }

  private async init(method: string, options: RequestOptions, signal: AbortSignal): Promise<RequestInit> {
    const headers = this.headers(options.headers);
    const init: RequestInit & { duplex?: "half" } = { method, headers, signal };
    if (options.json !== undefined) {
      headers["content-type"] = "application/json";
      init.body = JSON.stringify(toWire(options.json));
    } else if (options.body !== undefined) {
      const body = typeof options.body === "function" ? await options.body() : options.body;
      init.body = body as BodyInit;
      if (body instanceof ReadableStream) {
        init.duplex = "half"; // what fetch wants said about a body that is a stream
      }
    }
    return init;
  }
}

/** mayRepeat: only what the server refused to begin, or what can be done twice. */
function mayRepeat(method: string, options: RequestOptions, error: BrigError): boolean {
  if (options.body instanceof ReadableStream || options.signal?.aborted) {
    return false;
  }
  if (error instanceof RateLimitError) {
    return true;
  }
  const idempotent = options.idempotent === true || ["GET", "HEAD", "PUT", "DELETE"].includes(method);
  return idempotent && (error instanceof NetworkError || error instanceof UnavailableError);
}

const MAX_PAUSE_MS = 10_000;

/** pause waits as long as the server asks, or longer with each attempt; never for the same time as others. */
async function pause(error: BrigError, attempt: number, signal: AbortSignal | undefined): Promise<void> {
  const asked = (error.retryAfterSeconds ?? 0) * 1000;
  const ms = Math.min(MAX_PAUSE_MS, Math.max(asked, 100 * 2 ** attempt)) * (1 + Math.random() / 4);
  await sleep(ms, signal);
}

/** sleep waits, unless the caller gives up. @internal */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(aborted(signal));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
    if (signal?.aborted) {
      stop();
    }
  });
}

const aborted = (signal: AbortSignal | undefined): unknown => signal?.reason ?? new Error("aborted");

/** Limit ends a request at its time limit, or when the caller gives up. */
class Limit {
  private readonly timer: ReturnType<typeof setTimeout> | undefined;
  private timedOut = false;
  /** Goes on being the caller's after end(): a stream's body comes later. */
  readonly signal: AbortSignal;

  constructor(private readonly ms: number, private readonly caller: AbortSignal | undefined) {
    const own = new AbortController();
    this.signal = caller === undefined ? own.signal : either(caller, own);
    if (ms > 0) {
      this.timer = setTimeout(() => {
        this.timedOut = true;
        own.abort();
      }, ms);
    }
  }

  end(): void {
    clearTimeout(this.timer);
  }

  /** explain makes an error of this package of any failure but the caller's own abort. */
  explain(error: unknown): unknown {
    if (error instanceof BrigError) {
      return error;
    }
    if (this.timedOut) {
      return new SandboxTimeout(`cannot wait for the server: because it took longer than ${this.ms} ms`, {
        code: "timeout",
        fix: "raise timeoutMs",
        cause: error,
      });
    }
    if (this.caller?.aborted) {
      return aborted(this.caller);
    }
    return new NetworkError(`cannot reach the server: because ${reasonOf(error)}`, {
      code: "unavailable",
      fix: "see that 'brig serve' runs and that BRIG_API is right",
      cause: error,
    });
  }
}

/** either is AbortSignal.any, which Node 18 has not. */
function either(caller: AbortSignal, own: AbortController): AbortSignal {
  const any = (AbortSignal as { any?: (signals: AbortSignal[]) => AbortSignal }).any;
  if (any !== undefined) {
    return any.call(AbortSignal, [caller, own.signal]);
  }
  caller.addEventListener("abort", () => own.abort(caller.reason), { once: true });
  if (caller.aborted) {
    own.abort(caller.reason);
  }
  return own.signal;
}

/** reasonOf finds what fetch hides in its cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message || cause.name : String(cause);
}
