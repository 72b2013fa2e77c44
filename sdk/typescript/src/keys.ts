import type { Transport } from "./http.js";

export interface KeyOptions {
  label?: string;
  /** Default: the caller's; only an admin names another. */
  owner?: string;
  /** `all` (default), `read`, `sandboxes`, `batches`, `templates`, `keys`, `audit`, `admin`. */
  scopes?: string[];
  /** Default: it does not expire. */
  ttlSeconds?: number;
  /** How it is written. */
  style?: "brig" | "pandastack" | "e2b";
}

export interface KeyInfo {
  /** The beginning of its secret, which names it. */
  prefix: string;
  /** Its secret: only in the answer that made it. */
  key?: string;
  label?: string;
  owner: string;
  scopes: string[];
  createdAt: string;
  expiresAt?: string;
}

/** The keys of the caller's owner. */
export class Keys {
  /** @internal */
  constructor(private readonly http: Transport) {}

  create(options: KeyOptions = {}): Promise<KeyInfo> {
    return this.http.json("POST", "/v1/keys", { json: options });
  }

  list(): Promise<KeyInfo[]> {
    return this.http.json("GET", "/v1/keys");
  }

  /** Makes a key worthless at once. */
  revoke(prefix: string): Promise<void> {
    return this.http.none("DELETE", `/v1/keys/${encodeURIComponent(prefix)}`);
  }
}
