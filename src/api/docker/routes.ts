/** The route table: every path of the Docker API that naru answers. The first match wins. */
import { attachRoutes } from "#api/docker/container/attach.ts";
import { buildRoutes } from "#api/docker/build/build.ts";
import { naruBuildRoutes } from "#api/docker/build/naru-build.ts";
import { buildKitRoutes } from "#api/docker/buildkit/routes.ts";
import { createRoutes } from "#api/docker/container/create.ts";
import { execRoutes } from "#api/docker/container/exec.ts";
import { fileRoutes } from "#api/docker/container/files.ts";
import { inspectRoutes } from "#api/docker/container/inspect.ts";
import { lifecycleRoutes } from "#api/docker/container/lifecycle.ts";
import { listRoutes } from "#api/docker/container/list.ts";
import { logRoutes } from "#api/docker/container/logs.ts";
import { statsRoutes } from "#api/docker/container/stats.ts";
import { waitRoutes } from "#api/docker/container/wait.ts";
import { imageRoutes } from "#api/docker/image/images.ts";
import { registryRoutes } from "#api/docker/image/registry.ts";
import { transferRoutes } from "#api/docker/image/transfer.ts";
import { portRoutes } from "#api/docker/network/ports.ts";
import { networkRoutes } from "#api/docker/network/networks.ts";
import type { Route } from "#api/docker/route.ts";
import { aboutRoutes } from "#api/docker/system/about.ts";
import { checkRoutes } from "#api/docker/system/check.ts";
import { diskUsageRoutes } from "#api/docker/system/disk-usage.ts";
import { eventRoutes } from "#api/docker/system/events.ts";
import { notSupportedRoutes } from "#api/docker/system/not-supported.ts";
import { pingRoutes } from "#api/docker/system/ping.ts";
import { trashRoutes } from "#api/docker/system/trash.ts";
import { volumeCopyRoutes } from "#api/docker/volume/copies.ts";
import { volumeRoutes } from "#api/docker/volume/volumes.ts";

export const routes: readonly Route[] = [
  ...pingRoutes,
  ...createRoutes,
  ...listRoutes,
  ...waitRoutes,
  ...attachRoutes,
  ...lifecycleRoutes,
  ...inspectRoutes,
  ...execRoutes,
  ...logRoutes,
  ...statsRoutes,
  ...fileRoutes,
  ...transferRoutes,
  ...registryRoutes,
  ...imageRoutes,
  ...buildRoutes,
  ...naruBuildRoutes,
  ...buildKitRoutes,
  ...networkRoutes,
  ...portRoutes,
  ...volumeRoutes,
  ...volumeCopyRoutes,
  ...aboutRoutes,
  ...eventRoutes,
  ...diskUsageRoutes,
  ...trashRoutes,
  ...checkRoutes,
  ...notSupportedRoutes,
];
