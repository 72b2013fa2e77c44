import { clientOf, type Client, type ClientOptions } from "./client.js";
import type { ExecResult } from "./exec.js";
import type { Content } from "./http.js";
import type { Sandbox } from "./sandbox.js";
import type { CreateOptions } from "./types.js";

export interface ExecuteOptions {
  /** `python` (default), `javascript` or `shell`. */
  language?: "python" | "javascript" | "shell";
  /** Default 60. */
  timeoutSeconds?: number;
}

/** The end of a program that a provider ran. */
export interface Execution {
  stdout: string;
  stderr: string;
  exitCode: number;
  timedOut: boolean;
  durationMs: number;
}

/** All that a system which runs generated code needs of where it runs. */
export interface CodeProvider {
  execute(code: string, options?: ExecuteOptions): Promise<Execution>;
  uploadFile(path: string, content: Content): Promise<void>;
  downloadFile(path: string): Promise<Uint8Array>;
  cleanup(): Promise<void>;
}

const LANGUAGES = {
  python: { file: "run.py", argv: ["python3"] },
  javascript: { file: "run.js", argv: ["node"] },
  shell: { file: "run.sh", argv: ["sh"] },
};

const DEFAULT_TIMEOUT_SECONDS = 60;

/**
 * A provider with one sandbox, which is made at its first use and deleted by
 * `cleanup`. Programs run in `/work` and find there what was uploaded.
 */
export class BrigProvider implements CodeProvider {
  private readonly client: Client;
  private box: Promise<Sandbox> | undefined;

  constructor(private readonly options: CreateOptions = {}, client?: Client | ClientOptions) {
    this.client = clientOf(client);
  }

  async execute(code: string, options: ExecuteOptions = {}): Promise<Execution> {
    const { file, argv } = LANGUAGES[options.language ?? "python"];
    const sandbox = await this.sandbox();
    await sandbox.filesystem.write(`/work/${file}`, code);
    const timeoutSeconds = options.timeoutSeconds ?? DEFAULT_TIMEOUT_SECONDS;
    return execution(await sandbox.exec([...argv, `/work/${file}`], { cwd: "/work", timeoutSeconds }));
  }

  async uploadFile(path: string, content: Content): Promise<void> {
    await (await this.sandbox()).filesystem.write(inWork(path), content);
  }

  async downloadFile(path: string): Promise<Uint8Array> {
    return (await this.sandbox()).filesystem.read(inWork(path));
  }

  async cleanup(): Promise<void> {
    const box = this.box;
    this.box = undefined;
    await (await box)?.[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cleanup();
  }

  private sandbox(): Promise<Sandbox> {
    this.box ??= this.client.sandboxes.create(this.options).catch((error: unknown) => {
      this.box = undefined; // the next use tries again
      throw error;
    });
    return this.box;
  }
}

const inWork = (path: string): string => (path.startsWith("/") ? path : `/work/${path}`);

const execution = ({ stdout, stderr, exitCode, timedOut, durationMs }: ExecResult): Execution => ({ stdout, stderr, exitCode, timedOut, durationMs });
