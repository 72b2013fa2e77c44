// The JavaScript kernel: the process that runs cells. See kernel.js.
//
// A cell is evaluated by V8's inspector in its REPL mode: await works at the top
// level, and let, const and class survive the cell and may be declared again. It
// is called from inside of vm's watchdog for SIGINT, so that a busy loop can be
// interrupted; what only waits is interrupted by our own handler.
"use strict";
const fs = require("fs");
const net = require("net");
const vm = require("vm");
const inspector = require("inspector");
const { Frames, encode } = require("./kernel_frames.js");
const { bundle, displayer } = require("./kernel_show.js");
const { Modules } = require("./kernel_modules.js");
const { reseed } = require("./kernel_reseed.js");

const TEXT = 64 << 10; // characters of an error that are shown
const REPLIES = 4;

// What is printed has left this process when the call returns: a busy cell has no
// later, and the end of a cell is behind all that it printed.
for (const stream of [process.stdout, process.stderr]) stream._handle.setBlocking(true);

const session = new inspector.Session();
session.connect();
const modules = new Modules();

let cell = null; // the one that runs
let count = 0;

function send(message) {
  const frame = encode(message);
  for (let at = 0; at < frame.length; ) at += fs.writeSync(REPLIES, frame, at);
}

// show sends a MIME bundle; the biggest parts are left out when the host would
// not take it all.
function show(data, main = false) {
  if (!cell) return;
  const names = Object.keys(data).sort((a, b) => data[a].length - data[b].length);
  while (names.length) {
    const message = { id: cell.id, type: "result", data: Object.fromEntries(names.map((n) => [n, data[n]])), main };
    const size = Buffer.byteLength(JSON.stringify(message)) + 4;
    if (size <= cell.room) {
      cell.room -= size;
      return send(message);
    }
    cell.truncated = true;
    names.pop();
  }
}

function fail(name, value, traceback) {
  const clip = (s, n) => (s.length > n ? s.slice(0, n) + "…" : s);
  send({ id: cell.id, type: "error", name: clip(name, 200), value: clip(value, TEXT), traceback: clip(traceback, TEXT) });
}

function failWith(error, where) {
  if (!(error instanceof Error) && !(error && typeof error.stack === "string")) {
    const text = typeof error === "string" ? error : bundle(error)["text/plain"];
    return fail("Error", text, "Uncaught " + text);
  }
  const lines = String(error.stack).split("\n");
  const ours = lines.findIndex((l) => /^ {4}at .*(node:inspector|kernel_cells\.js)/.test(l));
  const own = ours < 0 ? lines : lines.slice(0, ours);
  if (where && !own.some((l) => l.startsWith("    at "))) own.push("    at " + where);
  fail(String(error.name), String(error.message), own.join("\n"));
}

function end(extra) {
  const { id, truncated } = cell;
  session.post("Runtime.releaseObjectGroup", { objectGroup: "cell" });
  cell.restore();
  cell = null;
  send({ id, type: "end", truncated, ...extra });
}

// What our own scripts have to find in the global object.
const hooks = { evaluate: null, take: null };
Object.defineProperty(globalThis, Symbol.for("brig.kernel"), { value: hooks });
const guarded = new vm.Script('globalThis[Symbol.for("brig.kernel")].evaluate()', { filename: "kernel_cells.js" });
const taker = 'function (v) { globalThis[Symbol.for("brig.kernel")].take(v) }';
let holder; // an object of the inspector's, to call functions on
session.post("Runtime.evaluate", { expression: "globalThis" }, (e, r) => (holder = r.result.objectId));

// real fetches the value that the inspector describes.
function real({ objectId, value, unserializableValue }) {
  let got;
  hooks.take = (v) => (got = v);
  session.post("Runtime.callFunctionOn", { objectId: holder, functionDeclaration: taker, arguments: [{ objectId, value, unserializableValue }] });
  return got;
}

function settle(mine, error, reply) {
  if (cell !== mine) return; // it was interrupted
  if (error) {
    fail("Error", String(error.message), String(error.message));
  } else if (reply.exceptionDetails) {
    const d = reply.exceptionDetails;
    failWith(d.exception ? real(d.exception) : new Error(d.text), `${mine.name}:${d.lineNumber + 1}:${d.columnNumber + 1}`);
  } else if (reply.result.type !== "undefined") {
    show(bundle(real(reply.result)), true);
  }
  end({ count });
}

function interrupted(mine) {
  if (cell !== mine) return;
  fail("Interrupted", "the cell was interrupted", "Interrupted: the cell was interrupted");
  end({ count });
}

function run(request) {
  count++;
  const mine = { id: request.id, room: request.result_bytes, truncated: false, name: `cell_${count}.js`, restore: environment(request.env) };
  cell = mine;
  const expression = `${modules.rewrite(request.code)}\n//# sourceURL=${mine.name}`;
  hooks.evaluate = () => {
    session.post("Runtime.evaluate", { expression, replMode: true, objectGroup: "cell" }, (e, r) => settle(mine, e, r));
    process._tickCallback(); // what comes after an await, too, can be interrupted
  };
  try {
    guarded.runInThisContext({ breakOnSigint: true });
  } catch (e) {
    interrupted(mine);
  }
}

// environment sets the variables of one cell and returns what takes them back.
function environment(extra = {}) {
  const before = Object.keys(extra).map((name) => [name, process.env[name]]);
  Object.assign(process.env, extra);
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
}

const ops = {
  run,
  warm(request) {
    run(request);
    count = 0;
  },
  resume(request) {
    reseed(Buffer.from(request.seed, "hex"));
    Object.assign(process.env, request.env);
    if (request.cwd) process.chdir(request.cwd);
    send({ id: request.id, type: "end", sync: request.sync });
  },
};

process.on("SIGINT", () => cell && interrupted(cell));
process.on("uncaughtException", (e) => console.error("Uncaught", e));
process.on("unhandledRejection", (e) => console.error("Unhandled rejection:", e));

globalThis.display = displayer(show);
globalThis.crypto ??= require("crypto").webcrypto; // as in newer versions
modules.install(globalThis);

// Requests come one at a time; each is run from a fresh turn of the event loop,
// where no microtask is under way.
new Frames(new net.Socket({ fd: 3, readable: true, writable: false }), (request) =>
  setImmediate(() => {
    try {
      ops[request.op](request);
    } catch (e) {
      if (cell) cell.restore();
      cell = null;
      send({ id: request.id, type: "end", failed: String(e), sync: request.sync });
    }
  }),
).on("end", () => process.exit(0));
send({ id: 0, type: "ready" });
