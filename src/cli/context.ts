/** What a command is given: output, environment, and the engine it speaks to. */
import { Client } from "#client/client.ts";
import { Connection } from "#client/connection.ts";
import type { Address } from "#client/connection.ts";
import { currentContext, resolveHost } from "#client/host.ts";
import type { Host, HostOptions } from "#client/host.ts";
import { shapeConfig } from "#cli/config-shape.ts";
import type { GlobalFlagValues } from "#cli/globals.ts";
import { Output } from "#cli/output.ts";
import { hasCode, NaruError } from "#lib/errors.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface ConfigFile {
  readonly detachKeys?: string;
  readonly psFormat?: string;
  readonly imagesFormat?: string;
  readonly networksFormat?: string;
  readonly volumesFormat?: string;
  readonly statsFormat?: string;
  /** Sent along with every request. */
  readonly HttpHeaders?: Readonly<Record<string, string>>;
  readonly currentContext?: string;
  readonly proxies?: Readonly<Record<string, Readonly<Record<string, string>> | undefined>>;
  readonly credsStore?: string;
  readonly credHelpers?: Readonly<Record<string, string | undefined>>;
  readonly auths?: Readonly<Record<string, { readonly auth?: string } | undefined>>;
}

const NOT_THERE = new Set(["ENOENT", "ECONNREFUSED"]);

export class CliContext {
  readonly output = new Output();
  readonly env: Environment;
  /** "naru container run": for messages. */
  commandPath = "naru";
  readonly #globals: GlobalFlagValues;
  #host: Promise<Host> | undefined;
  #client: Promise<Client> | undefined;
  #config: Promise<ConfigFile> | undefined;

  constructor(globals: GlobalFlagValues, env: Environment) {
    this.#globals = globals;
    this.env = env;
  }

  /** Causes of errors are shown. */
  get isDebug(): boolean {
    return this.#globals.debug || (this.env["NARU_DEBUG"] ?? "") !== "";
  }

  get configFolder(): string {
    return this.#globals.config ?? this.env["DOCKER_CONFIG"] ?? `${this.env["HOME"] ?? ""}/.docker`;
  }

  /** The engine that --host names. */
  get givenHost(): string | undefined {
    return this.#globals.host;
  }

  /** The context in use, "default" when none is. */
  currentContext(): Promise<string> {
    return currentContext(this.#hostOptions());
  }

  host(): Promise<Host> {
    this.#host ??= resolveHost(this.#hostOptions());
    return this.#host;
  }

  #hostOptions(): HostOptions {
    const { host, context, tls, tlsverify, tlscacert, tlscert, tlskey } = this.#globals;
    return {
      configFolder: this.configFolder,
      env: this.env,
      ...(host === undefined ? {} : { host }),
      ...(context === undefined ? {} : { context }),
      ...(tls ? { tls } : {}),
      ...(tlsverify ? { tlsVerify: tlsverify } : {}),
      ...(tlscacert === undefined ? {} : { caFile: tlscacert }),
      ...(tlscert === undefined ? {} : { certFile: tlscert }),
      ...(tlskey === undefined ? {} : { keyFile: tlskey }),
    };
  }

  /** The engine; starts naru's own when none was named and none answers. */
  client(): Promise<Client> {
    this.#client ??= this.#openClient();
    return this.#client;
  }

  async #openClient(): Promise<Client> {
    const host = await this.host();
    const { HttpHeaders } = await this.config();
    const own = this.env["DOCKER_CUSTOM_HEADERS"] ?? "";
    let headers = HttpHeaders;
    if (own !== "") {
      const { parseHeaders } = await import("#cli/custom-headers.ts");
      headers = { ...HttpHeaders, ...parseHeaders(own) };
    }
    const client = new Client(host.address, (address) => this.#dial(host, address), headers);
    const pinned = this.env["DOCKER_API_VERSION"];
    if (pinned !== undefined && pinned !== "") client.pinVersion(pinned);
    return client;
  }

  /** A connection of one's own to the engine. */
  async connect(): Promise<Connection> {
    const host = await this.host();
    return this.#dial(host, host.address);
  }

  async #dial(host: Host, address: Address): Promise<Connection> {
    try {
      return await Connection.open(address);
    } catch (error) {
      const errno = error instanceof NaruError ? error.details["errno"] : undefined;
      if (host.isNamed || !hasCode(error, "unavailable") || !NOT_THERE.has(String(errno))) {
        throw error;
      }
      const { startEngine } = await import("#cli/autostart.ts");
      return startEngine(address, this.output);
    }
  }

  /** The user's config.json; empty when there is none. What of it cannot be read is told, and goes for absent, as with docker. */
  config(): Promise<ConfigFile> {
    this.#config ??= this.#readConfig();
    return this.#config;
  }

  /** Word for word, to be written again. Throws where that would lose what somebody wrote there. */
  async wholeConfig(): Promise<ConfigFile> {
    const { path, value } = await this.#configValue();
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      const { auths } = value as ConfigFile;
      if (auths === undefined || auths === null || typeof auths === "object") return value;
    }
    const reason = `"${path}" is not valid JSON, or "auths" in it is not an object`;
    throw new NaruError("invalid_argument", `${reason}: correct or remove it; nothing was changed`);
  }

  async #configValue(): Promise<{ readonly path: string; readonly value: unknown }> {
    const path = `${this.configFolder}/config.json`;
    const file = Bun.file(path);
    const text = (await file.exists()) ? await file.text() : "";
    if (text.trim() === "") return { path, value: {} };
    try {
      return { path, value: JSON.parse(text) };
    } catch {
      return { path, value: undefined };
    }
  }

  async #readConfig(): Promise<ConfigFile> {
    const { path, value } = await this.#configValue();
    const { config, faults } = shapeConfig(value);
    for (const fault of faults) {
      this.output.error(`WARNING: Error parsing config file (${path}): ${fault}`);
    }
    return config;
  }
}
