/** IP addresses between text and the bytes that the kernel takes. Either family. */
import { NaruError } from "#lib/errors.ts";
import { versionOfIP } from "#lib/ip-address.ts";

export const AF_INET = 2;
export const AF_INET6 = 10;

export interface IpPrefix {
  readonly family: typeof AF_INET | typeof AF_INET6;
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly prefixLength: number;
}

const v4Bytes = (text: string): number[] => text.split(".").map(Number);

const v6Half = (text: string): number[] =>
  text === ""
    ? []
    : text.split(":").flatMap((group) => {
        if (group.includes(".")) return v4Bytes(group);
        const value = Number.parseInt(group, 16);
        return [value >> 8, value & 0xff];
      });

const v6Bytes = (text: string): number[] => {
  const [head = "", tail] = text.split("::");
  const front = v6Half(head);
  if (tail === undefined) return front;
  const back = v6Half(tail);
  return [...front, ...Array.from({ length: 16 - front.length - back.length }, () => 0), ...back];
};

/** Zone names (`%eth0`) are refused: an address here belongs to an interface already. */
export const parseIp = (text: string): Uint8Array => {
  const version = versionOfIP(text);
  if (version === 0) {
    throw new NaruError("invalid_argument", `"${text}" is not an IP address`);
  }
  return Uint8Array.from(version === 4 ? v4Bytes(text) : v6Bytes(text));
};

/** `10.1.2.3/24`; without a length the whole address counts. */
export const parsePrefix = (text: string): IpPrefix => {
  const [ip = "", length, ...rest] = text.split("/");
  const address = parseIp(ip);
  const bits = address.length * 8;
  const prefixLength = length === undefined ? bits : Number(length);
  const isLength = length === undefined || /^\d{1,3}$/.test(length);
  if (!isLength || prefixLength > bits || rest.length > 0) {
    throw new NaruError("invalid_argument", `"${text}" is not an address with a prefix length`);
  }
  return { family: bits === 32 ? AF_INET : AF_INET6, address, prefixLength };
};

/** RFC 5952: lower case, the longest run of two or more zero groups (the first of equals) as "::". */
const formatV6 = (bytes: Uint8Array): string => {
  const groups = Array.from({ length: 8 }, (_, index) =>
    (((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0)).toString(16),
  );
  let [start, length] = [-1, 1];
  for (let at = 0; at < 8; at++) {
    let run = 0;
    while (groups[at + run] === "0") run++;
    if (run > length) [start, length] = [at, run];
  }
  if (start === -1) return groups.join(":");
  return `${groups.slice(0, start).join(":")}::${groups.slice(start + length).join(":")}`;
};

export const formatIp = (bytes: Uint8Array): string =>
  bytes.length === 4 ? bytes.join(".") : formatV6(bytes);

/** The broadcast address of an IPv4 network. */
export const broadcastOf = (prefix: IpPrefix): Uint8Array =>
  prefix.address.map((byte, index) => {
    const hostBits = Math.min(8, Math.max(0, (index + 1) * 8 - prefix.prefixLength));
    return byte | (0xff >> (8 - hostBits));
  });
