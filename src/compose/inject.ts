/** Secrets and configs that are written into a container before it starts. */
import type { StackOptions } from "#compose/compose.ts";
import type { FileUse } from "#compose/request/mounts.ts";
import { fileTarget, filesOf, isInjected } from "#compose/request/mounts.ts";
import type { Service } from "#spec/compose/compose.ts";
import { encodeTar } from "#compose/tar.ts";
import { NaruError } from "#lib/errors.ts";

const contentOf = async (use: FileUse, options: StackOptions): Promise<Uint8Array> => {
  const { object, kind, mount } = use;
  if (object.content !== undefined) return Buffer.from(object.content);
  if (object.environment !== undefined) {
    const value = options.project.environment[object.environment];
    if (value !== undefined) return Buffer.from(value);
    throw new NaruError(
      "failed_precondition",
      `the ${kind} "${mount.source}" comes from the variable "${object.environment}", which is not set`,
    );
  }
  return options.host.readFile(object.file ?? "");
};

const numeric = (text: string | undefined, what: string): number => {
  if (text === undefined) return 0;
  if (/^\d+$/.test(text)) return Number(text);
  throw new NaruError("invalid_argument", `"${text}" is no ${what}; write it as a number`);
};

/** What has to be written into the container: nothing for files that are mounted. */
export const injectFiles = async (
  containerId: string,
  name: string,
  service: Service,
  options: StackOptions,
): Promise<void> => {
  const uses = filesOf(service, options.project.model).filter(({ mount, object }) =>
    isInjected(mount, object),
  );
  if (uses.length === 0) return;
  if (service.read_only === true) {
    const names = uses.map(({ mount }) => `"${mount.source}"`).join(", ");
    throw new NaruError(
      "failed_precondition",
      `${names} cannot be written into the service "${name}", because it is read only; a secret or config of a "file" without uid, gid and mode can be mounted`,
    );
  }
  const files = await Promise.all(
    uses.map(async (use) => ({
      path: fileTarget(use.kind, use.mount).slice(1),
      bytes: await contentOf(use, options),
      mode: Number.parseInt(use.mount.mode ?? "0444", 8),
      uid: numeric(use.mount.uid, "uid"),
      gid: numeric(use.mount.gid, "gid"),
    })),
  );
  const archive = encodeTar(files);
  await options.client.call("archivePut", {
    id: containerId,
    query: { path: "/", copyUIDGID: true },
    headers: { "Content-Type": "application/x-tar" },
    body: (async function* body() {
      yield await Promise.resolve(archive);
    })(),
  });
};
