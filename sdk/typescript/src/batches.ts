import type { Usage } from "./exec.js";
import { NetworkError, UnavailableError } from "./errors.js";
import { sleep, type CallOptions, type Content, type Transport } from "./http.js";
import { readLines } from "./lines.js";
import type { Resources } from "./types.js";
import { fromWire } from "./wire.js";

/** What was uploaded for a batch, or what a batch left. Times are Unix seconds. */
export interface FileObject {
  id: string;
  bytes: number;
  createdAt: number;
  filename: string;
  purpose: string;
}

/** A part of a list, the newest first; `lastId` is the next part's `after`. */
export interface Page<T> {
  data: T[];
  lastId?: string;
  hasMore: boolean;
}

/** What is absent has the default of `brig batch run`. */
export interface BatchOptions {
  inputFileId: string;
  /** How long it may take, as `24h`; at most 7 days. */
  completionWindow?: string;
  metadata?: Record<string, string | number | boolean>;
  /** Of the file. Default: by its first record. */
  format?: "items" | "openai" | "anthropic" | "eval";
  template?: string;
  /** Who shares a sandbox: `item`, `chunk:N` or `batch`. */
  per?: string;
  result?: "required" | "optional" | "none";
  /** Globs below /work. */
  artifacts?: string[];
  /** Wall clock of each item's program. */
  timeoutSeconds?: number;
  cpuSeconds?: number;
  outputBytes?: number;
  limits?: Resources;
  concurrency?: number;
  /** Of an item whose program fails. */
  attempts?: number;
  /** Only these custom_ids. */
  only?: string[];
  limit?: number;
  sample?: number;
  seed?: number;
  maxFailures?: number;
}

export interface BatchRetryOptions extends Pick<BatchOptions, "only" | "timeoutSeconds" | "cpuSeconds" | "outputBytes" | "limits" | "completionWindow"> {
  /** Leaves failed items as they are. */
  missingOnly?: boolean;
}

/** A batch and how far it is. Times are Unix seconds. */
export interface Batch {
  id: string;
  status: "validating" | "in_progress" | "cancelling" | "completed" | "failed" | "expired" | "cancelled";
  inputFileId: string;
  outputFileId?: string;
  errorFileId?: string;
  metadata: Record<string, string>;
  errors?: { data: unknown };
  requestCounts: { total: number; completed: number; failed: number };
  createdAt: number;
  expiresAt: number;
  completedAt?: number;
  progress: { inFlight: number; rejected: number; verdicts: Record<string, number>; itemsPerSecond: number; etaSeconds?: number };
}

/** What became of one item. */
export interface BatchItemResult {
  customId: string;
  verdict: string;
  ok: boolean;
  /** What the program wrote to /work/result.json; null unless the verdict is ok. */
  result: unknown;
  exitCode: number | null;
  stdout: string;
  stderr: string;
  artifacts: { path: string; bytes: number; sha256: string }[];
  usage: Usage;
  error: { code: string; error: string; fix?: string } | null;
}

export interface BatchItem {
  customId: string;
  /** null: it has none yet. */
  result: BatchItemResult | null;
  code: string;
  language?: string;
}

type PageOptions = { limit?: number; after?: string };

/** The files of the caller's batches. */
export class Files {
  /** @internal */
  constructor(private readonly http: Transport) {}

  upload(content: Content, options: { filename?: string } & CallOptions = {}): Promise<FileObject> {
    const { filename, ...call } = options;
    return this.http.json("POST", "/v1/files", {
      timeoutMs: 0, ...call, query: { filename }, body: content, headers: { "content-type": "application/octet-stream" },
    });
  }

  list(options: PageOptions = {}): Promise<Page<FileObject>> {
    return page(this.http, "/v1/files", options);
  }

  get(id: string): Promise<FileObject> {
    return this.http.json("GET", filePath(id));
  }

  content(id: string, options: CallOptions = {}): Promise<Uint8Array> {
    return this.http.bytes("GET", `${filePath(id)}/content`, { timeoutMs: 0, ...options });
  }

  delete(id: string): Promise<void> {
    return this.http.none("DELETE", filePath(id));
  }
}

const POLL_MS = 500;
const MAX_RECONNECTS = 10; // in a row without a result
const FINAL = ["completed", "failed", "expired", "cancelled"];

/** Batches that the server runs: they go on when their caller goes away. */
export class Batches {
  /** @internal */
  constructor(private readonly http: Transport) {}

  create(options: BatchOptions): Promise<Batch> {
    return this.http.json("POST", "/v1/batches", { json: options });
  }

  list(options: PageOptions = {}): Promise<Page<Batch>> {
    return page(this.http, "/v1/batches", options);
  }

  get(id: string): Promise<Batch> {
    return this.http.json("GET", batchPath(id));
  }

  cancel(id: string): Promise<Batch> {
    return this.http.json("POST", `${batchPath(id)}/cancel`);
  }

  /** Runs the items again that are not ok, and those without a result. */
  retry(id: string, options: BatchRetryOptions = {}): Promise<Batch> {
    return this.http.json("POST", `${batchPath(id)}/retry`, { json: options });
  }

  delete(id: string): Promise<void> {
    return this.http.none("DELETE", batchPath(id));
  }

  /** Waits for its end. */
  async wait(id: string, options: Pick<CallOptions, "signal"> & { onProgress?: (batch: Batch) => void } = {}): Promise<Batch> {
    for (;;) {
      const batch = await this.get(id);
      options.onProgress?.(batch);
      if (FINAL.includes(batch.status)) {
        return batch;
      }
      await sleep(POLL_MS, options.signal);
    }
  }

  /**
   * Its results as they are there; with `follow` until its end. A connection that is
   * lost is made again, and goes on where it was.
   */
  async *results(id: string, options: { follow?: boolean; signal?: AbortSignal } = {}): AsyncGenerator<BatchItemResult> {
    const { follow, signal } = options;
    let offset = 0;
    for (let failures = 0; ; failures++) {
      try {
        const response = await this.http.open("GET", `${batchPath(id)}/results`, { query: { offset, follow: follow ? 1 : 0 }, signal });
        for await (const { text, bytes } of readLines(response, signal)) {
          offset += bytes;
          failures = 0;
          yield fromWire<BatchItemResult>(JSON.parse(text), "result");
        }
        return;
      } catch (error) {
        const lost = error instanceof NetworkError || error instanceof UnavailableError;
        if (!lost || failures >= MAX_RECONNECTS) {
          throw error;
        }
      }
      await sleep(Math.min(5000, 100 * 2 ** failures), signal);
    }
  }

  /** What is known of one item. */
  async item(id: string, customId: string): Promise<BatchItem> {
    const item = await this.http.json<BatchItem>("GET", `${batchPath(id)}/item`, { query: { custom_id: customId }, opaque: "result" });
    return { ...item, result: item.result === null ? null : fromWire<BatchItemResult>(item.result, "result") };
  }

  /** A file that an item left. */
  artifact(id: string, customId: string, path: string): Promise<Uint8Array> {
    return this.http.bytes("GET", `${batchPath(id)}/artifact`, { query: { custom_id: customId, path }, timeoutMs: 0 });
  }
}

const filePath = (id: string): string => `/v1/files/${encodeURIComponent(id)}`;
const batchPath = (id: string): string => `/v1/batches/${encodeURIComponent(id)}`;

/** page: a list's elements are in data, whose fields are the caller's elsewhere. */
async function page<T>(http: Transport, path: string, options: PageOptions): Promise<Page<T>> {
  const { data, ...about } = await http.json<Page<unknown>>("GET", path, { query: { ...options } });
  return { ...about, data: fromWire<T[]>(data) };
}
