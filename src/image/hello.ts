/** naru/hello: the one image that needs neither registry nor archive, assembled from the host's busybox. */
import { type Busybox, findBusybox } from "#image/busybox.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import { HELLO_COMMAND, HELLO_DIRECTORIES, HELLO_FILES } from "#image/hello-files.ts";
import { registerImage } from "#image/register.ts";
import { type TarEntry, plainEntry } from "#lib/tar/entry.ts";
import { TAR_END, tarHeader, tarPadding } from "#lib/tar/writer.ts";
import type { ImageConfig } from "#spec/image/config.ts";
import type { Digest } from "#spec/image/digest.ts";
import { OCI_LAYER } from "#spec/image/media-type.ts";
import { HOST_PLATFORM } from "#spec/image/platform.ts";
import {
  DEFAULT_TAG,
  type Reference,
  parseAnyReference,
  repositoryOf,
} from "#spec/image/reference.ts";

const REPOSITORY = "docker.io/naru/hello";
/** A fixed instant: the same busybox gives the same image, whenever it is made. */
const CREATED_AT = "2026-01-01T00:00:00Z";

/** "naru/hello", "naru/hello:latest", and their longer spellings. */
export const isHello = (name: string): boolean => {
  let reference: Reference;
  try {
    const any = parseAnyReference(name);
    if (any.kind === "id") return false;
    reference = any.reference;
  } catch {
    return false; // Not a name at all: whoever needs it will say so better.
  }
  return (
    repositoryOf(reference) === REPOSITORY &&
    reference.digest === undefined &&
    (reference.tag ?? DEFAULT_TAG) === DEFAULT_TAG
  );
};

const entry = (
  type: TarEntry["type"],
  name: string,
  mode: number,
  size = 0,
  linkName = "",
): Uint8Array =>
  tarHeader(
    plainEntry(name, {
      type,
      linkName,
      mode,
      size,
      mtime: { seconds: Date.parse(CREATED_AT) / 1000, nanoseconds: 0 },
    }),
  );

/** The layer's tar; pure. */
export const helloLayer = ({ bytes, applets }: Busybox): Uint8Array => {
  const file = (path: string, mode: number, content: Uint8Array): Uint8Array[] => [
    entry("file", path, mode, content.length),
    content,
    tarPadding(content.length),
  ];
  return Buffer.concat([
    ...HELLO_DIRECTORIES.map(([path, mode]) => entry("directory", path, mode)),
    ...file("bin/busybox", 0o755, bytes),
    ...applets
      .filter((path) => path !== "bin/busybox")
      .map((path) => entry("symlink", path, 0o777, 0, "/bin/busybox")),
    ...HELLO_FILES.flatMap(({ path, mode, text }) => file(path, mode, Buffer.from(text))),
    TAR_END,
  ]);
};

const configOf = (diffId: Digest): ImageConfig => ({
  created: CREATED_AT,
  architecture: HOST_PLATFORM.architecture,
  ...(HOST_PLATFORM.variant === undefined ? {} : { variant: HOST_PLATFORM.variant }),
  os: HOST_PLATFORM.os,
  config: {
    Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    Cmd: [HELLO_COMMAND],
    WorkingDir: "/",
    ExposedPorts: { "80/tcp": {} },
    Labels: {
      "org.opencontainers.image.title": "naru/hello",
      "org.opencontainers.image.description":
        "A small web server and a shell, made on this machine",
    },
  },
  rootfs: { type: "layers", diff_ids: [diffId] },
  history: [{ created: CREATED_AT, created_by: "assembled from the host's static busybox" }],
});

/**
 * Makes the image and names it naru/hello:latest. The same host always gives the same id. Throws
 * failed_precondition with the remedy where there is no static busybox.
 */
export const createHello = async (
  dependencies: ImageDependencies,
  candidates?: readonly string[],
): Promise<Digest> => {
  const { content, layers, leases } = dependencies;
  const busybox = await findBusybox(candidates);
  const layer = helloLayer(busybox);
  const { digest: diffId, sizeBytes, path } = content.write(layer);
  using _lease = leases.acquire([
    { kind: "blob", resource: diffId },
    { kind: "layer", resource: diffId },
  ]);
  const unpacked = await layers.unpack({ parent: undefined, source: { path }, diffId });
  return registerImage(
    dependencies,
    {
      configText: JSON.stringify(configOf(diffId)),
      layers: [
        {
          diffId,
          sizeBytes: unpacked.sizeBytes,
          blobs: [{ digest: diffId, mediaType: OCI_LAYER, sizeBytes }],
        },
      ],
    },
    [`${REPOSITORY}:${DEFAULT_TAG}`],
  );
};
