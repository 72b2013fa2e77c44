// After a restore: no two sandboxes from one snapshot may draw the same numbers.
"use strict";
const fs = require("fs");
const crypto = require("crypto");

// Node keeps random bytes in store for these.
const UUIDS = 128;
const INTEGERS = 1024;

function reseed(seed) {
  const fresh = Buffer.alloc(32);
  const fd = fs.openSync("/dev/urandom");
  fs.readSync(fd, fresh);
  fs.closeSync(fd);
  // OpenSSL's generator was copied with the memory, and Node has no way to add to
  // its state: it draws from the processor from now on. What cannot be is an error:
  // the restore fails.
  crypto.setEngine("rdrand", crypto.constants.ENGINE_METHOD_RAND);
  for (let i = 0; i <= UUIDS; i++) crypto.randomUUID();
  for (let i = 0; i <= INTEGERS; i++) crypto.randomInt(2);
  const key = crypto.createHash("sha256").update(seed).update(fresh).update(crypto.randomBytes(32)).digest();
  Math.random = generator(key);
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
