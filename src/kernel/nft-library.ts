/**
 * libnftables(3), the library behind nft(8), in this process: a small transaction takes 0.06 ms, as a
 * process of its own 2.7 ms (measured). It comes with the nftables package; where it cannot be opened,
 * the program is run instead.
 */
import { readlinkSync } from "node:fs";
import { CString, type Pointer, dlopen } from "bun:ffi";
import { sleep } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import { cString } from "#kernel/name-bytes.ts";

export interface NftAnswer {
  readonly isDone: boolean;
  readonly output: string;
  /** nft's complaints; empty when done. */
  readonly error: string;
}

export type RunNft = (commands: string) => NftAnswer;

const openLibrary = () =>
  dlopen("libnftables.so.1", {
    nft_ctx_new: { args: ["u32"], returns: "ptr" },
    nft_ctx_buffer_output: { args: ["ptr"], returns: "i32" },
    nft_ctx_buffer_error: { args: ["ptr"], returns: "i32" },
    nft_ctx_get_output_buffer: { args: ["ptr"], returns: "ptr" },
    nft_ctx_get_error_buffer: { args: ["ptr"], returns: "ptr" },
    nft_run_cmd_from_buffer: { args: ["ptr", "ptr"], returns: "i32" },
    nft_ctx_free: { args: ["ptr"], returns: "void" },
  }).symbols;

type Library = ReturnType<typeof openLibrary>;

/** Undefined: not tried yet. Null: this host has no such library. */
let library: Library | null | undefined;

const libraryOrNull = (): Library | null => {
  if (library !== undefined) return library;
  try {
    library = openLibrary();
  } catch {
    library = null; // the caller falls back to the program and says so if that is missing too
  }
  return library;
};

const textAt = (address: Pointer | bigint | null): string =>
  address === null ? "" : new CString(Number(address) as Pointer).toString();

const newContext = (symbols: Library): Pointer => {
  const context = symbols.nft_ctx_new(0);
  if (context === null) throw new NaruError("internal", "libnftables could not be started");
  symbols.nft_ctx_buffer_output(context);
  symbols.nft_ctx_buffer_error(context);
  return Number(context) as Pointer;
};

/** Taking the buffers empties them: a context can be used again. */
const runIn = (symbols: Library, context: Pointer, commands: string): NftAnswer => {
  const status = symbols.nft_run_cmd_from_buffer(context, cString(commands));
  return {
    isDone: status === 0,
    output: textAt(symbols.nft_ctx_get_output_buffer(context)),
    error: textAt(symbols.nft_ctx_get_error_buffer(context)),
  };
};

/** A context is bound to the network namespace it is made in: this thread's own has one that stays. */
let kept: { readonly netns: string; readonly context: Pointer } | undefined;

const runHere = (symbols: Library, commands: string): NftAnswer => {
  const netns = readlinkSync("/proc/thread-self/ns/net");
  if (kept !== undefined && kept.netns !== netns) return runAway(symbols, commands);
  kept ??= { netns, context: newContext(symbols) };
  return runIn(symbols, kept.context, commands);
};

/**
 * The kernel holds up the end of a context's socket until what its last transaction removed or replaced is
 * destroyed, 5 ms and more. A moment later there is nothing to wait for.
 */
const FREE_AFTER_MS = 250;

const runAway = (symbols: Library, commands: string): NftAnswer => {
  const context = newContext(symbols);
  try {
    return runIn(symbols, context, commands);
  } finally {
    void sleep(FREE_AFTER_MS).then(() => symbols.nft_ctx_free(context));
  }
};

export interface NftLibrary {
  /** In the network namespace that this thread lives in. */
  readonly here: RunNft;
  /** In the one it is in for the moment. */
  readonly away: RunNft;
}

/** Undefined where the library is missing. */
export const nftLibrary = (): NftLibrary | undefined => {
  const symbols = libraryOrNull();
  if (symbols === null) return undefined;
  return {
    here: (commands) => runHere(symbols, commands),
    away: (commands) => runAway(symbols, commands),
  };
};
