import { clientOf, type Client, type ClientOptions } from "./client.js";
import type { ExecResult } from "./exec.js";
import type { Content } from "./http.js";
import type { Sandbox } from "./sandbox.js";
import type { CreateOptions } from "./types.js";

export interface ExecuteOptions {
  /** Wall clock; then the command is killed. Default 300. */
  timeoutSeconds?: number;
}

/** The end of a command that a provider ran. */
export interface Execution {
  stdout: string;
  stderr: string;
  /** As a shell has it: 128+n for signal n, 124 for a timeout. */
  exitCode: number;
  timedOut: boolean;
  durationMs: number;
}

/**
 * All that a program which runs generated code needs of where it runs. Brig is one; a
 * program that is written to it can be given another, or a fake.
 */
export interface Provider {
  /** Runs a line of shell to its end, or to its timeout. A command that fails is no error. */
  execute(command: string, options?: ExecuteOptions): Promise<Execution>;
  /** Makes a file, parents included. A relative path is below the directory that commands run in. */
  uploadFile(path: string, content: Content): Promise<void>;
  /** A file's content, exactly. */
  downloadFile(path: string): Promise<Uint8Array>;
  /** Gives everything back. It may be called more than once. */
  cleanup(): Promise<void>;
}

/**
 * A provider with one sandbox, which is made at its first use and deleted by
 * `cleanup`; a use after that makes another. Commands run in `/work`.
 */
export class BrigProvider implements Provider {
  private readonly client: Client;
  private box: Promise<Sandbox> | undefined;

  constructor(private readonly options: CreateOptions = {}, client?: Client | ClientOptions) {
    this.client = clientOf(client);
  }

  async execute(command: string, options: ExecuteOptions = {}): Promise<Execution> {
    return execution(await (await this.sandbox()).exec(command, { ...options, cwd: "/work" }));
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

  /** The sandbox, for what the four calls do not do. */
  sandbox(): Promise<Sandbox> {
    this.box ??= this.client.sandboxes.create(this.options).catch((error: unknown) => {
      this.box = undefined; // the next use tries again
      throw error;
    });
    return this.box;
  }
}

const inWork = (path: string): string => (path.startsWith("/") ? path : `/work/${path}`);

const execution = ({ stdout, stderr, exitCode, timedOut, durationMs }: ExecResult): Execution => ({ stdout, stderr, exitCode, timedOut, durationMs });
