// Compiles src twice, as ECMAScript modules and as CommonJS, with types for each.
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
const compile = (...flags) => execFileSync(process.execPath, [tsc, "-p", "tsconfig.json", ...flags], { cwd: here, stdio: "inherit" });

rmSync(`${here}dist`, { recursive: true, force: true });
compile();
compile("--module", "commonjs", "--moduleResolution", "node10", "--outDir", "dist/cjs");
mkdirSync(`${here}dist/cjs`, { recursive: true });
// Files of a package are what its nearest package.json says they are.
writeFileSync(`${here}dist/cjs/package.json`, '{ "type": "commonjs" }\n');
