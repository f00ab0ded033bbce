/**
 * One decoded request of the Docker API and the ways to answer it. Bodies are JSON of at most 4 MiB
 * that must arrive in time; answers end in a newline as Docker's do and are never HTML-escaped.
 */
import type { DockerBackend } from "#api/docker/backend.ts";
import { JSON_FIELDS } from "#api/docker/errors.ts";
import { Query } from "#api/docker/query.ts";
import type { AnswerStream, Exchange } from "#api/http/exchange.ts";
import { NaruError } from "#lib/errors.ts";

const BODY_LIMIT_BYTES = 4 * 1024 * 1024;
const BODY_TIMEOUT_MS = 60_000;

export class Call {
  readonly backend: DockerBackend;
  readonly exchange: Exchange;
  /** The API version asked for is 1.<minor>. */
  readonly minor: number;
  readonly #parameters: readonly string[];
  #query: Query | undefined;

  constructor(
    backend: DockerBackend,
    exchange: Exchange,
    minor: number,
    parameters: readonly string[],
  ) {
    this.backend = backend;
    this.exchange = exchange;
    this.minor = minor;
    this.#parameters = parameters;
  }

  /** The first (mostly the only) parameter of the path: a container, an image, an exec … */
  get name(): string {
    return this.#parameters[0] ?? "";
  }

  get query(): Query {
    this.#query ??= new Query(this.exchange.head.queryText);
    return this.#query;
  }

  get signal(): AbortSignal {
    return this.exchange.signal;
  }

  field(name: string): string | undefined {
    return this.exchange.head.fields.get(name);
  }

  json(status: number, value: unknown): void {
    this.exchange.answer(status, JSON_FIELDS, `${JSON.stringify(value)}\n`);
  }

  /** `text` is JSON already. */
  jsonText(status: number, text: string): void {
    this.exchange.answer(status, JSON_FIELDS, `${text}\n`);
  }

  /** `bytes` are JSON and end in a newline already. */
  jsonBytes(status: number, bytes: Uint8Array): void {
    this.exchange.answer(status, JSON_FIELDS, bytes);
  }

  empty(status: 200 | 201 | 204): void {
    this.exchange.answer(status, "");
  }

  stream(contentType: string, fields = ""): AnswerStream {
    return this.exchange.stream(200, `Content-Type: ${contentType}\r\n${fields}`);
  }

  /** undefined for no body. Throws invalid_argument in Docker's words for what is not a JSON object. */
  async readJson(): Promise<Record<string, unknown> | undefined> {
    const { exchange } = this;
    if (!exchange.hasBody) return undefined;
    this.#checkContentType();
    const bytes = await exchange.readBody({
      limitBytes: BODY_LIMIT_BYTES,
      timeoutMs: BODY_TIMEOUT_MS,
    });
    const text = bytes.toString("utf8");
    if (text.trim() === "") {
      throw new NaruError("invalid_argument", "invalid JSON: got EOF while reading request body");
    }
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new NaruError("invalid_argument", `invalid JSON: ${reason}`, { cause });
    }
    if (value === null) return undefined;
    if (typeof value !== "object" || Array.isArray(value)) {
      throw new NaruError("invalid_argument", "invalid JSON: the request body is not an object");
    }
    return value as Record<string, unknown>;
  }

  #checkContentType(): void {
    const given = this.field("content-type") ?? "";
    const mediaType = given.split(";", 1)[0]?.trim().toLowerCase() ?? "";
    if (mediaType === "application/json") return;
    throw new NaruError(
      "invalid_argument",
      mediaType === ""
        ? "malformed Content-Type header (): mime: no media type"
        : `unsupported Content-Type header (${given}): must be 'application/json'`,
    );
  }
}
