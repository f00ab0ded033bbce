/** docker compose 2 as the peer of naru compose. */
import { existsSync } from "node:fs";

const PLUGINS = "usr/libexec/docker/cli-plugins/docker-compose";

const PLACES = [
  process.env["E2E_COMPOSE"] ?? "",
  `/var/tmp/naru-peers/compose/${PLUGINS}`,
  `/var/tmp/naru-peers/sid/${PLUGINS}`,
  `/${PLUGINS}`,
  "/usr/local/lib/docker/cli-plugins/docker-compose",
];

/** The plugin's binary; undefined when it is not there. */
export const dockerComposeBinary = PLACES.find((path) => path !== "" && existsSync(path));
