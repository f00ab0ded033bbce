/** `naru daemon --serve-images ADDR`: the engine's own images, for other machines to pull. Read-only. */
import { type Listener } from "#daemon/listener.ts";
import { listenRegistry } from "#daemon/registry/listen.ts";
import { createDistributionServer } from "#api/distribution/api.ts";
import { DEFAULT_PATIENCE } from "#api/distribution/patience.ts";
import type { HttpServer } from "#api/http/server.ts";
import type { Images } from "#image/image.ts";
import { fileSender } from "#kernel/send-file.ts";
import type { Logger } from "#lib/log.ts";
import { type Access, ANONYMOUS } from "#registry/access/access.ts";
import { createEngineRegistry } from "#registry/engine/engine-registry.ts";

const CONNECTIONS_LIMIT = 256;

/** Whoever reaches the address may pull: nothing else is there to be allowed. */
const PULL_ONLY: Access = {
  identify: () => ANONYMOUS,
  mayDo: (_, { action }) => action === "pull" || action === "catalog",
  mustIdentify: false,
  challenge: undefined,
};

export interface ServedImages {
  readonly server: HttpServer;
  readonly listener: Listener;
}

export interface ServeImagesOptions {
  readonly addr: string;
  /** The daemon's own certificate, where it has one. */
  readonly tls: { readonly certPath: string; readonly keyPath: string } | undefined;
  readonly images: Images;
  readonly log: Logger;
}

export const serveImages = async (options: ServeImagesOptions): Promise<ServedImages> => {
  const log = options.log.with({ room: "serve-images" });
  const server = createDistributionServer({
    registry: createEngineRegistry(options.images),
    access: PULL_ONLY,
    observer: { event: () => undefined, request: () => undefined },
    patience: DEFAULT_PATIENCE,
    fileSender,
    extras: new Map(),
    logger: log,
  });
  const listener = await listenRegistry(
    options.addr,
    options.tls,
    (socket) => {
      if (server.connectionCount < CONNECTIONS_LIMIT) server.onConnection(socket);
      else socket.destroy();
    },
    log,
  );
  log.info("other machines can pull this engine's images", { address: listener.address });
  return { server, listener };
};
