/**
 * Brig's service as TypeScript: throwaway sandboxes for code that nobody trusts.
 *
 * ```ts
 * await using sandbox = await Sandbox.create({ template: "python" });
 * const { stdout } = await sandbox.exec("python3 -c 'print(6*7)'");
 * ```
 *
 * @packageDocumentation
 */
export { Client, type ClientOptions } from "./client.js";
export { Client as default } from "./client.js";
export { Sandbox, Sandboxes, type ForkTree } from "./sandbox.js";
export { ExecResult, type Command, type ExecEnd, type ExecOptions, type ProgramOptions, type Usage } from "./exec.js";
export { Process, Processes, type Output, type ProcessInfo, type StartOptions } from "./processes.js";
export { Filesystem, type FileChange, type FileInfo, type ReadOptions } from "./filesystem.js";
export {
  CodeContext, CodeResult, type CodeContextInfo, type CodeError, type CodeExecution, type CodeOptions,
} from "./code.js";
export { Ports, type PortInfo, type PreviewToken } from "./ports.js";
export { Snapshots } from "./snapshots.js";
export { Templates, type DockerfileBuild, type TemplateBuild } from "./templates.js";
export {
  Batches, Files, type Batch, type BatchItem, type BatchItemResult, type BatchOptions, type BatchRetryOptions, type FileObject, type Page,
} from "./batches.js";
export { Keys, type KeyInfo, type KeyOptions } from "./keys.js";
export { type MapOptions, type MapProgress, type MapResult, type Work } from "./map.js";
export { fileJournal, type Journal } from "./journal.js";
export { BrigProvider, type ExecuteOptions, type Execution, type Provider } from "./provider.js";
export {
  AuthError, BadRequestError, BrigError, CommandError, ConflictError, NetworkError, NotFoundError, RateLimitError, SandboxTimeout,
  ServerError, TemplateBuildError, UnavailableError, UnsupportedError, type ErrorDetails,
} from "./errors.js";
export type { CallOptions, Content } from "./http.js";
export type {
  CreateOptions, Egress, ForkOptions, Lifecycle, LifecycleChange, ListOptions, PromoteResult, Resources, SandboxEvent, SandboxInfo,
  SnapshotInfo, Stats, Status, TemplateInfo,
} from "./types.js";
