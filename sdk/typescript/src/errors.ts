import type { ExecResult } from "./exec.js";

/** What an error knows beside its message. */
export interface ErrorDetails {
  /** The class of the failure, as the server names it: `not_found`, `conflict`, … */
  code?: string | undefined;
  /** One line that says what mends it. */
  fix?: string | undefined;
  /** The HTTP status; undefined when no answer came. */
  status?: number | undefined;
  /** The request, as the server's log names it. */
  requestId?: string | undefined;
  /** For how long the server asks to be left alone, in seconds. */
  retryAfterSeconds?: number | undefined;
  cause?: unknown;
}

/**
 * Every failure of a call. The message says what could not be done and why, `fix`
 * what mends it. A program that fails is no error but a result.
 */
export class BrigError extends Error {
  readonly code: string;
  readonly fix: string | undefined;
  readonly status: number | undefined;
  readonly requestId: string | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.code = details.code ?? "internal";
    this.fix = details.fix;
    this.status = details.status;
    this.requestId = details.requestId;
    this.retryAfterSeconds = details.retryAfterSeconds;
  }
}

/** The server does not know the key, or the key may not do this. */
export class AuthError extends BrigError {}

/** The request makes no sense; repeating it does not help. */
export class BadRequestError extends BrigError {}

/** There is no such sandbox, file, snapshot, …, or it is another owner's. */
export class NotFoundError extends BrigError {}

/** It is in the wrong state, or somebody else holds it. */
export class ConflictError extends BrigError {}

/** More than the server has, or than this key may have; `retryAfterSeconds` says when to try again. */
export class RateLimitError extends BrigError {}

/** The server failed. */
export class ServerError extends BrigError {}

/** The server has no such feature. */
export class UnsupportedError extends ServerError {}

/** The server cannot do it now, or not on its host. */
export class UnavailableError extends ServerError {}

/** No answer came, or it broke off. */
export class NetworkError extends BrigError {}

/** A call took longer than its limit. */
export class SandboxTimeout extends BrigError {}

/** A command that was asked for with `check: true` did not exit with 0. */
export class CommandError extends BrigError {
  constructor(message: string, readonly result: ExecResult) {
    super(message, { code: "command" });
  }
}

/** Building a template failed. */
export class TemplateBuildError extends BrigError {}

const retryAfterOf = (response: Response): number | undefined => {
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : undefined;
};

/** errorOf reads an error reply. @internal */
export async function errorOf(response: Response): Promise<BrigError> {
  const text = await response.text().catch(() => "");
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    body = undefined; // a proxy's page
  }
  return wireError(body, response.status, {
    requestId: response.headers.get("x-request-id") ?? undefined,
    retryAfterSeconds: retryAfterOf(response),
  });
}

/** wireError makes an error of the wire, also one inside of a stream, a value of its class. @internal */
export function wireError(body: unknown, status: number | undefined, more: ErrorDetails = {}): BrigError {
  const fields = (typeof body === "object" && body !== null ? body : {}) as Record<string, unknown>;
  const text = (name: string): string | undefined => {
    const value = fields[name];
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const details: ErrorDetails = {
    ...more,
    status,
    code: text("code") ?? codeOf(status),
    fix: text("fix"),
    requestId: text("request_id") ?? more.requestId,
  };
  const message = text("error") ?? text("message") ?? `the server answered with status ${status ?? "unknown"}`;
  return new (classOf(details.code, status))(message, details);
}

type ErrorClass = new (message: string, details: ErrorDetails) => BrigError;

function classOf(code: string | undefined, status = 0): ErrorClass {
  if (status === 401 || status === 403) {
    return AuthError;
  }
  switch (code) {
    case "invalid":
      return BadRequestError;
    case "not_found":
      return NotFoundError;
    case "conflict":
      return ConflictError;
    case "exhausted":
      return RateLimitError;
    case "unsupported":
      return UnsupportedError;
    case "unavailable":
      return UnavailableError;
    case "timeout":
      return SandboxTimeout;
  }
  return status >= 400 && status < 500 ? BadRequestError : ServerError;
}

/** codeOf classes a status whose reply has no code: it is a proxy's. */
function codeOf(status: number | undefined): string {
  switch (status) {
    case 401:
    case 403:
      return "unauthorized";
    case 404:
      return "not_found";
    case 409:
      return "conflict";
    case 429:
      return "exhausted";
    case 501:
      return "unsupported";
    case 502:
    case 503:
      return "unavailable";
    case 504:
      return "timeout";
  }
  return status !== undefined && status >= 400 && status < 500 ? "invalid" : "internal";
}
