import type { Transport } from "./http.js";
import type { SnapshotInfo } from "./types.js";

/** The caller's snapshots. */
export class Snapshots {
  /** @internal */
  constructor(private readonly http: Transport) {}

  /** The newest first. */
  list(options: { sandboxId?: string } = {}): Promise<SnapshotInfo[]> {
    return this.http.json("GET", "/v1/snapshots", { query: { sandbox_id: options.sandboxId } });
  }

  get(id: string): Promise<SnapshotInfo> {
    return this.http.json("GET", `/v1/snapshots/${encodeURIComponent(id)}`);
  }

  delete(id: string): Promise<void> {
    return this.http.none("DELETE", `/v1/snapshots/${encodeURIComponent(id)}`);
  }
}
