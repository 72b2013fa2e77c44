import { TemplateBuildError, wireError } from "./errors.js";
import { sleep, type CallOptions, type Transport } from "./http.js";
import { readEvents } from "./sse.js";
import type { TemplateInfo } from "./types.js";

export interface DockerfileBuild {
  name: string;
  /** Its text. */
  dockerfile: string;
  /** What COPY and ADD find, by relative path. */
  context?: Record<string, string | Uint8Array>;
}

/** One build as the server describes it. */
export interface TemplateBuild {
  id: string;
  name: string;
  status: "queued" | "running" | "uploading" | "baking" | "done" | "failed";
  error?: string;
  startedAt: string;
  endedAt?: string;
}

const POLL_MS = 500;

/** What sandboxes are made from. */
export class Templates {
  /** @internal */
  constructor(private readonly http: Transport) {}

  list(): Promise<TemplateInfo[]> {
    return this.http.json("GET", "/v1/templates");
  }

  get(name: string): Promise<TemplateInfo> {
    return this.http.json("GET", `/v1/templates/${encodeURIComponent(name)}`);
  }

  delete(name: string): Promise<void> {
    return this.http.none("DELETE", `/v1/templates/${encodeURIComponent(name)}`);
  }

  /** Begins to build a template from a Dockerfile. */
  build(options: DockerfileBuild): Promise<TemplateBuild> {
    const form = new FormData();
    form.set("name", options.name);
    form.set("dockerfile", options.dockerfile);
    for (const [path, content] of Object.entries(options.context ?? {})) {
      form.set(path, new Blob([content as BlobPart]), path.split("/").pop()); // the field's name is the path
    }
    return this.http.json("POST", "/v1/templates/build", { body: form });
  }

  builds(): Promise<TemplateBuild[]> {
    return this.http.json("GET", "/v1/templates/builds");
  }

  buildStatus(id: string): Promise<TemplateBuild> {
    return this.http.json("GET", `/v1/templates/builds/${encodeURIComponent(id)}`);
  }

  /** The lines of a build's log, until the build ends. */
  async *buildLogs(id: string, options: CallOptions = {}): AsyncGenerator<string> {
    const path = `/v1/templates/builds/${encodeURIComponent(id)}/logs`;
    const response = await this.http.open("GET", path, { ...options, query: { follow: 1 }, headers: { accept: "text/event-stream" } });
    for await (const event of readEvents(response, options.signal)) {
      if (event.name === "error") {
        throw wireError(event.data, undefined);
      }
      if (typeof event.data["line"] === "string") {
        yield event.data["line"].replace(/\n$/, "");
      }
    }
  }

  /** Waits for a build's end; throws a `TemplateBuildError` when it fails. */
  async waitForBuild(id: string, options: Pick<CallOptions, "signal"> = {}): Promise<TemplateBuild> {
    for (;;) {
      const build = await this.buildStatus(id);
      if (build.status === "done") {
        return build;
      }
      if (build.status === "failed") {
        throw new TemplateBuildError(build.error ?? `cannot build the template ${build.name}: because its build failed`);
      }
      await sleep(POLL_MS, options.signal);
    }
  }
}
