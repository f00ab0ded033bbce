/** Errors as gRPC tells them. Numbers: https://grpc.io/docs/guides/status-codes/. */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

import { type ErrorCode, NaruError, toNaruError } from "#lib/errors.ts";

const NUMBERS: Readonly<Record<ErrorCode, number>> = {
  canceled: 1,
  // UNKNOWN, as Go's services have it for every error without a code: clients print no word for it.
  internal: 2,
  invalid_argument: 3,
  deadline_exceeded: 4,
  not_found: 5,
  already_exists: 6,
  permission_denied: 7,
  resource_exhausted: 8,
  failed_precondition: 9,
  not_modified: 9,
  conflict: 10,
  aborted: 10,
  out_of_range: 11,
  not_implemented: 12,
  unavailable: 14,
  data_loss: 15,
  unauthenticated: 16,
};

const CODES = new Map<number, ErrorCode>([
  [13, "internal"],
  ...Object.entries(NUMBERS).map(([code, number]): [number, ErrorCode] => [
    number,
    code as ErrorCode,
  ]),
  [9, "failed_precondition"],
  [10, "aborted"],
]);

/** Header values are ASCII: the rest is percent-encoded. */
const encodeMessage = (text: string): string =>
  [...Buffer.from(text)]
    .map((byte) =>
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`,
    )
    .join("");

const decodeMessage = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    // Not encoded after all: as it came.
    return text;
  }
};

export const statusNumber = (code: ErrorCode): number => NUMBERS[code];

/** google.rpc.Status: the code, the message, and what else there is to say of an error. */
const statusOf = (code: number, message: string, details: readonly Uint8Array[]): Uint8Array => {
  const writer = new BinaryWriter().tag(1, WireType.Varint).int32(code);
  writer.tag(2, WireType.LengthDelimited).string(message);
  for (const detail of details) writer.tag(3, WireType.LengthDelimited).bytes(detail);
  return writer.finish();
};

/** An error's `details.statusDetails` may be encoded google.protobuf.Any messages, which go along. */
export const statusFields = (thrown: unknown): Record<string, string> => {
  if (thrown === undefined) return { "grpc-status": "0" };
  const { code, message, details } = toNaruError(thrown);
  const number = NUMBERS[code];
  const fields = { "grpc-status": String(number), "grpc-message": encodeMessage(message) };
  const given = details["statusDetails"];
  if (!Array.isArray(given) || given.length === 0) return fields;
  const status = Buffer.from(statusOf(number, message, given as readonly Uint8Array[]));
  return { ...fields, "grpc-status-details-bin": status.toString("base64") };
};

/** undefined for success. `fields` are an answer's trailers, or its head where nothing else came. */
export const errorOfStatus = (
  fields: Readonly<Record<string, unknown>>,
  path: string,
): NaruError | undefined => {
  const given = fields["grpc-status"];
  if (given === undefined || given === "") {
    return new NaruError("unavailable", `the client ended the call "${path}" without a status`);
  }
  const number = Number(given);
  if (number === 0) return undefined;
  const text = fields["grpc-message"];
  const message = typeof text === "string" ? decodeMessage(text) : "";
  return new NaruError(CODES.get(number) ?? "internal", message || `status ${number} of "${path}"`);
};
