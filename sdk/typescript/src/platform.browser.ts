import { UnsupportedError } from "./errors.js";

// What platform.ts is in browsers: nothing.

const unsupported = (what: string): never => {
  throw new UnsupportedError(`cannot ${what}: because a browser has no files of this machine`, {
    code: "unsupported",
    fix: "use read and write, and a journal of your own",
  });
};

/** @internal */
export const fileContent = async (): Promise<never> => unsupported("upload a file");

/** @internal */
export const saveFile = async (): Promise<never> => unsupported("download to a file");

/** @internal */
export async function* linesOf(): AsyncGenerator<string> {
  yield unsupported("read a journal");
}

/** @internal */
export const appendLine = async (): Promise<never> => unsupported("write a journal");
