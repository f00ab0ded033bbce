/**
 * Users from a file as `htpasswd -B` writes it: "name:bcrypt hash" a line. The file is looked at again when it
 * changed. Only bcrypt is taken: the other kinds can be guessed by the million.
 */
import { readFileSync, statSync } from "node:fs";
import { monotonicMs } from "#lib/clock.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";
import type { Logger } from "#lib/log.ts";
import { distributionError } from "#spec/distribution/errors.ts";

const LOOK_EVERY_MS = 1000;
/** A password that was right is not computed again for so long, unless the file changes. */
const REMEMBER_MS = 300_000;
const REMEMBER_LIMIT = 1000;
/** A bcrypt takes a core for tens of milliseconds: who guesses must not take all of them. */
const CHECKS_LIMIT = 16;
/** For users that do not exist: their absence must not show in the time. */
const NOBODY = "$2b$10$CwTycUXWue0Thq9StjUM0uJ8.VxkqFqGxEyTEMl/Z8mnYzZ8hY1vG";

export interface Passwords {
  /** Resolves when the password is the user's; throws UNAUTHORIZED otherwise, TOOMANYREQUESTS under a flood. */
  check(user: string, password: string): void | Promise<void>;
}

/** Throws invalid_argument naming the line. Exported for tests. */
export const parseHtpasswd = (text: string, path: string): Map<string, string> => {
  const users = new Map<string, string>();
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const at = line.indexOf(":");
    const hash = line.slice(at + 1).trim();
    if (at < 1 || !/^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/.test(hash)) {
      throw new NaruError(
        "invalid_argument",
        `"${path}" line ${index + 1} is not "NAME:BCRYPT HASH": write it with 'htpasswd -B'`,
      );
    }
    // One algorithm under three names; the runtime knows this one.
    users.set(line.slice(0, at), hash.replace(/^\$2[ay]/, "$2b"));
  }
  return users;
};

class PasswordFile implements Passwords {
  readonly #path: string;
  readonly #log: Logger;
  #users: Map<string, string>;
  #stamp: string;
  #lookAtMs = 0;
  #checks = 0;
  /** Keyed by a digest of name and password under a key of this process. */
  readonly #known = new Map<string, number>();
  readonly #key = crypto.getRandomValues(new Uint8Array(32));

  constructor(path: string, log: Logger) {
    this.#path = path;
    this.#log = log;
    this.#stamp = this.#stampNow();
    this.#users = this.#read();
  }

  #stampNow(): string {
    const stat = statSync(this.#path, { throwIfNoEntry: false });
    return stat === undefined ? "" : `${stat.ino} ${stat.mtimeMs} ${stat.size}`;
  }

  #read(): Map<string, string> {
    try {
      return parseHtpasswd(readFileSync(this.#path, "utf8"), this.#path);
    } catch (cause) {
      if (cause instanceof NaruError) throw cause;
      throw new NaruError(
        "invalid_argument",
        `cannot read htpasswd file "${this.#path}": ${toNaruError(cause).message}`,
        { cause },
      );
    }
  }

  /** A file that became wrong changes nothing but the log. */
  #look(): void {
    if (monotonicMs() < this.#lookAtMs) return;
    this.#lookAtMs = monotonicMs() + LOOK_EVERY_MS;
    const stamp = this.#stampNow();
    if (stamp === this.#stamp) return;
    this.#stamp = stamp;
    try {
      this.#users = this.#read();
      this.#known.clear();
      this.#log.info("read the htpasswd file again", { users: this.#users.size });
    } catch (error) {
      this.#log.error("the users stay as they were", { error });
    }
  }

  check(user: string, password: string): void | Promise<void> {
    this.#look();
    const memory = new Bun.CryptoHasher("sha256", this.#key)
      .update(`${user}\0${password}`)
      .digest("hex");
    if ((this.#known.get(memory) ?? 0) > monotonicMs()) return undefined;
    return this.#verify(user, password, memory);
  }

  async #verify(user: string, password: string, memory: string): Promise<void> {
    if (this.#checks >= CHECKS_LIMIT) {
      throw distributionError("TOOMANYREQUESTS", "too many log-ins at once: try again", {
        details: { retryAfterSeconds: 1 },
      });
    }
    this.#checks += 1;
    try {
      const users = this.#users;
      const hash = users.get(user);
      const isRight = await Bun.password.verify(password, hash ?? NOBODY).catch(() => false);
      if (hash === undefined || !isRight) {
        throw distributionError("UNAUTHORIZED", "user name or password is wrong");
      }
      if (users !== this.#users) return;
      if (this.#known.size >= REMEMBER_LIMIT) this.#known.clear();
      this.#known.set(memory, monotonicMs() + REMEMBER_MS);
    } finally {
      this.#checks -= 1;
    }
  }
}

/** Throws invalid_argument when the file cannot be read or has other hashes than bcrypt. */
export const openHtpasswd = (path: string, log: Logger): Passwords => new PasswordFile(path, log);
