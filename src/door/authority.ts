/** The local certificate authority: made once, kept in two files; certificates for names to order. */
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync, renameSync } from "node:fs";
import { hostname } from "node:os";
import { formatInstant, nowNs } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import { certificate, pem, unpem } from "#door/der.ts";

export interface ServerCertificate {
  readonly cert: string;
  readonly key: string;
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" };
const DAY_NS = 86_400n * 1_000_000_000n;
const AUTHORITY_DAYS = 3650n;
const SERVER_DAYS = 90n;
/** Clocks of clients may be behind. */
const LEEWAY_DAYS = 1n;
const MAX_CERTIFICATES = 1000;

const validFor = (days: bigint): { notBefore: string; notAfter: string } => ({
  notBefore: formatInstant(nowNs() - LEEWAY_DAYS * DAY_NS),
  notAfter: formatInstant(nowNs() + days * DAY_NS),
});

const exported = async (format: "spki" | "pkcs8", key: CryptoKey): Promise<Uint8Array> =>
  new Uint8Array(await crypto.subtle.exportKey(format, key));

const newKeys = (): Promise<CryptoKeyPair> =>
  crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]) as Promise<CryptoKeyPair>;

const write = (path: string, text: string, mode: number): void => {
  writeFileSync(`${path}.next`, text, { mode });
  // A umask may have taken bits, an older file may have had more.
  chmodSync(`${path}.next`, mode);
  renameSync(`${path}.next`, path);
};

export const authorityPath = (directory: string): string => `${directory}/ca.pem`;

export class Authority {
  readonly #key: CryptoKey;
  readonly #publicKey: Uint8Array;
  readonly #name: string;
  readonly #made = new Map<string, { at: bigint; made: Promise<ServerCertificate> }>();
  readonly pem: string;

  private constructor(key: CryptoKey, publicKey: Uint8Array, name: string, text: string) {
    this.#key = key;
    this.#publicKey = publicKey;
    this.#name = name;
    this.pem = text;
  }

  /** The one kept in `directory`, or a new one. */
  static async open(directory: string): Promise<Authority> {
    const [certPath, keyPath] = [authorityPath(directory), `${directory}/ca.key`];
    if (existsSync(certPath) && existsSync(keyPath))
      return await Authority.#read(certPath, keyPath);
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    const keys = await newKeys();
    const publicKey = await exported("spki", keys.publicKey);
    const name = `naru front door on ${hostname()}`.slice(0, 64);
    const order = { issuer: name, subject: name, publicKey, signingKey: keys.privateKey };
    const der = await certificate({ ...order, ...validFor(AUTHORITY_DAYS) });
    const text = pem("CERTIFICATE", der);
    // The key first: a certificate without its key would be trusted for nothing.
    write(keyPath, pem("PRIVATE KEY", await exported("pkcs8", keys.privateKey)), 0o600);
    write(certPath, text, 0o644);
    return new Authority(keys.privateKey, publicKey, name, text);
  }

  static async #read(certPath: string, keyPath: string): Promise<Authority> {
    try {
      const { X509Certificate } = await import("node:crypto");
      const text = readFileSync(certPath, "utf8");
      const parsed = new X509Certificate(text);
      const publicKey = parsed.publicKey.export({ type: "spki", format: "der" });
      const der = Uint8Array.from(unpem(readFileSync(keyPath, "utf8")));
      const key = await crypto.subtle.importKey("pkcs8", der, ALGORITHM, false, ["sign"]);
      const name = /CN=(.*)/.exec(parsed.subject)?.[1] ?? "";
      return new Authority(key, publicKey, name, text);
    } catch (cause) {
      const message = `the front door's certificate authority in "${certPath}" and "${keyPath}" cannot be read: move both away, and a new one is made (to be trusted anew)`;
      throw new NaruError("failed_precondition", message, { cause });
    }
  }

  /** For one name, and anew when half of its time is over. */
  async issue(name: string): Promise<ServerCertificate> {
    const known = this.#made.get(name);
    const nowAt = nowNs();
    if (known !== undefined && nowAt - known.at < (SERVER_DAYS * DAY_NS) / 2n) return known.made;
    const oldest = this.#made.keys().next().value;
    if (this.#made.size >= MAX_CERTIFICATES && oldest !== undefined) this.#made.delete(oldest);
    const made = this.#make(name);
    this.#made.set(name, { at: nowAt, made });
    made.catch(() => this.#made.delete(name));
    return await made;
  }

  async #make(name: string): Promise<ServerCertificate> {
    const keys = await newKeys();
    const der = await certificate({
      issuer: this.#name,
      // The common name has 64 characters at most, and nobody reads it: names stand in the extension.
      subject: name.length > 64 ? "naru" : name,
      publicKey: await exported("spki", keys.publicKey),
      signingKey: this.#key,
      server: { names: [name], issuerKey: this.#publicKey },
      ...validFor(SERVER_DAYS),
    });
    return {
      cert: pem("CERTIFICATE", der) + this.pem,
      key: pem("PRIVATE KEY", await exported("pkcs8", keys.privateKey)),
    };
  }
}
