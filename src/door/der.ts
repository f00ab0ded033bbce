/**
 * X.509 certificates for the two forms that the front door needs (RFC 5280), in DER (X.690). The libraries
 * made for this bring twenty packages and change the global Reflect; what is used of them is what stands here.
 */

const concat = (parts: readonly Uint8Array[]): Uint8Array => Buffer.concat(parts);

const tagged = (tag: number, ...parts: readonly Uint8Array[]): Uint8Array => {
  const content = concat(parts);
  const size = content.length;
  const length =
    size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >>> 8, size & 0xff];
  return concat([Uint8Array.from([tag, ...length]), content]);
};

const sequence = (...parts: readonly Uint8Array[]): Uint8Array => tagged(0x30, ...parts);
const octets = (content: Uint8Array): Uint8Array => tagged(0x04, content);
const bits = (content: Uint8Array, unused = 0): Uint8Array =>
  tagged(0x03, Uint8Array.from([unused]), content);
const boolean = (value: boolean): Uint8Array => Uint8Array.from([0x01, 0x01, value ? 0xff : 0]);
const text = (tag: number, value: string): Uint8Array => tagged(tag, Buffer.from(value, "utf8"));

/** Non-negative, from big-endian bytes. */
const integer = (bytes: Uint8Array): Uint8Array => {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  const body = bytes.subarray(start);
  return tagged(0x02, ...((body[0] ?? 0) >= 0x80 ? [Uint8Array.from([0])] : []), body);
};

const identifier = (dotted: string): Uint8Array => {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const septets = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) septets.unshift((left & 0x7f) | 0x80);
    bytes.push(...septets);
  }
  return tagged(0x06, Uint8Array.from(bytes));
};

/** UTCTime until 2049, GeneralizedTime after (RFC 5280 4.1.2.5). From an RFC 3339 instant. */
const time = (instant: string): Uint8Array => {
  const digits = `${instant.slice(0, 19).replaceAll(/[-T:]/g, "")}Z`;
  return digits < "2050" ? text(0x17, digits.slice(2)) : text(0x18, digits);
};

const commonName = (name: string): Uint8Array =>
  sequence(tagged(0x31, sequence(identifier("2.5.4.3"), text(0x0c, name))));

const ECDSA_SHA256 = sequence(identifier("1.2.840.10045.4.3.2"));
const HALF_BYTES = 32;

/** WebCrypto gives r and s side by side; X.509 wants them as two integers. */
const signatureOf = (raw: Uint8Array): Uint8Array =>
  sequence(integer(raw.subarray(0, HALF_BYTES)), integer(raw.subarray(HALF_BYTES)));

const extension = (id: string, isCritical: boolean, value: Uint8Array): Uint8Array =>
  sequence(identifier(id), ...(isCritical ? [boolean(true)] : []), octets(value));

const dnsName = (name: string): Uint8Array => text(0x82, name);

const keyId = async (publicKey: Uint8Array): Promise<Uint8Array> =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", Uint8Array.from(publicKey))).subarray(0, 20);

/** Alone these may be named: whoever steals the key can speak for no public site. */
export const RESERVED_DOMAINS = ["localhost", "test", "internal", "local", "home.arpa"];

const authorityExtensions = async (publicKey: Uint8Array): Promise<Uint8Array[]> => [
  extension("2.5.29.19", true, sequence(boolean(true), integer(Uint8Array.from([0])))),
  extension("2.5.29.15", true, bits(Uint8Array.from([0b0000_0110]), 1)),
  extension("2.5.29.14", false, octets(await keyId(publicKey))),
  extension(
    "2.5.29.30",
    true,
    sequence(tagged(0xa0, ...RESERVED_DOMAINS.map((name) => sequence(dnsName(name))))),
  ),
];

const serverExtensions = async (
  names: readonly string[],
  issuerKey: Uint8Array,
): Promise<Uint8Array[]> => [
  extension("2.5.29.19", true, sequence()),
  extension("2.5.29.15", true, bits(Uint8Array.from([0b1000_0000]), 7)),
  extension("2.5.29.37", false, sequence(identifier("1.3.6.1.5.5.7.3.1"))),
  extension("2.5.29.17", false, sequence(...names.map(dnsName))),
  extension("2.5.29.35", false, sequence(tagged(0x80, await keyId(issuerKey)))),
];

export interface Validity {
  /** RFC 3339, UTC. */
  readonly notBefore: string;
  readonly notAfter: string;
}

export interface CertificateOrder extends Validity {
  readonly issuer: string;
  readonly subject: string;
  /** SubjectPublicKeyInfo of an ECDSA P-256 key. */
  readonly publicKey: Uint8Array;
  /** ECDSA P-256. */
  readonly signingKey: CryptoKey;
  /** Of a server; absent: of the authority itself. */
  readonly server?: { readonly names: readonly string[]; readonly issuerKey: Uint8Array };
}

/** The certificate in DER. */
export const certificate = async (order: CertificateOrder): Promise<Uint8Array> => {
  const serial = crypto.getRandomValues(new Uint8Array(16));
  const { server } = order;
  const extensions =
    server === undefined
      ? await authorityExtensions(order.publicKey)
      : await serverExtensions(server.names, server.issuerKey);
  const toBeSigned = sequence(
    tagged(0xa0, integer(Uint8Array.from([2]))), // version 3
    integer(serial),
    ECDSA_SHA256,
    commonName(order.issuer),
    sequence(time(order.notBefore), time(order.notAfter)),
    commonName(order.subject),
    order.publicKey,
    tagged(0xa3, sequence(...extensions)),
  );
  const algorithm = { name: "ECDSA", hash: "SHA-256" };
  const raw = await crypto.subtle.sign(algorithm, order.signingKey, Uint8Array.from(toBeSigned));
  return sequence(toBeSigned, ECDSA_SHA256, bits(signatureOf(new Uint8Array(raw))));
};

export const pem = (label: string, der: Uint8Array): string => {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
};

export const unpem = (body: string): Uint8Array =>
  Buffer.from(body.replaceAll(/-----[^-]+-----|\s/g, ""), "base64");
