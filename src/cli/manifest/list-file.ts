/** Manifest lists while they are put together: one file each in the user's configuration folder. */
import { mkdirSync, rmSync } from "node:fs";
import type { CliContext } from "#cli/context.ts";
import { writeFileAtomic } from "#lib/atomic-file.ts";
import { NaruError } from "#lib/errors.ts";
import type { IndexEntryBody } from "#spec/docker/image.ts";
import { familiarString, parseReference, withDefaultTag } from "#spec/image/reference.ts";

/** "app" and "docker.io/library/app:latest" are the same list. */
export const listName = (text: string): string =>
  familiarString(withDefaultTag(parseReference(text)));

const folderOf = (context: CliContext): string => `${context.configFolder}/naru-manifests`;
const pathOf = (context: CliContext, name: string): string =>
  `${folderOf(context)}/${encodeURIComponent(name)}.json`;

/** undefined when there is none. */
export const readList = async (
  context: CliContext,
  name: string,
): Promise<readonly IndexEntryBody[] | undefined> => {
  const file = Bun.file(pathOf(context, name));
  if (!(await file.exists())) return undefined;
  return (await file.json()) as IndexEntryBody[];
};

export const knownList = async (
  context: CliContext,
  name: string,
): Promise<readonly IndexEntryBody[]> => {
  const list = await readList(context, name);
  if (list !== undefined) return list;
  throw new NaruError("not_found", `No such manifest: ${name}: make it with 'manifest create'`);
};

export const writeList = (
  context: CliContext,
  name: string,
  entries: readonly IndexEntryBody[],
): void => {
  mkdirSync(folderOf(context), { recursive: true, mode: 0o700 });
  writeFileAtomic(pathOf(context, name), `${JSON.stringify(entries, undefined, 2)}\n`);
};

export const removeList = (context: CliContext, name: string): void =>
  rmSync(pathOf(context, name), { force: true });
