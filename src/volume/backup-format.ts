/**
 * A volume's backup: a zstd skippable frame (RFC 8878, section 3.1.2) that holds what is known of the
 * volume as JSON, then the volume's tree as a tar under zstd. `zstd -dc FILE | tar -x` reads it without naru.
 */
import { NaruError } from "#lib/errors.ts";

export interface BackupHeader {
  readonly name: string;
  readonly createdAt: string;
  readonly labels: Readonly<Record<string, string>>;
}

const MAGIC = 0x184d2a50;
const FRAME_BYTES = 8;
const MAX_HEADER_BYTES = 1024 * 1024;
const KIND = "naru volume";

export const encodeBackupHeader = (header: BackupHeader): Uint8Array => {
  const text = Buffer.from(JSON.stringify({ kind: KIND, ...header }));
  const frame = Buffer.alloc(FRAME_BYTES);
  frame.writeUInt32LE(MAGIC, 0);
  frame.writeUInt32LE(text.length, 4);
  return Buffer.concat([frame, text]);
};

const isTexts = (value: unknown): value is Record<string, string> =>
  typeof value === "object" &&
  value !== null &&
  Object.values(value).every((item) => typeof item === "string");

const parseHeader = (text: string): BackupHeader | undefined => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // somebody else's frame
  }
  const { kind, name, createdAt, labels } = (value ?? {}) as Record<string, unknown>;
  if (kind !== KIND || typeof name !== "string" || typeof createdAt !== "string") return undefined;
  return isTexts(labels) ? { name, createdAt, labels } : undefined;
};

/** `body` goes on where the header ended; undefined for an archive that is no backup of naru's. */
export interface OpenedBackup {
  readonly header: BackupHeader | undefined;
  readonly body: AsyncIterable<Uint8Array>;
}

async function* joined(
  head: Uint8Array,
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  try {
    if (head.length > 0) yield head;
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) {
      yield next.value;
    }
  } finally {
    await rest.return?.();
  }
}

/** Throws invalid_argument for a header that is cut off or too long. */
export const openBackup = async (source: AsyncIterable<Uint8Array>): Promise<OpenedBackup> => {
  const iterator = source[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  const fill = async (bytes: number): Promise<boolean> => {
    while (head.length < bytes) {
      const next = await iterator.next();
      if (next.done === true) return false;
      head = Buffer.concat([head, next.value]);
    }
    return true;
  };
  const hasFrame = (await fill(FRAME_BYTES)) && head.readUInt32LE(0) === MAGIC;
  if (!hasFrame) return { header: undefined, body: joined(head, iterator) };
  const end = FRAME_BYTES + head.readUInt32LE(4);
  if (end > MAX_HEADER_BYTES || !(await fill(end))) {
    throw new NaruError("invalid_argument", "the backup is damaged: its header is cut off");
  }
  const header = parseHeader(head.subarray(FRAME_BYTES, end).toString("utf8"));
  return { header, body: joined(head.subarray(header === undefined ? 0 : end), iterator) };
};
