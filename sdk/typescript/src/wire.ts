/** Between the wire's names (`ttl_seconds`) and this language's (`ttlSeconds`). */

/** Fields whose keys are the caller's, or MIME types, and stay as they are. */
const OPAQUE = new Set(["metadata", "env", "data", "payload", "failures", "verdicts", "args"]);

const toCamel = (key: string): string => key.replace(/_([a-z0-9])/g, (_, c: string) => c.toUpperCase());
const toSnake = (key: string): string => key.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);

function rename(value: unknown, name: (key: string) => string, opaque?: string): unknown {
  if (Array.isArray(value)) {
    return value.map((v) => rename(v, name, opaque));
  }
  if (typeof value !== "object" || value === null) {
    return value;
  }
  const out: Record<string, unknown> = {};
  for (const [key, v] of Object.entries(value)) {
    out[name(key)] = OPAQUE.has(key) || key === opaque ? v : rename(v, name, opaque);
  }
  return out;
}

/** fromWire renames the fields of an answer, but not inside of the one named opaque. @internal */
export const fromWire = <T>(value: unknown, opaque?: string): T => rename(value, toCamel, opaque) as T;

/** toWire renames the fields of a request; those that are undefined are not sent. @internal */
export const toWire = (value: unknown): unknown => rename(value, toSnake);

const CHUNK = 0x8000; // arguments of one call

/** toBase64 needs no Buffer, so that it works in browsers. @internal */
export function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let i = 0; i < bytes.length; i += CHUNK) {
    binary += String.fromCharCode(...bytes.subarray(i, i + CHUNK));
  }
  return btoa(binary);
}

/** @internal */
export function fromBase64(text: string): Uint8Array {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) {
    bytes[i] = binary.charCodeAt(i);
  }
  return bytes;
}

/** concat joins pieces of bytes. @internal */
export function concat(pieces: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
