import { Batches, Files } from "./batches.js";
import { BadRequestError } from "./errors.js";
import { Transport } from "./http.js";
import { Keys } from "./keys.js";
import { map, type MapOptions, type MapResult, type Work } from "./map.js";
import { Sandboxes } from "./sandbox.js";
import { Snapshots } from "./snapshots.js";
import { Templates } from "./templates.js";

export interface ClientOptions {
  /** Default: `BRIG_API`, else http://127.0.0.1:7777. A path in it is kept. */
  apiUrl?: string;
  /** Default: `BRIG_API_KEY`. */
  apiKey?: string;
  /** How long a call may take that is no program, cell or file. Default 120,000; 0 = for ever. */
  timeoutMs?: number;
  /** How often a request is repeated that may be. Default 3. */
  retries?: number;
  /** Default: the platform's. */
  fetch?: typeof fetch;
}

const DEFAULT_URL = "http://127.0.0.1:7777";
const DEFAULT_TIMEOUT_MS = 120_000; // making a sandbox may wait 25 seconds for room
const DEFAULT_RETRIES = 3;

/** A connection to one server. Nothing is sent until the first call. */
export class Client {
  readonly sandboxes: Sandboxes;
  readonly snapshots: Snapshots;
  readonly templates: Templates;
  /** What was uploaded for batches, and what they left. */
  readonly files: Files;
  readonly batches: Batches;
  readonly keys: Keys;
  private readonly http: Transport;

  constructor(options: ClientOptions = {}) {
    this.http = new Transport({
      apiUrl: baseUrl(options.apiUrl ?? environment("BRIG_API") ?? DEFAULT_URL),
      apiKey: options.apiKey ?? environment("BRIG_API_KEY"),
      timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      retries: options.retries ?? DEFAULT_RETRIES,
      // A method of window may not be called on another object.
      fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
    });
    this.sandboxes = new Sandboxes(this.http);
    this.snapshots = new Snapshots(this.http);
    this.templates = new Templates(this.http);
    this.files = new Files(this.http);
    this.batches = new Batches(this.http);
    this.keys = new Keys(this.http);
  }

  get apiUrl(): string {
    return this.http.config.apiUrl;
  }

  /** Resolves when the server can make sandboxes. */
  ready(): Promise<void> {
    return this.http.none("GET", "/readyz");
  }

  version(): Promise<{ name: string; version: string }> {
    return this.http.json("GET", "/version");
  }

  /**
   * Gives each item a sandbox of its own, so many at a time, and yields results as
   * they come. See `MapOptions` for progress and for going on after a crash.
   */
  map<T, R>(items: Iterable<T> | AsyncIterable<T>, work: Work<T, R>, options: MapOptions<T> = {}): AsyncGenerator<MapResult<T, R>> {
    return map(this.sandboxes, items, work, options);
  }
}

/** clientOf makes a client unless it has one. @internal */
export function clientOf(client: Client | ClientOptions | undefined): Client {
  return client instanceof Client ? client : new Client(client);
}

/** baseUrl is the server's address without a slash or /v1 behind it. */
function baseUrl(address: string): string {
  const trimmed = address.trim().replace(/\/+$/, "").replace(/\/v1$/, "");
  if (!/^https?:\/\/[^/]/.test(trimmed)) {
    throw new BadRequestError(`cannot use the server ${JSON.stringify(address)}: because it is not an http or https URL`, {
      code: "invalid",
      fix: "write it like http://127.0.0.1:7777; fetch has no unix sockets",
    });
  }
  return trimmed;
}

/** environment reads a variable, where there are any. */
function environment(name: string): string | undefined {
  const env = (globalThis as { process?: { env?: Record<string, string | undefined> } }).process?.env;
  return env?.[name] || undefined;
}
