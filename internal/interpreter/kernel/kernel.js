// The JavaScript kernel: the part that talks to the host. It runs cells in a
// process of its own (kernel_cells.js), whose descriptors 1 and 2 are pipes to
// here and whose 0 is empty, so that nothing that user code writes or reads can
// break a frame, and output is streamed while a cell keeps its process busy.
//
// A frame is a little-endian u32 length and that much JSON, on our standard
// streams and on the two pipes (3: requests, 4: replies) to the other process.
"use strict";
const fs = require("fs");
const path = require("path");
const { spawn } = require("child_process");
const { StringDecoder } = require("string_decoder");
const { Frames, encode } = require("./kernel_frames.js");

const CHUNK = 32 << 10; // of a stream, in one frame
const PATIENCE = 20; // ms that text may wait for more

let cell = 0; // the request that runs, or 0
let room = 0; // bytes of output that the host still takes
let cut = false; // something was thrown away
let text = "", name = "", timer = null; // output that was not sent yet
let heard = false; // output came in this turn of the event loop

// An interrupt is for the cell's process, which gets it too.
process.on("SIGINT", () => {});

const worker = spawn(process.execPath, [path.join(__dirname, "kernel_cells.js")], {
  stdio: ["ignore", "pipe", "pipe", "pipe", "pipe"],
});

function write(message) {
  const frame = encode(message);
  for (let at = 0; at < frame.length; ) {
    try {
      at += fs.writeSync(1, frame, at);
    } catch (e) {
      if (e.code !== "EAGAIN") process.exit(1); // the host is gone
    }
  }
}

function sendText() {
  clearTimeout(timer);
  timer = null;
  for (let i = 0; i < text.length; i += CHUNK) write({ id: cell, type: name, text: text.slice(i, i + CHUNK) });
  text = "";
}

function take(stream, piece) {
  if (!piece || !cell) return;
  if (!room) return void (cut = true);
  if (stream !== name) sendText();
  name = stream;
  let size = Buffer.byteLength(piece);
  if (size > room) {
    piece = Buffer.from(piece).subarray(0, room).toString().replace(/\ufffd$/, "");
    cut = true;
    size = room;
  }
  room -= size;
  text += piece;
  if (text.length >= CHUNK) sendText();
  else timer ??= setTimeout(sendText, PATIENCE);
}

const decoders = {};
for (const [stream, pipe] of [["stdout", worker.stdout], ["stderr", worker.stderr]]) {
  decoders[stream] = new StringDecoder("utf8");
  pipe.on("data", (data) => {
    heard = true;
    take(stream, room ? decoders[stream].write(data) : "x");
  });
}

// settle calls then when all output that was written before has been read: the
// pipes are read once in each turn of the event loop.
function settle(then, quiet = 0) {
  heard = false;
  setImmediate(() => setImmediate(() => (heard && quiet < 100 ? settle(then, quiet + 1) : then())));
}

// Replies are forwarded in their order, each behind the output before it.
const replies = [];
let settling = false;
function forward() {
  if (settling || !replies.length) return;
  settling = true;
  settle(() => {
    settling = false;
    const reply = replies.shift();
    if (reply.type === "end") for (const s in decoders) take(s, decoders[s].end());
    sendText();
    if (reply.type === "end") {
      // In place: the answer to a resume ends with what the host looks for.
      if ("truncated" in reply) reply.truncated ||= cut;
      cell = 0;
    }
    write(reply);
    forward();
  });
}

new Frames(worker.stdio[4], (reply) => {
  replies.push(reply);
  forward();
});

new Frames(process.stdin, (request) => {
  cell = request.id;
  room = request.output_bytes || 0;
  cut = false;
  worker.stdio[3].write(encode(request));
}).on("end", () => process.kill(worker.pid, "SIGKILL"));

// The kernel ends as the process of the cells did, when its last words are out.
worker.on("close", (code, signal) => {
  sendText();
  for (const reply of replies) write(reply);
  if (signal) process.kill(process.pid, signal);
  else process.exit(code);
});
