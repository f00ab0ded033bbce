/** GET /system/df. */
import type { Call } from "#api/docker/call.ts";
import { listBytes } from "#api/docker/container/list.ts";
import { shapeSummary } from "#api/docker/image/images.ts";
import { get, type Route } from "#api/docker/route.ts";
import { NaruError } from "#lib/errors.ts";

const KINDS = ["container", "image", "volume", "build-cache"];

const kindsOf = (call: Call): ReadonlySet<string> => {
  if (call.minor < 42 || !call.query.has("type")) return new Set(KINDS);
  const kinds = call.query.all("type");
  for (const kind of kinds) {
    if (!KINDS.includes(kind)) {
      throw new NaruError("invalid_argument", `unknown object type: ${kind}`);
    }
  }
  return new Set(kinds);
};

/** The parts are JSON texts: the list of containers comes as one. */
const diskUsage = async (call: Call): Promise<void> => {
  const { backend, minor } = call;
  const kinds = kindsOf(call);
  const parts: string[] = [];
  const add = (name: string, text: string): void => void parts.push(`"${name}":${text}`);
  if (kinds.has("image")) {
    const { layersBytes, images } = backend.images.usage();
    add("LayersSize", String(layersBytes));
    const summaries = images.map(({ summary, sharedBytes }) => ({
      ...shapeSummary(summary, minor),
      SharedSize: sharedBytes,
      Containers: summary.Containers,
    }));
    add("Images", JSON.stringify(summaries));
  }
  if (kinds.has("container")) {
    const records = backend.containers.list();
    const list = await listBytes(backend, records, { minor, hasSizes: true });
    add("Containers", list.toString());
  }
  if (kinds.has("volume")) add("Volumes", JSON.stringify(await backend.volumes.usage(call.signal)));
  if (kinds.has("build-cache")) {
    const cache = await backend.system.buildCache();
    add("BuildCache", JSON.stringify(cache));
    if (minor < 42) add("BuilderSize", String(cache.reduce((sum, { Size }) => sum + Size, 0)));
  }
  if (!kinds.has("image")) {
    add("LayersSize", "0");
    add("Images", "null");
  }
  if (!kinds.has("container")) add("Containers", "null");
  if (!kinds.has("volume")) add("Volumes", "null");
  if (!kinds.has("build-cache")) add("BuildCache", "null");
  call.jsonText(200, `{${parts.join(",")}}`);
};

export const diskUsageRoutes: readonly Route[] = [get("/system/df", diskUsage)];
