/**
 * Messages of netlink(7) as bytes: build and take apart, nothing else. Little-endian, as on every
 * machine this runs on. Layouts are from <linux/netlink.h> and <linux/rtnetlink.h>.
 */
import { encodeName } from "#kernel/name-bytes.ts";

export const HEADER_BYTES = 16;

/** NLM_F_* */
export const NLM = {
  request: 1,
  ack: 4,
  replace: 0x100,
  exclusive: 0x200,
  create: 0x400,
  dump: 0x300,
  ackTlvs: 0x200,
} as const;

export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;

/** The type's number, then bytes or nested attributes. */
export type Attribute = readonly [type: number, value: Uint8Array | readonly Attribute[]];

export interface NetlinkRequest {
  readonly type: number;
  readonly flags: number;
  /** The fixed structure after the header (ifinfomsg, ifaddrmsg, rtmsg). */
  readonly body: Uint8Array;
  readonly attributes: readonly Attribute[];
}

export interface NetlinkReply {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly payload: Uint8Array;
}

const aligned = (length: number): number => (length + 3) & ~3;

const isNested = (value: Attribute[1]): value is readonly Attribute[] => Array.isArray(value);

const attributeBytes = ([type, value]: Attribute): Uint8Array => {
  const payload = isNested(value) ? concat(value.map(attributeBytes)) : value;
  const bytes = new Uint8Array(aligned(4 + payload.length));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 4 + payload.length, true); // the length leaves the padding out
  view.setUint16(2, type, true);
  bytes.set(payload, 4);
  return bytes;
};

const concat = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

/** All attributes one after another, padded: what may stand inside another attribute after a structure. */
export const attributesBytes = (attributes: readonly Attribute[]): Uint8Array =>
  concat(attributes.map(attributeBytes));

export const requestBytes = (request: NetlinkRequest, sequence: number): Uint8Array => {
  const rest = concat([request.body, attributesBytes(request.attributes)]);
  const bytes = new Uint8Array(HEADER_BYTES + rest.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, request.type, true);
  view.setUint16(6, request.flags, true);
  view.setUint32(8, sequence, true);
  bytes.set(rest, HEADER_BYTES); // the port id (offset 12) stays 0: the kernel fills it in
  return bytes;
};

export const parseReplies = (bytes: Uint8Array): NetlinkReply[] => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const replies: NetlinkReply[] = [];
  for (let at = 0; at + HEADER_BYTES <= bytes.length;) {
    const length = view.getUint32(at, true);
    if (length < HEADER_BYTES || at + length > bytes.length) break;
    replies.push({
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      payload: bytes.subarray(at + HEADER_BYTES, at + length),
    });
    at += aligned(length);
  }
  return replies;
};

/** Attributes by type. The two highest bits of a type are flags (nested, byte order) and cut off. */
export const parseAttributes = (bytes: Uint8Array): Map<number, Uint8Array> => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const attributes = new Map<number, Uint8Array>();
  for (let at = 0; at + 4 <= bytes.length;) {
    const length = view.getUint16(at, true);
    if (length < 4 || at + length > bytes.length) break;
    attributes.set(view.getUint16(at + 2, true) & 0x3fff, bytes.subarray(at + 4, at + length));
    at += aligned(length);
  }
  return attributes;
};

export const u32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

/** Text with a closing NUL. */
export const zeroEnded = (text: string): Uint8Array => encodeName(`${text}\0`);

export const readU32 = (bytes: Uint8Array | undefined): number | undefined =>
  bytes === undefined || bytes.length < 4
    ? undefined
    : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);

export const readText = (bytes: Uint8Array | undefined): string | undefined => {
  if (bytes === undefined) return undefined;
  const end = bytes.indexOf(0);
  return Buffer.from(end === -1 ? bytes : bytes.subarray(0, end)).toString("utf8");
};
