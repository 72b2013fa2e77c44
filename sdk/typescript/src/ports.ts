import type { CallOptions, Transport } from "./http.js";

/** A port inside. */
export interface PortInfo {
  port: number;
  label?: string;
  /** A program listens there now. */
  listening: boolean;
  /** Somebody named it, or it was seen. */
  source: "user" | "detected";
  proxyUrl?: string;
}

/** A permission to reach one port without a key. */
export interface PreviewToken {
  url: string;
  token: string;
  sandboxId: string;
  port: number;
  paths?: string[];
  expiresAt: string;
}

/** What listens inside a sandbox. */
export class Ports {
  /** @internal */
  constructor(private readonly http: Transport, private readonly box: string) {}

  list(): Promise<PortInfo[]> {
    return this.http.json("GET", `${this.box}/ports`);
  }

  /** Names a port, so that it is listed before anything listens. */
  add(port: number, options: { label?: string } = {}): Promise<PortInfo> {
    return this.http.json("POST", `${this.box}/ports`, { json: { port, ...options } });
  }

  remove(port: number): Promise<void> {
    return this.http.none("DELETE", `${this.box}/ports/${port}`);
  }

  /** A request to what listens there, with this client's key. Any status is an answer. */
  fetch(port: number, path = "/", init: RequestInit = {}): Promise<Response> {
    const url = this.http.url(`${this.box}/proxy/${port}/${path.replace(/^\/+/, "")}`);
    const headers = new Headers(init.headers);
    for (const [name, value] of Object.entries(this.http.headers())) {
      headers.set(name, value);
    }
    return this.http.config.fetch(url, { ...init, headers });
  }

  /** Makes a URL that reaches the port without a key, for so long and only below these paths. */
  previewToken(port: number, options: { ttlSeconds?: number; paths?: string[] } & CallOptions = {}): Promise<PreviewToken> {
    const { ttlSeconds, paths, ...call } = options;
    return this.http.json("POST", `${this.box}/preview-token`, { ...call, json: { port, ttlSeconds, paths } });
  }
}
