/** execve(2) of this very process, which keeps its pid. */
import { dlopen, ptr } from "bun:ffi";

const F_SETFD = 2;

/**
 * Becomes the program `argv[0]` with these variables added to its environment; the descriptors `kept` stay open
 * beside the first three. Returns only where that could not be. By calls of its own, not `libc`: nothing else of the
 * kernel is loaded for a process that goes at once.
 */
export const replaceProgram = (
  argv: readonly [string, ...string[]],
  additions: Readonly<Record<string, string>>,
  kept: readonly number[],
): void => {
  const held: Uint8Array[] = [];
  const text = (value: string): Uint8Array => {
    const bytes = new TextEncoder().encode(`${value}\0`);
    held.push(bytes); // until the kernel has read it
    return bytes;
  };
  const library = dlopen("libc.so.6", {
    fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
    setenv: { args: ["ptr", "ptr", "i32"], returns: "i32" },
    execv: { args: ["ptr", "ptr"], returns: "i32" },
  });
  const { fcntl, setenv, execv } = library.symbols;
  // The runtime has marked all of them to be closed.
  for (const fd of kept) fcntl(fd, F_SETFD, 0);
  for (const [name, value] of Object.entries(additions)) setenv(text(name), text(value), 1);
  const words = argv.map((word) => BigInt(ptr(text(word))));
  execv(text(argv[0]), BigUint64Array.from([...words, 0n]));
  library.close();
};
