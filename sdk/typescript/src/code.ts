import { wireError } from "./errors.js";
import type { CallOptions, Transport } from "./http.js";
import { brokeOff, readEvents } from "./sse.js";
import { fromBase64, fromWire } from "./wire.js";

export interface CodeOptions extends Pick<CallOptions, "signal"> {
  /** `python` (default) or `javascript`. */
  language?: string;
  /** A context's id. Default: the language's own. */
  context?: string;
  /** For this cell alone. */
  env?: Record<string, string>;
  /** Wall clock; then the cell is interrupted, and its context goes on. Default 30. */
  timeoutSeconds?: number;
  /** What it prints and shows, as it comes. */
  onStdout?: (text: string) => void;
  onStderr?: (text: string) => void;
  onResult?: (result: CodeResult) => void;
}

/** One value that a cell showed, in all the forms that it has. */
export class CodeResult {
  /** By MIME type; binary types are base64. */
  readonly data: Record<string, string>;
  /** It is the value of the cell's last expression, not something displayed. */
  readonly main: boolean;

  /** @internal */
  constructor(wire: { data: Record<string, string>; main?: boolean }) {
    this.data = wire.data;
    this.main = wire.main ?? false;
  }

  get text(): string | undefined {
    return this.data["text/plain"];
  }

  get html(): string | undefined {
    return this.data["text/html"];
  }

  get markdown(): string | undefined {
    return this.data["text/markdown"];
  }

  get latex(): string | undefined {
    return this.data["text/latex"];
  }

  get svg(): string | undefined {
    return this.data["image/svg+xml"];
  }

  get png(): Uint8Array | undefined {
    return this.bytes("image/png");
  }

  get jpeg(): Uint8Array | undefined {
    return this.bytes("image/jpeg");
  }

  get json(): unknown {
    const text = this.data["application/json"];
    return text === undefined ? undefined : JSON.parse(text);
  }

  private bytes(type: string): Uint8Array | undefined {
    const base64 = this.data[type];
    return base64 === undefined ? undefined : fromBase64(base64);
  }
}

/** An exception that ended a cell. */
export interface CodeError {
  name: string;
  value: string;
  traceback: string;
}

/** The end of one cell. */
export interface CodeExecution {
  results: CodeResult[];
  stdout: string;
  stderr: string;
  error?: CodeError;
  /** The cell's number in its context, from 1. */
  executionCount: number;
  /** It was interrupted at its timeout; its context goes on. */
  timedOut?: boolean;
  /** Its kernel died, and an empty one took its place; `reason` says of what. */
  restarted?: boolean;
  reason?: string;
  /** Output or results were cut at the limit. */
  truncated?: boolean;
  wallMs: number;
  /** The value of the last expression as text, if there is one. */
  text?: string;
}

type WireResult = { data: Record<string, string>; main?: boolean };

/**
 * runCode runs one cell. It uses a stream, since fetch gives up on an answer that
 * does not begin for some minutes. @internal
 */
export async function runCode(http: Transport, box: string, code: string, options: CodeOptions): Promise<CodeExecution> {
  const { language, context, env, timeoutSeconds, signal, onStdout, onStderr, onResult } = options;
  const response = await http.open("POST", `${box}/code`, {
    json: { code, language, context, env, timeoutSeconds },
    headers: { accept: "text/event-stream" },
    signal,
  });
  for await (const { name, data } of readEvents(response, signal)) {
    switch (name) {
      case "error":
        throw wireError(data, undefined);
      case "end":
        return execution(data);
    }
    if (typeof data["stdout"] === "string") {
      onStdout?.(data["stdout"]);
    }
    if (typeof data["stderr"] === "string") {
      onStderr?.(data["stderr"]);
    }
    if (data["result"] !== undefined) {
      onResult?.(new CodeResult(data["result"] as WireResult));
    }
  }
  throw brokeOff();
}

function execution(data: Record<string, unknown>): CodeExecution {
  const end = fromWire<CodeExecution>(data);
  end.results = ((data["results"] ?? []) as WireResult[]).map((r) => new CodeResult(r));
  const text = end.results.find((r) => r.main)?.text;
  return text === undefined ? end : { ...end, text };
}

/** An interpreter session as the server describes it. */
export interface CodeContextInfo {
  id: string;
  language: string;
  cwd: string;
  default?: boolean;
}

/** One interpreter session: state that cells share. */
export class CodeContext {
  readonly id: string;
  readonly language: string;
  readonly cwd: string;

  /** @internal */
  constructor(private readonly http: Transport, private readonly box: string, info: CodeContextInfo) {
    this.id = info.id;
    this.language = info.language;
    this.cwd = info.cwd;
  }

  runCode(code: string, options: Omit<CodeOptions, "language" | "context"> = {}): Promise<CodeExecution> {
    return runCode(this.http, this.box, code, { ...options, context: this.id, language: this.language });
  }

  /** Gives it a new, empty kernel. */
  restart(): Promise<void> {
    return this.http.none("POST", `${this.path}/restart`);
  }

  close(): Promise<void> {
    return this.http.none("DELETE", this.path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  private get path(): string {
    return `${this.box}/code/contexts/${encodeURIComponent(this.id)}`;
  }
}
