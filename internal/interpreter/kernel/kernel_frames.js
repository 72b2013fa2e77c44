// Frames of the JavaScript kernel: see kernel.js.
"use strict";
const { EventEmitter } = require("events");

function encode(message) {
  const body = Buffer.from(JSON.stringify(message));
  const frame = Buffer.allocUnsafe(4 + body.length);
  frame.writeUInt32LE(body.length, 0);
  body.copy(frame, 4);
  return frame;
}

// Frames calls on for each message of a stream.
class Frames extends EventEmitter {
  constructor(stream, on) {
    super();
    this.parts = [];
    this.size = 0;
    stream.on("data", (data) => {
      this.parts.push(data);
      this.size += data.length;
      for (let m; (m = this.next()) !== undefined; ) on(m);
    });
    stream.on("end", () => this.emit("end"));
    stream.on("error", () => this.emit("end"));
  }

  next() {
    if (this.size < 4) return undefined;
    if (this.parts[0].length < 4) this.parts = [Buffer.concat(this.parts)];
    const need = 4 + this.parts[0].readUInt32LE(0);
    if (this.size < need) return undefined;
    const all = this.parts.length > 1 ? Buffer.concat(this.parts) : this.parts[0];
    this.parts = [all.subarray(need)];
    this.size -= need;
    return JSON.parse(all.toString("utf8", 4, need));
  }
}

module.exports = { encode, Frames };
