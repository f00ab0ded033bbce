/** Volumes copied, written to archives and read from them: see `Volumes.clone`, `export`, `import`, `restore`. */
import { randomHex } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import { failpoint } from "#lib/failpoint.ts";
import { encodeBackupHeader, openBackup } from "#volume/backup-format.ts";
import { copyTree, flushTree, packTree, unpackTree } from "#volume/copies.ts";
import type { CopyParts } from "#volume/rename.ts";
import {
  ANONYMOUS_LABEL,
  type CopyRequest,
  type ExportOptions,
  type VolumeRecord,
} from "#volume/volume.ts";

/** The volume's tree, mounted for as long as `work` goes on when it has mount options. */
const withTree = async <T>(
  { store, hostMounts }: CopyParts,
  record: VolumeRecord,
  work: (path: string) => Promise<T>,
): Promise<T> => {
  const borrower = `copy-${randomHex(8)}`;
  // A user keeps the volume from being removed under our hands.
  store.use(record.name, borrower);
  try {
    await hostMounts.activate(record, borrower);
    return await work(store.mountpoint(record.name));
  } finally {
    hostMounts.release(borrower);
    store.unuse(record.name, borrower);
  }
};

/** Copies the tree as it is at one moment, as far as containers write to it. */
const copyStill = async (
  parts: CopyParts,
  record: VolumeRecord,
  to: string,
  options: { readonly isPaused: boolean; readonly signal?: AbortSignal },
): Promise<void> => {
  const copy = (): Promise<void> =>
    withTree(parts, record, async (path) => {
      failpoint("volume-copy.after-pause");
      await copyTree(path, to, options.signal);
      failpoint("volume-copy.after-copy");
    });
  const users = parts.store.usersOf(record.name);
  await (options.isPaused ? parts.users.whilePaused(users, copy) : copy());
};

const labelsOf = (
  labels: Readonly<Record<string, string>>,
): { readonly Labels: Record<string, string> } => {
  const { [ANONYMOUS_LABEL]: _anonymous, ...rest } = labels;
  return { Labels: rest };
};

export const cloneVolume = async (
  parts: CopyParts,
  name: string,
  request: CopyRequest,
  options: { readonly isPaused: boolean; readonly signal?: AbortSignal },
): Promise<VolumeRecord> => {
  const { store } = parts;
  const record = store.get(name);
  store.checkName(request.Name);
  store.assertFree(request.Name);
  // What is mounted in the original's place stays with it; a limit is the directory's own.
  const size = record.options["size"];
  const DriverOpts = size === undefined ? {} : { size };
  using ingest = store.ingest(DriverOpts);
  await copyStill(parts, record, ingest.directory, options);
  await flushTree(ingest.directory);
  store.assertFree(request.Name);
  const labels = labelsOf(request.Labels ?? record.labels);
  return store.create({ Name: request.Name, DriverOpts, ...labels }, ingest.directory);
};

async function* chunksOf(
  parts: CopyParts,
  record: VolumeRecord,
  options: ExportOptions,
): AsyncGenerator<Uint8Array, void> {
  const { name, createdAt, labels } = record;
  const { format, signal } = options;
  const isCompressed = format !== "tar";
  if (format === "backup") yield encodeBackupHeader({ name, createdAt, labels });
  const pack = (path: string, isQuiet: boolean): AsyncIterable<Uint8Array> =>
    packTree(path, { isCompressed, isQuiet, ...(signal === undefined ? {} : { signal }) });
  const isUsed = parts.store.usersOf(name).length > 0;
  if (isUsed && options.isPaused) {
    // The client may be slow: containers stand still for a copy on this disk, not for the way to the client.
    using ingest = parts.store.ingest();
    await copyStill(parts, record, ingest.directory, options);
    yield* pack(ingest.directory, true);
    return;
  }
  const borrower = `export-${randomHex(8)}`;
  parts.store.use(name, borrower);
  try {
    await parts.hostMounts.activate(record, borrower);
    yield* pack(parts.store.mountpoint(name), false);
  } finally {
    parts.hostMounts.release(borrower);
    parts.store.unuse(name, borrower);
  }
}

export const exportVolume = async (
  parts: CopyParts,
  name: string,
  options: ExportOptions,
): Promise<AsyncIterable<Uint8Array>> => chunksOf(parts, parts.store.get(name), options);

export const importVolume = async (
  parts: CopyParts,
  name: string,
  tar: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<void> => {
  const record = parts.store.get(name);
  const running = parts.store.usersOf(name).filter((id) => parts.users.isRunning(id));
  if (running.length > 0) {
    throw new NaruError(
      "conflict",
      `import ${name}: containers run on the volume - [${running.join(", ")}]: stop them first`,
      { details: { users: running } },
    );
  }
  const { body } = await openBackup(tar);
  await withTree(parts, record, (path) => unpackTree(parts.kernel, path, body, signal));
};

export const restoreVolume = async (
  parts: CopyParts,
  givenName: string | undefined,
  archive: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<VolumeRecord> => {
  const { store, kernel } = parts;
  const { header, body } = await openBackup(archive);
  const name = givenName ?? header?.name;
  if (name === undefined) {
    throw new NaruError(
      "invalid_argument",
      "the archive is no backup made by naru, so it has no name: name the volume",
    );
  }
  store.checkName(name);
  store.assertFree(name);
  using ingest = store.ingest();
  await unpackTree(kernel, ingest.directory, body, signal);
  await flushTree(ingest.directory);
  store.assertFree(name);
  return store.create({ Name: name, ...labelsOf(header?.labels ?? {}) }, ingest.directory);
};
