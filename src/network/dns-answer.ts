/**
 * From a query to its answer, as far as names of containers go (RFC 1035; EDNS: RFC 6891). Pure but
 * for the order of several addresses, which `shuffle` gives.
 */
import {
  AUTHENTIC_DATA,
  type Answer,
  type DecodedPacket,
  type Packet,
  type Question,
  RECURSION_AVAILABLE,
  RECURSION_DESIRED,
  TRUNCATED_RESPONSE,
  decode,
  encode,
} from "dns-packet";
import { formatIpv6 } from "#network/ipv6.ts";

/** What the asking container sees. */
export interface DnsView {
  /** Addresses of a name in lower case without the last dot; undefined = nobody's. */
  lookup(name: string): readonly string[] | undefined;
  /** A name of an address of either family, in its usual spelling. */
  reverse(address: string): string | undefined;
}

export type Verdict =
  | { readonly kind: "answer"; readonly bytes: Uint8Array }
  | { readonly kind: "forward"; readonly query: DecodedPacket }
  /** Not a query: nothing is said. */
  | { readonly kind: "ignore" };

/** Containers come and go: nobody should remember an address for long. */
const TTL_SECONDS = 5;
const HEADER_BYTES = 12;
const PLAIN_UDP_BYTES = 512;
/** Fits one packet on every path (dnsflagday.net). */
const EDNS_BYTES = 1232;
export const MAX_UDP_BYTES = 4096;

const RCODES = { noError: 0, formatError: 1, serverFailure: 2, notImplemented: 4 } as const;
export type Rcode = keyof typeof RCODES;

const hasEdns = (query: DecodedPacket): boolean =>
  (query.additionals ?? []).some((record) => record.type === "OPT");

/** How many bytes the one who asked by UDP takes. */
export const udpLimit = (query: DecodedPacket): number => {
  const option = (query.additionals ?? []).find((record) => record.type === "OPT");
  const size = option?.type === "OPT" ? option.udpPayloadSize : PLAIN_UDP_BYTES;
  return Math.min(MAX_UDP_BYTES, Math.max(PLAIN_UDP_BYTES, size));
};

const respond = (query: DecodedPacket, rcode: Rcode, answers: Answer[]): Packet => ({
  type: "response",
  id: query.id ?? 0,
  // AD says more than we know; what was asked for by RD is told to be there.
  flags:
    RECURSION_AVAILABLE |
    ((query.flags ?? 0) & RECURSION_DESIRED & ~AUTHENTIC_DATA) |
    RCODES[rcode],
  questions: query.questions ?? [],
  answers,
  ...(hasEdns(query)
    ? {
        additionals: [
          {
            type: "OPT" as const,
            name: ".",
            udpPayloadSize: EDNS_BYTES,
            extendedRcode: 0,
            ednsVersion: 0,
            flags: 0,
            flag_do: false,
            options: [],
          },
        ],
      }
    : {}),
});

/** With as many answers as fit into `limit` bytes; the client comes again by TCP for the others. */
const encodeWithin = (packet: Packet, limit: number): Uint8Array => {
  let bytes = encode(packet);
  if (bytes.length <= limit) return bytes;
  const answers = [...(packet.answers ?? [])];
  const flags = (packet.flags ?? 0) | TRUNCATED_RESPONSE;
  while (bytes.length > limit && answers.length > 0) {
    answers.length = Math.floor(answers.length / 2);
    bytes = encode({ ...packet, flags, answers: [...answers] });
  }
  return bytes;
};

export const failure = (query: DecodedPacket, rcode: Rcode): Uint8Array =>
  encode(respond(query, rcode, []));

const REVERSE = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa$/;

const REVERSE6 = /^((?:[0-9a-f]\.){32})ip6\.arpa$/;

/** The address that a name of in-addr.arpa or ip6.arpa (RFC 3596) asks for. */
const reversedAddress = (name: string): string | undefined => {
  const [, a, b, c, d] = REVERSE.exec(name) ?? [];
  if (d !== undefined) return `${d}.${c}.${b}.${a}`;
  const digits = REVERSE6.exec(name)?.[1]?.split(".").toReversed().join("");
  return digits === undefined ? undefined : formatIpv6(BigInt(`0x${digits}`));
};

const answersTo = (
  question: Question,
  view: DnsView,
  shuffle: <T>(list: readonly T[]) => T[],
): Answer[] | undefined => {
  const name = question.name.toLowerCase().replace(/\.$/, "");
  const common = { name: question.name, ttl: TTL_SECONDS, class: "IN" as const };
  if (question.type === "PTR") {
    const address = reversedAddress(name);
    const data = address === undefined ? undefined : view.reverse(address);
    return data === undefined ? undefined : [{ ...common, type: "PTR", data }];
  }
  if (question.type !== "A" && question.type !== "AAAA") return undefined;
  const addresses = view.lookup(name);
  if (addresses === undefined) return undefined;
  const type = question.type;
  const ofFamily = addresses.filter((address) => address.includes(":") === (type === "AAAA"));
  // A name without an address of this family exists all the same: an empty answer, not "no such name".
  return shuffle(ofFamily).map((data) => ({ ...common, type, data }));
};

const tryDecode = (bytes: Uint8Array): DecodedPacket | undefined => {
  try {
    return decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  } catch {
    return undefined; // what is wrong in it is the sender's business
  }
};

const OPCODE_MASK = 0x7800;

/** `limit` bytes of answer are taken; undefined = as the query says (UDP). */
export const answerQuery = (
  bytes: Uint8Array,
  view: DnsView,
  shuffle: <T>(list: readonly T[]) => T[],
  limit?: number,
): Verdict => {
  if (bytes.length < HEADER_BYTES) return { kind: "ignore" };
  const query = tryDecode(bytes);
  if (query === undefined) {
    const id = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
    const isResponse = ((bytes[2] ?? 0) & 0x80) !== 0;
    if (isResponse) return { kind: "ignore" };
    const empty = { type: "query", id, flags: 0, questions: [] } as unknown as DecodedPacket;
    return { kind: "answer", bytes: failure(empty, "formatError") };
  }
  if (query.type !== "query") return { kind: "ignore" };
  if (((query.flags ?? 0) & OPCODE_MASK) !== 0) {
    return { kind: "answer", bytes: failure(query, "notImplemented") };
  }
  const [question, ...more] = query.questions ?? [];
  if (question === undefined || more.length > 0) {
    return { kind: "answer", bytes: failure(query, "formatError") };
  }
  const answers = answersTo(question, view, shuffle);
  if (answers === undefined) return { kind: "forward", query };
  const packet = respond(query, "noError", answers);
  return { kind: "answer", bytes: encodeWithin(packet, limit ?? udpLimit(query)) };
};
