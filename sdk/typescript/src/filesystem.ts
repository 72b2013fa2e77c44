import { NotFoundError, wireError } from "./errors.js";
import type { CallOptions, Content, RequestOptions, Transport } from "./http.js";
import { brokeOff, readEvents } from "./sse.js";
import { fromWire } from "./wire.js";

/** One name inside. */
export interface FileInfo {
  name: string;
  path: string;
  kind: "file" | "dir" | "symlink" | "other";
  isDir: boolean;
  /** In bytes. */
  size: number;
  /** Octal, as `0644`. */
  mode: string;
  /** Unix seconds. */
  mtime: number;
  /** Where a symbolic link points. */
  target?: string;
}

/** A change below a watched directory. */
export interface FileChange {
  op: "create" | "write" | "remove" | "rename" | "chmod";
  /** Relative to the watched directory. */
  name: string;
}

export interface ReadOptions extends CallOptions {
  /** From which byte. Default 0. */
  offset?: number;
  /** How many bytes. Default: to the end. */
  length?: number;
}

/** The files of a sandbox. Paths are absolute; contents are exact bytes of any size. */
export class Filesystem {
  /** @internal */
  constructor(private readonly http: Transport, private readonly box: string) {}

  /** A regular file's content. */
  read(path: string, options: ReadOptions = {}): Promise<Uint8Array> {
    return this.http.bytes("GET", `${this.box}/fs`, readRequest(path, options));
  }

  /** The same as text; bytes that are not UTF-8 become U+FFFD. */
  async readText(path: string, options: ReadOptions = {}): Promise<string> {
    return new TextDecoder().decode(await this.read(path, options));
  }

  /** The same as a stream, for what is too large to hold. */
  async readStream(path: string, options: ReadOptions = {}): Promise<ReadableStream<Uint8Array>> {
    const response = await this.http.open("GET", `${this.box}/fs`, readRequest(path, options));
    return response.body ?? new Blob([]).stream();
  }

  /** Makes a file of the content, parents included; an old one is replaced. Mode is octal, as `0755`. */
  write(path: string, content: Content, options: { mode?: string } & CallOptions = {}): Promise<void> {
    const { mode, ...call } = options;
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    return this.http.none("PUT", `${this.box}/fs`, {
      timeoutMs: 0,
      ...call,
      query: { path, mode },
      body: bytes,
      headers: { "content-type": "application/octet-stream" },
    });
  }

  /** Copies a file of this machine into the sandbox. Node only. */
  async upload(localPath: string, path: string, options: { mode?: string } & CallOptions = {}): Promise<void> {
    const { fileContent } = await import("./platform.js");
    const { mode, ...call } = options;
    await this.http.none("PUT", `${this.box}/fs`, {
      timeoutMs: 0,
      ...call,
      query: { path, mode },
      body: await fileContent(localPath),
      headers: { "content-type": "application/octet-stream" },
    });
  }

  /** Copies a file of the sandbox to this machine. Node only. */
  async download(path: string, localPath: string, options: CallOptions = {}): Promise<void> {
    const { saveFile } = await import("./platform.js");
    await saveFile(localPath, await this.readStream(path, options));
  }

  /** The names in a directory. */
  async list(path = "/"): Promise<FileInfo[]> {
    const { entries } = await this.http.json<{ entries: FileInfo[] }>("GET", `${this.box}/fs/dir`, { query: { path } });
    return entries;
  }

  /** Describes one name; a final symbolic link is not followed. */
  stat(path: string): Promise<FileInfo> {
    return this.http.json("GET", `${this.box}/fs/stat`, { query: { path } });
  }

  async exists(path: string): Promise<boolean> {
    try {
      await this.stat(path);
      return true;
    } catch (error) {
      if (error instanceof NotFoundError) {
        return false;
      }
      throw error;
    }
  }

  /** Makes a directory and its parents. */
  mkdir(path: string): Promise<void> {
    return this.http.none("POST", `${this.box}/fs/dir`, { query: { path } });
  }

  /** Deletes a file, or a directory with all that is in it. */
  remove(path: string): Promise<void> {
    return this.http.none("DELETE", `${this.box}/fs`, { query: { path } });
  }

  move(path: string, to: string): Promise<void> {
    return this.http.none("POST", `${this.box}/fs/move`, { query: { path, to } });
  }

  /** A directory as a tar stream, with names relative to it. Unpack it with care: what is in it is the sandbox's. */
  async tar(path: string, options: CallOptions = {}): Promise<ReadableStream<Uint8Array>> {
    const response = await this.http.open("GET", `${this.box}/fs/tar`, { ...options, query: { path } });
    return response.body ?? new Blob([]).stream();
  }

  /** Unpacks a tar stream into a directory, which is made. */
  untar(path: string, content: Content, options: CallOptions = {}): Promise<void> {
    return this.http.none("PUT", `${this.box}/fs/tar`, { timeoutMs: 0, ...options, query: { path }, body: content });
  }

  /**
   * What changes in a directory, until the caller stops. The watch is on when this
   * has resolved.
   */
  async watch(path: string, options: { recursive?: boolean } & CallOptions = {}): Promise<AsyncGenerator<FileChange>> {
    const { recursive, ...call } = options;
    const response = await this.http.open("GET", `${this.box}/fs/watch`, {
      ...call,
      query: { path, recursive: recursive ? 1 : undefined },
      headers: { accept: "text/event-stream" },
    });
    return changes(response, options.signal);
  }
}

async function* changes(response: Response, signal: AbortSignal | undefined): AsyncGenerator<FileChange> {
  for await (const event of readEvents(response, signal)) {
    if (event.name === "error") {
      throw wireError(event.data, undefined);
    }
    if (typeof event.data["op"] === "string") {
      yield fromWire<FileChange>(event.data);
    }
  }
  throw brokeOff();
}

function readRequest(path: string, { offset = 0, length, ...call }: ReadOptions): RequestOptions {
  const request: RequestOptions = { timeoutMs: 0, ...call, query: { path } };
  if (offset > 0 || length !== undefined) {
    request.headers = { range: `bytes=${offset}-${length === undefined ? "" : offset + length - 1}` };
  }
  return request;
}
