import { clientOf, type Client, type ClientOptions } from "./client.js";
import { CodeContext, runCode, type CodeContextInfo, type CodeExecution, type CodeOptions } from "./code.js";
import { exec, stream, type Command, type ExecEnd, type ExecOptions, type ExecResult } from "./exec.js";
import { Filesystem } from "./filesystem.js";
import { NotFoundError, wireError } from "./errors.js";
import type { Transport } from "./http.js";
import { Ports } from "./ports.js";
import { Processes } from "./processes.js";
import { readEvents } from "./sse.js";
import type {
  CreateOptions, ForkOptions, Lifecycle, LifecycleChange, ListOptions, PromoteResult, SandboxEvent, SandboxInfo, SnapshotInfo, Stats,
} from "./types.js";
import { fromWire } from "./wire.js";

/** What a fork made. */
export interface ForkTree {
  treeId: string;
  parentId: string;
  children: Sandbox[];
  /** How long the parent stood still. */
  pausedMs: number;
  /** Children that could not be made. */
  errors: { index: number; err: string }[];
}

/**
 * One throwaway environment. `await using` deletes it at the end of its block;
 * without that, call `delete()` in `finally`.
 */
export class Sandbox {
  readonly id: string;
  /** The files inside. */
  readonly filesystem: Filesystem;
  /** The programs that run in the background. */
  readonly processes: Processes;
  /** What listens inside. */
  readonly ports: Ports;
  private readonly path: string;

  /** @internal */
  constructor(
    private readonly http: Transport,
    /** What the server said of it when this value was made. */
    readonly info: SandboxInfo,
  ) {
    this.id = info.id;
    this.path = `/v1/sandboxes/${encodeURIComponent(info.id)}`;
    this.filesystem = new Filesystem(http, this.path);
    this.processes = new Processes(http, this.path);
    this.ports = new Ports(http, this.path);
  }

  /** Makes a sandbox; it answers when this has resolved. */
  static create(options: CreateOptions = {}, client?: Client | ClientOptions): Promise<Sandbox> {
    return clientOf(client).sandboxes.create(options);
  }

  /** Finds one by its id, or by a name that only one has. */
  static get(id: string, client?: Client | ClientOptions): Promise<Sandbox> {
    return clientOf(client).sandboxes.get(id);
  }

  static list(options: ListOptions = {}, client?: Client | ClientOptions): Promise<SandboxInfo[]> {
    return clientOf(client).sandboxes.list(options);
  }

  get template(): string {
    return this.info.template;
  }

  /** What the server says of it now. */
  refresh(): Promise<SandboxInfo> {
    return this.http.json("GET", this.path);
  }

  /**
   * Runs a program to its end. One that fails, or is ended at a limit, is no error
   * but a result, unless `check` is set. When the caller gives up, it is killed.
   */
  exec(cmd: Command, options: ExecOptions = {}): Promise<ExecResult> {
    return exec(this.http, this.path, cmd, options);
  }

  /** Runs a program and passes on what it prints without keeping it. */
  execStream(cmd: Command, options: ExecOptions = {}): Promise<ExecEnd> {
    return stream(this.http, this.path, cmd, options);
  }

  /** Runs one cell in an interpreter session. An exception in it is no error but a result. */
  runCode(code: string, options: CodeOptions = {}): Promise<CodeExecution> {
    return runCode(this.http, this.path, code, options);
  }

  /** Makes an interpreter session beside the languages' own. */
  async createCodeContext(options: { language?: string; cwd?: string } = {}): Promise<CodeContext> {
    const info = await this.http.json<CodeContextInfo>("POST", `${this.path}/code/contexts`, { json: options });
    return new CodeContext(this.http, this.path, info);
  }

  async codeContexts(): Promise<CodeContext[]> {
    const list = await this.http.json<CodeContextInfo[]>("GET", `${this.path}/code/contexts`);
    return list.map((info) => new CodeContext(this.http, this.path, info));
  }

  /** Destroys it; when this has resolved nothing in it can run any more. */
  delete(): Promise<void> {
    return this.http.none("DELETE", this.path);
  }

  /** The same as `delete`. */
  kill(): Promise<void> {
    return this.delete();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.delete();
    } catch (error) {
      if (!(error instanceof NotFoundError)) {
        throw error;
      }
    }
  }

  /** Stops every process until `resume`; the deadline goes on. */
  pause(): Promise<void> {
    return this.http.none("POST", `${this.path}/pause`);
  }

  resume(): Promise<void> {
    return this.http.none("POST", `${this.path}/resume`);
  }

  /** Keeps it on disk until its next use. */
  hibernate(): Promise<void> {
    return this.http.none("POST", `${this.path}/hibernate`);
  }

  wake(): Promise<void> {
    return this.http.none("POST", `${this.path}/wake`);
  }

  lifecycle(): Promise<Lifecycle> {
    return this.http.json("GET", `${this.path}/lifecycle`);
  }

  setLifecycle(change: LifecycleChange): Promise<Lifecycle> {
    return this.http.json("PATCH", `${this.path}/lifecycle`, { json: change });
  }

  /** Moves its deadline to so many seconds from now. */
  setTtl(seconds: number): Promise<Lifecycle> {
    return this.setLifecycle({ ttlSeconds: seconds });
  }

  stats(): Promise<Stats> {
    return this.http.json("GET", `${this.path}/stats`);
  }

  /** What happened to it, the oldest first; `tail` only the newest ones. Events outlive it. */
  events(options: { tail?: number } = {}): Promise<SandboxEvent[]> {
    return this.http.json("GET", `${this.path}/events`, { query: { tail: options.tail } });
  }

  /** What happens to it, until it ends; `tail` as many of the newest events before. */
  async *followEvents(options: { tail?: number; signal?: AbortSignal } = {}): AsyncGenerator<SandboxEvent> {
    const { tail, signal } = options;
    const response = await this.http.open("GET", `${this.path}/events`, { query: { follow: 1, tail }, signal });
    for await (const event of readEvents(response, signal)) {
      if (event.name === "error") {
        throw wireError(event.data, undefined);
      }
      yield fromWire<SandboxEvent>(event.data);
    }
  }

  /** The end of what its programs printed; with `follow` until it ends. */
  async *logs(options: { stream?: "stdout" | "stderr"; follow?: boolean; signal?: AbortSignal } = {}): AsyncGenerator<string> {
    const { stream, follow, signal } = options;
    if (!follow) {
      const bytes = await this.http.bytes("GET", `${this.path}/logs`, { query: { stream }, signal });
      yield new TextDecoder().decode(bytes);
      return;
    }
    const response = await this.http.open("GET", `${this.path}/logs`, { query: { stream, follow: 1 }, signal });
    for await (const event of readEvents(response, signal)) {
      if (event.name === "error") {
        throw wireError(event.data, undefined);
      }
      yield String(event.data["chunk"] ?? event.data["line"] ?? "");
    }
  }

  /** Keeps this moment, memory and files and programs; the sandbox goes on. */
  snapshot(options: { name?: string; ttlSeconds?: number } = {}): Promise<SnapshotInfo> {
    return this.http.json("POST", `${this.path}/snapshots`, { json: options });
  }

  /** Makes one child of this moment; the sandbox goes on. */
  async fork(options: ForkOptions = {}): Promise<Sandbox> {
    const { children } = await this.forkTree({ ...options, count: 1 });
    return children[0] as Sandbox; // a fork without any child is an error
  }

  /** Makes several children of one moment. */
  async forkTree(options: ForkOptions & { count: number }): Promise<ForkTree> {
    type Wire = Omit<ForkTree, "children" | "errors"> & { children: SandboxInfo[]; errors?: ForkTree["errors"] };
    const tree = await this.http.json<Wire>("POST", `${this.path}/fork-tree`, { json: options });
    return {
      treeId: tree.treeId,
      parentId: tree.parentId,
      pausedMs: tree.pausedMs,
      children: tree.children.map((info) => new Sandbox(this.http, info)),
      errors: tree.errors ?? [],
    };
  }

  /** Keeps this child of a fork and destroys its siblings, or lets them live. */
  promote(options: { cleanupSiblings?: boolean } = {}): Promise<PromoteResult> {
    return this.http.json("POST", `${this.path}/promote`, { json: { cleanupSiblings: options.cleanupSiblings ?? true } });
  }
}

/** randomKey is not secret, and needs only to differ from all others. */
function randomKey(): string {
  const word = (): string => Math.random().toString(36).slice(2).padEnd(12, "0").slice(0, 12);
  return `ts-${word()}${word()}`;
}

/** The caller's sandboxes. */
export class Sandboxes {
  /** @internal */
  constructor(private readonly http: Transport) {}

  async create(options: CreateOptions = {}): Promise<Sandbox> {
    const { idempotencyKey, ...json } = options;
    const info = await this.http.json<SandboxInfo>("POST", "/v1/sandboxes", {
      json,
      // With a key of its own the request may be repeated without making two.
      headers: { "idempotency-key": idempotencyKey ?? randomKey() },
      idempotent: true,
    });
    return new Sandbox(this.http, info);
  }

  async get(id: string): Promise<Sandbox> {
    return new Sandbox(this.http, await this.http.json<SandboxInfo>("GET", `/v1/sandboxes/${encodeURIComponent(id)}`));
  }

  /** Describes them, the newest first. */
  list(options: ListOptions = {}): Promise<SandboxInfo[]> {
    return this.http.json("GET", "/v1/sandboxes", { query: query(options) });
  }

  /** The same one by one, asked for in pages: for more than fit one answer. */
  async *iterate(options: ListOptions & { pageSize?: number } = {}): AsyncGenerator<SandboxInfo> {
    const { pageSize = 100, ...list } = options;
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const response = await this.http.open("GET", "/v1/sandboxes", { query: { ...query(list), limit: pageSize, cursor } });
      cursor = response.headers.get("x-next-cursor");
      yield* fromWire<SandboxInfo[]>(await response.json());
    }
  }

  delete(id: string): Promise<void> {
    return this.http.none("DELETE", `/v1/sandboxes/${encodeURIComponent(id)}`);
  }
}

/** query is what chooses sandboxes. */
function query({ all, status, template, metadata = {} }: ListOptions): Record<string, string | number | undefined> {
  const chosen = Object.entries(metadata).map(([key, value]) => [`metadata.${key}`, value]);
  return { all: all ? 1 : undefined, status: Array.isArray(status) ? status.join(",") : status, template, ...Object.fromEntries(chosen) };
}
