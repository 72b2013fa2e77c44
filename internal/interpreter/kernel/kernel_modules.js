// Modules in cells of the JavaScript kernel: require and import, both from where
// the cell is. V8's inspector knows no import, so it becomes a call of ours.
"use strict";
const path = require("path");
const { createRequire } = require("module");
const { pathToFileURL } = require("url");

const CALL = "globalThis[Symbol.for('brig.import')]";

// Comments and strings are stepped over; an import( that is neither is changed.
const DYNAMIC = /\/\/.*|\/\*[^]*?\*\/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\[^]|[^`\\])*`|(?<![\w$.])import(?=\s*\()/g;

// An import declaration, which stands at the start of a line or statement.
const STATIC = /(^|;)([ \t]*)import\s+(?:([\w$\s{},*]+?)\s+from\s+)?(["'])([^"'\n]+)\4/gm;

// names turns "d, {a as b}" or "* as n" into what a const declares.
function names(clause) {
  const declared = [];
  let rest = clause.trim();
  const first = /^([\w$]+)\s*,?\s*/.exec(rest);
  if (first) {
    declared.push(`{ default: ${first[1]} }`);
    rest = rest.slice(first[0].length);
  }
  const all = /^\*\s*as\s+([\w$]+)$/.exec(rest);
  if (all) declared.push(all[1]);
  else if (rest) declared.push(rest.replace(/\bas\b/g, ":"));
  return declared;
}

class Modules {
  // rewrite makes a cell's imports calls.
  rewrite(code) {
    if (!code.includes("import")) return code;
    return code
      .replace(STATIC, (_, before, indent, clause, __, from) => {
        const call = `await ${CALL}(${JSON.stringify(from)})`;
        const parts = clause ? names(clause).map((n) => `${n} = ${call}`) : [];
        return before + indent + (parts.length ? `const ${parts.join(", ")}` : call);
      })
      .replace(DYNAMIC, (found) => (found === "import" ? CALL : found));
  }

  get require() {
    const here = process.cwd();
    if (this.here !== here) {
      this.here = here;
      this.made = createRequire(path.join(here, "cell.js"));
    }
    return this.made;
  }

  async import(name) {
    const spec = String(name);
    if (/^(node|file|data):/.test(spec)) return import(spec);
    let found;
    try {
      found = this.require.resolve(spec);
    } catch (e) {
      if (e.code !== "ERR_PACKAGE_PATH_NOT_EXPORTED") throw e;
      return import(spec); // it has no entry for require
    }
    return import(path.isAbsolute(found) ? pathToFileURL(found) : found);
  }

  install(target) {
    Object.defineProperty(target, Symbol.for("brig.import"), { value: (name) => this.import(name) });
    // A cell may declare a require of its own.
    Object.defineProperty(target, "require", {
      configurable: true,
      get: () => this.require,
      set: (value) => Object.defineProperty(target, "require", { value, writable: true, configurable: true }),
    });
  }
}

module.exports = { Modules };
