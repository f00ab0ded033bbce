/** Query parameters, read the way Docker's clients expect them to be understood. */
import { NaruError } from "#lib/errors.ts";
import { type Filters, parseFilters } from "#spec/docker/filters.ts";

const FALSE_WORDS: ReadonlySet<string> = new Set(["", "0", "no", "false", "none"]);

export class Query {
  readonly #values: URLSearchParams;

  constructor(text: string) {
    this.#values = new URLSearchParams(text);
  }

  /** "" when absent. */
  text(name: string): string {
    return this.#values.get(name) ?? "";
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  all(name: string): string[] {
    return this.#values.getAll(name);
  }

  /** Anything but "", 0, no, false and none is true. */
  flag(name: string, byDefault = false): boolean {
    const value = this.#values.get(name);
    return value === null ? byDefault : !FALSE_WORDS.has(value.trim().toLowerCase());
  }

  /** undefined when absent or empty; invalid_argument when not a decimal integer. */
  integer(name: string): number | undefined {
    const value = this.text(name);
    if (value === "") return undefined;
    if (!/^[+-]?\d{1,15}$/.test(value)) {
      throw new NaruError(
        "invalid_argument",
        `invalid value "${value}" for "${name}": not a number`,
      );
    }
    return Number(value);
  }

  filters(accepted: readonly string[] | "any"): Filters {
    return parseFilters(this.text("filters"), accepted);
  }
}
