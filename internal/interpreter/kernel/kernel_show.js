// How the JavaScript kernel shows values: as MIME bundles of text.
"use strict";
const util = require("util");

const JSON_LIMIT = 1 << 20; // a larger one is only inspected

function asText(mime, value) {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (typeof value === "string") return value;
  return JSON.stringify(value);
}

function asBundle(parts) {
  const data = {};
  for (const [mime, value] of Object.entries(parts)) {
    const text = asText(mime, value);
    if (text !== undefined) data[mime] = text;
  }
  return data;
}

const plain = (v) => Array.isArray(v) || (typeof v === "object" && v !== null && [Object.prototype, null].includes(Object.getPrototypeOf(v)));

// bundle is what a cell's value is shown as. Objects may say themselves what they
// look like, as in other JavaScript kernels: Symbol.for("Jupyter.display").
function bundle(value) {
  try {
    const own = value?.[Symbol.for("Jupyter.display")];
    if (typeof own === "function") return asBundle(own.call(value));
  } catch {
    // it is shown like any other
  }
  const data = { "text/plain": inspect(value) };
  if (plain(value)) {
    try {
      const json = JSON.stringify(value);
      if (json.length <= JSON_LIMIT) data["application/json"] = json;
    } catch {
      // a cycle, a BigInt
    }
  }
  return data;
}

function inspect(value) {
  try {
    return util.inspect(value, { depth: 4, maxStringLength: JSON_LIMIT });
  } catch (e) {
    return `[cannot be shown: ${e}]`;
  }
}

// displayer makes the function display of cells: display(value) shows it as the
// value of a cell would be, display.html(text) and so on one type.
function displayer(show) {
  const display = (value, options) => show(options?.raw ? asBundle(value) : bundle(value));
  const types = {
    html: "text/html", markdown: "text/markdown", latex: "text/latex", svg: "image/svg+xml",
    png: "image/png", jpeg: "image/jpeg", json: "application/json", text: "text/plain",
  };
  for (const [name, mime] of Object.entries(types)) {
    display[name] = (value) => show(asBundle({ [mime]: mime === "application/json" ? JSON.stringify(value) : value }));
  }
  return display;
}

module.exports = { bundle, displayer };
