// After a restore: no two sandboxes from one snapshot may draw the same numbers.
//
// OpenSSL's generator was copied with the memory, and Node has no way to add to
// its state. So the functions that draw numbers are replaced by ones that ask the
// system. Keys are made inside of OpenSSL: they are different only where it can be
// told to take its numbers from the processor.
"use strict";
const fs = require("fs");
const crypto = require("crypto");
const { syncBuiltinESMExports } = require("module");

let device = -1; // /dev/urandom

function fill(target, offset = 0, size = undefined) {
  const bytes = ArrayBuffer.isView(target)
    ? new Uint8Array(target.buffer, target.byteOffset, target.byteLength)
    : new Uint8Array(target);
  const unit = target.BYTES_PER_ELEMENT ?? 1;
  const start = offset * unit;
  const end = size === undefined ? bytes.length : start + size * unit;
  if (!(start >= 0 && start <= end && end <= bytes.length)) throw new RangeError("offset or size is out of range");
  for (let at = start; at < end; ) at += fs.readSync(device, bytes, at, end - at, null);
  return target;
}

const draw = (size) => fill(Buffer.alloc(size));

// later gives a result to a callback, or returns it when there is none.
function later(callback, result) {
  if (typeof callback !== "function") return result;
  process.nextTick(callback, null, result);
}

// integer draws from [min, max) without a bias.
function integer(min, max) {
  if (!Number.isSafeInteger(min) || !Number.isSafeInteger(max) || max <= min || max - min >= 2 ** 48) {
    throw new RangeError("the range of a random integer is empty or larger than 2^48");
  }
  const range = max - min;
  const fair = 2 ** 48 - (2 ** 48 % range);
  for (;;) {
    const n = draw(6).readUIntBE(0, 6);
    if (n < fair) return min + (n % range);
  }
}

function uuid() {
  const b = draw(16);
  b[6] = (b[6] & 0x0f) | 0x40;
  b[8] = (b[8] & 0x3f) | 0x80;
  return b.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

const ours = {
  randomBytes: (size, callback) => later(callback, draw(size)),
  pseudoRandomBytes: (size, callback) => later(callback, draw(size)),
  randomFillSync: fill,
  randomFill(target, ...rest) {
    const callback = rest.pop();
    later(callback, fill(target, ...rest));
  },
  randomInt(min, max, callback) {
    if (typeof max !== "number") [min, max, callback] = [0, min, max];
    return later(callback, integer(min, max));
  },
  randomUUID: uuid,
  getRandomValues: (target) => fill(target),
};

function reseed(seed) {
  if (device < 0) {
    device = fs.openSync("/dev/urandom");
    const replace = (object, names) => {
      for (const name of names) Object.defineProperty(object, name, { value: ours[name], writable: true, configurable: true, enumerable: true });
    };
    const { getRandomValues, ...functions } = ours; // crypto.getRandomValues calls webcrypto's
    replace(crypto, Object.keys(functions));
    replace(Object.getPrototypeOf(crypto.webcrypto), ["getRandomValues", "randomUUID"]);
    syncBuiltinESMExports();
  }
  try {
    crypto.setEngine("rdrand", crypto.constants.ENGINE_METHOD_RAND);
  } catch {
    // this build of OpenSSL has it not
  }
  Math.random = generator(crypto.createHash("sha256").update(seed).update(draw(32)).digest());
}

// generator replaces V8's, whose state cannot be set: sfc32, 53 bits of it.
function generator(key) {
  let [a, b, c, d] = [0, 4, 8, 12].map((i) => key.readInt32LE(i));
  function next() {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return t >>> 0;
  }
  for (let i = 0; i < 16; i++) next();
  return function random() {
    return ((next() >>> 5) * 67108864 + (next() >>> 6)) / 9007199254740992;
  };
}

module.exports = { reseed };
