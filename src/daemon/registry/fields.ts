/** Reads a JSON object field by field; a key that nobody asked for is refused by `done`. */
import { NaruError } from "#lib/errors.ts";

/** Both inclusive. */
export interface Bounds {
  readonly least?: number;
  readonly most?: number;
}

export const asWrong = (where: string, reason: string): NaruError =>
  new NaruError("invalid_argument", `${where}: ${reason}`);

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
};

export class Fields {
  readonly where: string;
  readonly #object: Readonly<Record<string, unknown>>;
  readonly #asked = new Set<string>();

  constructor(value: unknown, where: string) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw asWrong(where, "must be a JSON object");
    }
    this.where = where;
    this.#object = value as Record<string, unknown>;
  }

  #take<T>(key: string, what: string, isRight: (value: unknown) => value is T): T | undefined {
    this.#asked.add(key);
    const value = this.#object[key];
    if (value === undefined) return undefined;
    if (isRight(value)) return value;
    throw asWrong(this.where, `"${key}" must be ${what}, not ${JSON.stringify(value)}`);
  }

  /** For objects whose keys are the user's own. */
  keys(): readonly string[] {
    return Object.keys(this.#object);
  }

  string(key: string): string | undefined {
    return this.#take(key, "a text", (value) => typeof value === "string");
  }

  need(key: string): string {
    const value = this.string(key);
    if (value === undefined) throw asWrong(this.where, `"${key}" is missing`);
    return value;
  }

  flag(key: string): boolean | undefined {
    return this.#take(key, "true or false", (value) => typeof value === "boolean");
  }

  /** Not negative. */
  number(key: string, bounds: Bounds = {}): number | undefined {
    return this.#take(key, described("a number", bounds), (value) => isWithin(value, bounds));
  }

  /** A whole number. */
  count(key: string, bounds: Bounds = {}): number | undefined {
    return this.#take(
      key,
      described("a whole number", bounds),
      (value): value is number => isWithin(value, bounds) && Number.isSafeInteger(value),
    );
  }

  /** 1048576, "64m", "10g": powers of 1024. */
  bytes(key: string): number | undefined {
    const value = this.#take(key, 'bytes, or a text like "10g"', (v): v is number | string =>
      typeof v === "string"
        ? /^\d{1,9}[kmgt]?b?$/i.test(v)
        : isNumber(v) && Number.isSafeInteger(v),
    );
    if (typeof value !== "string") return value;
    const [, digits = "0", unit = ""] = /^(\d+)([kmgt]?)/i.exec(value) ?? [];
    return Number(digits) * (UNITS[unit.toLowerCase()] ?? 1);
  }

  strings(key: string): readonly string[] | undefined {
    return this.#take(
      key,
      "a list of texts",
      (value): value is string[] =>
        Array.isArray(value) && value.every((item) => typeof item === "string"),
    );
  }

  /** Of objects; absent is empty. */
  list(key: string): Fields[] {
    const value = this.#take(key, "a list of objects", (v): v is unknown[] => Array.isArray(v));
    return (value ?? []).map((item, index) => new Fields(item, `${this.where}: ${key}[${index}]`));
  }

  object(key: string): Fields | undefined {
    const value = this.#take(
      key,
      "an object",
      (v): v is object => typeof v === "object" && v !== null,
    );
    return value === undefined ? undefined : new Fields(value, `${this.where}: ${key}`);
  }

  /** Throws for keys that were never asked for. An empty object, to be spread. */
  done(): Record<never, never> {
    const unknown = Object.keys(this.#object).filter((key) => !this.#asked.has(key));
    if (unknown.length === 0) return {};
    throw asWrong(
      this.where,
      `unknown key "${unknown.join('", "')}" (known: ${[...this.#asked].join(", ")})`,
    );
  }
}

const isNumber = (value: unknown): value is number =>
  typeof value === "number" && Number.isFinite(value) && value >= 0;

const isWithin = (value: unknown, { least = 0, most = Infinity }: Bounds): value is number =>
  isNumber(value) && value >= least && value <= most;

const described = (what: string, { least, most }: Bounds): string => {
  if (most !== undefined) return `${what} from ${least ?? 0} to ${most}`;
  return least === undefined ? `${what} that is not negative` : `${what} of ${least} or more`;
};
