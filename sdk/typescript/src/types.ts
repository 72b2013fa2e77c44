/** The limits of a sandbox; those that are absent are the server's defaults. */
export interface Resources {
  memoryBytes?: number;
  cpus?: number;
  pids?: number;
  diskBytes?: number;
  openFiles?: number;
}

/** What a sandbox may reach. Without it: nothing. */
export interface Egress {
  /** Default: `allow` when there is a list, else `none`. */
  mode?: "none" | "allow" | "open";
  /** Names (`packages.example.com`, `*.example.org:8443`) and addresses (`192.0.2.0/24`). */
  allow?: string[];
  maxBytes?: number;
  maxConns?: number;
}

export interface CreateOptions {
  /** Default: the server's. */
  template?: string;
  /** A snapshot's id, instead of a template. */
  fromSnapshot?: string;
  name?: string;
  /** Wall clock from its creation; then it is destroyed, whatever it does. Default 3600. */
  ttlSeconds?: number;
  /** It is destroyed when nothing used it for so long, and a persistent one hibernates. Default: never. */
  idleTimeoutSeconds?: number;
  persistent?: boolean;
  /** Numbers and booleans become text. */
  metadata?: Record<string, string | number | boolean>;
  env?: Record<string, string>;
  limits?: Resources;
  /** The weakest kind of boundary that will do: `gvisor`, `microvm`, … */
  isolationFloor?: string;
  isolation?: string;
  egress?: Egress;
  /** Two requests with one key make one sandbox. Default: a new one for each call. */
  idempotencyKey?: string;
}

export type Status = "running" | "paused" | "hibernated" | "deleted" | "failed";

/** A sandbox as the server describes it. Times are RFC 3339. */
export interface SandboxInfo {
  id: string;
  name?: string;
  status: Status;
  template: string;
  digest?: string;
  isolation: string;
  driver: string;
  cpu: number;
  memoryMb: number;
  limits: Resources;
  metadata: Record<string, string>;
  egress?: Egress;
  fromSnapshot?: string;
  parentId?: string;
  /** Shared by all children of one fork. */
  forkTreeId?: string;
  createdAt: string;
  expiresAt: string;
  ttlSeconds: number;
  idleTimeoutSeconds: number;
  persistent: boolean;
  bootMs: number;
  bootMode: string;
  ended?: { reason: string; detail?: string; at: string };
}

export interface ListOptions {
  /** Those that ended, too. */
  all?: boolean;
  status?: Status | Status[];
  template?: string;
  metadata?: Record<string, string>;
}

/** How long a sandbox may live. */
export interface Lifecycle {
  ttlSeconds: number;
  expiresAt: string;
  idleTimeoutSeconds: number;
  /** Since it was last used. */
  idleSeconds: number;
  persistent: boolean;
}

/** What is absent stays as it is. */
export interface LifecycleChange {
  /** From now. */
  ttlSeconds?: number;
  idleTimeoutSeconds?: number;
  persistent?: boolean;
}

/** What a sandbox uses now, with its limits. */
export interface Stats {
  cpuMs: number;
  memoryBytes: number;
  peakMemoryBytes: number;
  memoryLimitBytes: number;
  processes: number;
  cpus: number;
  diskLimitBytes: number;
}

/** One thing that happened to a sandbox. */
export interface SandboxEvent {
  time: string;
  sandboxId: string;
  type: string;
  payload?: Record<string, string>;
}

export interface SnapshotInfo {
  id: string;
  name?: string;
  sandboxId: string;
  template: string;
  createdAt: string;
  expiresAt?: string;
  sizeBytes: number;
  /** How long the sandbox stood still for it. */
  pausedMs: number;
  metadata?: Record<string, string>;
}

export interface ForkOptions {
  name?: string;
  metadata?: Record<string, string | number | boolean>;
  /** Default: the parent's, from now. */
  ttlSeconds?: number;
}

export interface PromoteResult {
  winner: string;
  treeId?: string;
  deleted: string[];
  failures?: Record<string, string>;
}

export interface TemplateInfo {
  name: string;
  digest: string;
  sizeBytes: number;
  description?: string;
  isGlobal: boolean;
}
