import { brokeOff, readEvents, type ServerEvent } from "./sse.js";
import { CommandError, NetworkError, wireError } from "./errors.js";
import { sleep, type CallOptions, type Transport } from "./http.js";
import { concat, fromBase64, fromWire, toBase64 } from "./wire.js";

/** A line for the shell, or a program with its arguments. */
export type Command = string | string[];

export interface ProgramOptions {
  /** Default `/work`. */
  cwd?: string;
  /** Beside and above the sandbox's own. */
  env?: Record<string, string>;
  /** Default: empty. */
  stdin?: string | Uint8Array;
  /** Wall clock; then it is killed with all that it started. Default 300 for `exec`, else a day. */
  timeoutSeconds?: number;
  /** Ends the program when it printed more. Default 16 MiB for `exec`, else unlimited. */
  outputBytes?: number;
  /** Whom it runs as inside: `user` (default), `root`, another of its users, or a uid; a group may follow, `uid:gid`. */
  user?: string;
}

export interface ExecOptions extends ProgramOptions, Pick<CallOptions, "signal"> {
  /** Throws a `CommandError` unless the program exits with 0. */
  check?: boolean;
  /** What it prints, as it comes. */
  onStdout?: (text: string, bytes: Uint8Array) => void;
  onStderr?: (text: string, bytes: Uint8Array) => void;
}

/** What a program cost. */
export interface Usage {
  wallMs: number;
  cpuMs: number;
  peakMemoryBytes: number;
  outputBytes: number;
}

/** The end of a program as the server tells of it. */
export interface ExecEnd {
  /** As a shell has it: 128+n for signal n, 124 for a timeout. */
  exitCode: number;
  signal?: string;
  /** `ok`, `nonzero`, `signal`, `timeout`, `oom`, `pids`, `disk_full`, `output_limit`, … */
  verdict: string;
  timedOut: boolean;
  /** Its output was cut at the limit, or a part of it was lost with a connection. */
  truncated: boolean;
  durationMs: number;
  usage: Usage;
  /** What was seen of the limit that it hit. */
  evidence: Record<string, unknown>;
}

/** endOf takes out of an answer what is a program's end. @internal */
export function endOf(wire: Record<string, unknown>): ExecEnd {
  const { stdout, stderr, stdoutBase64, stderrBase64, ...end } = fromWire<ExecEnd & Record<string, unknown>>(wire);
  return { ...end, truncated: end.truncated ?? false };
}

/** The end of a program, with what it printed. */
export class ExecResult implements ExecEnd {
  readonly exitCode: number;
  readonly signal: string;
  readonly verdict: string;
  readonly timedOut: boolean;
  readonly truncated: boolean;
  readonly durationMs: number;
  readonly usage: Usage;
  readonly evidence: Record<string, unknown>;

  /** @internal */
  constructor(end: ExecEnd, readonly stdoutBytes: Uint8Array, readonly stderrBytes: Uint8Array) {
    this.exitCode = end.exitCode;
    this.signal = end.signal ?? "";
    this.verdict = end.verdict;
    this.timedOut = end.timedOut;
    this.truncated = end.truncated;
    this.durationMs = end.durationMs;
    this.usage = end.usage;
    this.evidence = end.evidence;
  }

  /** It exited with 0. */
  get ok(): boolean {
    return this.exitCode === 0;
  }

  /** Bytes that are not UTF-8 are U+FFFD here, and exact in `stdoutBytes`. */
  get stdout(): string {
    return new TextDecoder().decode(this.stdoutBytes);
  }

  get stderr(): string {
    return new TextDecoder().decode(this.stderrBytes);
  }
}

/** programBody is a program as the wire has it. @internal */
export function programBody(cmd: Command, options: ProgramOptions): Record<string, unknown> {
  const { cwd, env, stdin, timeoutSeconds, outputBytes, user } = options;
  return {
    ...(typeof cmd === "string" ? { cmd } : { argv: cmd }),
    ...(typeof stdin === "string" ? { stdin } : stdin === undefined ? {} : { stdinBase64: toBase64(stdin) }),
    cwd,
    env,
    timeoutSeconds,
    outputBytes,
    user,
  };
}

/** outputOf gives an event's output, exact where the server says so. @internal */
export function outputOf(event: ServerEvent): Uint8Array {
  const { base64, chunk } = event.data;
  return typeof base64 === "string" ? fromBase64(base64) : new TextEncoder().encode(typeof chunk === "string" ? chunk : "");
}

const DEFAULT_TIMEOUT_SECONDS = 300;
const DEFAULT_OUTPUT_BYTES = 16 << 20;

/**
 * exec runs a program to its end and keeps what it prints. It uses a stream, since
 * fetch gives up on an answer that does not begin for some minutes. @internal
 */
export async function exec(http: Transport, path: string, cmd: Command, options: ExecOptions): Promise<ExecResult> {
  const stdout: Uint8Array[] = [];
  const stderr: Uint8Array[] = [];
  const end = await stream(http, path, cmd, {
    ...options,
    timeoutSeconds: options.timeoutSeconds ?? DEFAULT_TIMEOUT_SECONDS,
    outputBytes: options.outputBytes ?? DEFAULT_OUTPUT_BYTES,
    onStdout: keep(stdout, options.onStdout),
    onStderr: keep(stderr, options.onStderr),
  });
  const result = new ExecResult(end, concat(stdout), concat(stderr));
  if (options.check && !result.ok) {
    throw new CommandError(`the command ended with ${result.exitCode} (${result.verdict}): ${lastLine(result.stderr)}`, result);
  }
  return result;
}

type OnOutput = (text: string, bytes: Uint8Array) => void;

function keep(pieces: Uint8Array[], also: OnOutput | undefined): OnOutput {
  return (text, bytes) => {
    pieces.push(bytes);
    also?.(text, bytes);
  };
}

const lastLine = (text: string): string => text.trimEnd().split("\n").pop()?.slice(0, 500) || "it printed no error";

const MAX_RECONNECTS = 8; // in a row without an event; the server keeps the program for 15 s
const KILL_MS = 5000;

/**
 * stream runs a program and passes on what it prints. A connection that is lost is
 * made again, and goes on where it was. A caller that gives up ends the program.
 * @internal
 */
export async function stream(http: Transport, path: string, cmd: Command, options: ExecOptions): Promise<ExecEnd> {
  const { signal } = options;
  const call = { headers: { accept: "text/event-stream" }, signal };
  const reader = new Reader(options);
  let response = await http.open("POST", `${path}/exec/stream`, { ...call, json: { ...programBody(cmd, options), onTimeout: "result" } });
  const process = response.headers.get("x-exec-id");
  try {
    for (let failures = 0; ; failures++) {
      try {
        for await (const event of readEvents(response, signal)) {
          failures = 0;
          reader.take(event);
          if (reader.end !== undefined) {
            return reader.end;
          }
        }
        throw brokeOff();
      } catch (error) {
        if (!(error instanceof NetworkError) || process === null || failures >= MAX_RECONNECTS) {
          throw error;
        }
      }
      await sleep(50 * 2 ** failures, signal);
      response = await http.open("GET", `${path}/exec/stream`, { ...call, query: { process }, headers: { ...call.headers, ...reader.place } });
    }
  } finally {
    if (!reader.ended && process !== null) {
      const kill = { json: { signal: "KILL", tree: true }, timeoutMs: KILL_MS };
      await http.none("POST", `${path}/processes/${process}/signal`, kill).catch(() => undefined); // else its timeout ends it
    }
  }
}

/** Reader passes on the events of one program. */
class Reader {
  private readonly text = { stdout: new TextDecoder(), stderr: new TextDecoder() };
  private lost = false;
  private lastId = "";
  /** The server has said how the program ended, or why it cannot. */
  ended = false;
  end: ExecEnd | undefined;

  constructor(private readonly options: ExecOptions) {}

  /** The header by which the server goes on behind the last event. */
  get place(): Record<string, string> {
    return this.lastId === "" ? {} : { "last-event-id": this.lastId };
  }

  take(event: ServerEvent): void {
    this.lastId = event.id || this.lastId;
    switch (event.name) {
      case "stdout":
      case "stderr": {
        const bytes = outputOf(event);
        const give = event.name === "stdout" ? this.options.onStdout : this.options.onStderr;
        give?.(this.text[event.name].decode(bytes, { stream: true }), bytes);
        break;
      }
      case "lost":
        this.lost = true;
        break;
      case "exit":
        this.ended = true;
        this.end = endOf(event.data);
        this.end.truncated ||= this.lost;
        break;
      case "error":
        this.ended = true;
        throw wireError(event.data, undefined);
    }
  }
}
