import { endOf, outputOf, programBody, type Command, type ExecEnd, type ProgramOptions } from "./exec.js";
import { BrigError, NetworkError, SandboxTimeout, UnavailableError, wireError } from "./errors.js";
import { sleep, type CallOptions, type Content, type Transport } from "./http.js";
import { brokeOff, readEvents } from "./sse.js";

export interface StartOptions extends ProgramOptions {
  /** Its stdin stays open for `write`. */
  openStdin?: boolean;
  /** Gives it a terminal instead of pipes; all its output is stdout then. */
  terminal?: { rows: number; cols: number };
  /** Names it for its caller. */
  tag?: string;
}

/** A background program as the server describes it. */
export interface ProcessInfo {
  id: string;
  /** Inside. */
  pid: number;
  argv: string[];
  cwd?: string;
  tag?: string;
  startedAt: string;
  running: boolean;
  /** How much it has printed, and the first offset that is still kept. */
  outputBytes: number;
  outputStart: number;
  /** Its end, once it has ended. */
  result?: ExecEnd;
}

/** A piece of a program's output. */
export interface Output {
  stream: "stdout" | "stderr";
  bytes: Uint8Array;
  /** The place of its first byte in all that the program printed. */
  offset: number;
  /** How many bytes before it were no longer kept. */
  lost: number;
}

/** The background programs of a sandbox. They go on when their caller goes away. */
export class Processes {
  /** @internal */
  constructor(private readonly http: Transport, private readonly box: string) {}

  async start(cmd: Command, options: StartOptions = {}): Promise<Process> {
    const { openStdin, terminal, tag } = options;
    const info = await this.http.json<ProcessInfo>("POST", `${this.box}/processes`, {
      json: { ...programBody(cmd, options), openStdin, terminal, tag },
    });
    return new Process(this.http, this.box, info.id, info.pid);
  }

  /** Those that ended, too. */
  list(): Promise<ProcessInfo[]> {
    return this.http.json("GET", `${this.box}/processes`);
  }

  async get(id: string): Promise<Process> {
    const info = await this.http.json<ProcessInfo>("GET", `${this.box}/processes/${encodeURIComponent(id)}`);
    return new Process(this.http, this.box, info.id, info.pid);
  }
}

/** WAIT_MS is how long one request waits for an end: fetch gives up on longer ones. */
const WAIT_MS = 120_000;
const MAX_RECONNECTS = 10; // in a row without any output

/** One background program. */
export class Process {
  private readonly path: string;

  /** @internal */
  constructor(private readonly http: Transport, box: string, readonly id: string, readonly pid: number) {
    this.path = `${box}/processes/${encodeURIComponent(id)}`;
  }

  info(): Promise<ProcessInfo> {
    return this.http.json("GET", this.path);
  }

  /**
   * What it printed from an offset on, until its end. A connection that is lost is
   * made again, and goes on where it was.
   */
  async *output(options: { offset?: number; follow?: boolean; signal?: AbortSignal } = {}): AsyncGenerator<Output> {
    let next = options.offset ?? 0;
    for (let failures = 0; ; failures++) {
      try {
        for await (const piece of this.attach(next, options)) {
          next = piece.offset + piece.bytes.length;
          failures = 0;
          yield piece;
        }
        return;
      } catch (error) {
        const lost = error instanceof NetworkError || error instanceof UnavailableError;
        if (!lost || options.signal?.aborted || failures >= MAX_RECONNECTS) {
          throw error;
        }
      }
      await sleep(Math.min(5000, 100 * 2 ** failures), options.signal);
    }
  }

  private async *attach(offset: number, options: { follow?: boolean; signal?: AbortSignal }): AsyncGenerator<Output> {
    const response = await this.http.open("GET", `${this.path}/output`, {
      query: { offset, follow: options.follow === false ? 0 : 1 },
      headers: { accept: "text/event-stream" },
      signal: options.signal,
    });
    for await (const event of readEvents(response, options.signal)) {
      switch (event.name) {
        case "stdout":
        case "stderr": {
          const at = Number(event.data["offset"] ?? offset);
          const bytes = outputOf(event);
          yield { stream: event.name, bytes, offset: at, lost: Math.max(0, at - offset) };
          offset = at + bytes.length;
          break;
        }
        case "exit":
        case "paused":
          return;
        case "error":
          throw wireError(event.data, undefined);
      }
    }
    throw brokeOff();
  }

  /** Waits for its end. */
  async wait(options: Pick<CallOptions, "signal"> = {}): Promise<ExecEnd> {
    for (;;) {
      try {
        const { result } = await this.http.json<ProcessInfo>("GET", this.path, { ...options, query: { wait: 1 }, timeoutMs: WAIT_MS });
        if (result !== undefined) {
          return endOf({ ...result });
        }
        throw new BrigError(`cannot wait for process ${this.id}: because the server did not`);
      } catch (error) {
        if (!(error instanceof SandboxTimeout)) {
          throw error;
        }
      }
    }
  }

  /** Sends a signal to its process group, or with `tree` to all that it started. */
  signal(name: string, options: { tree?: boolean } = {}): Promise<void> {
    return this.http.none("POST", `${this.path}/signal`, { json: { signal: name, tree: options.tree ?? false } });
  }

  /** Kills it with all that it started. */
  kill(): Promise<void> {
    return this.signal("KILL", { tree: true });
  }

  /** Passes content on to its stdin; `eof` closes that afterwards. */
  write(content: Content, options: { eof?: boolean } = {}): Promise<void> {
    return this.http.none("POST", `${this.path}/stdin`, { body: content, query: { eof: options.eof ? 1 : undefined } });
  }

  resize(rows: number, cols: number): Promise<void> {
    return this.http.none("POST", `${this.path}/resize`, { json: { rows, cols } });
  }
}
