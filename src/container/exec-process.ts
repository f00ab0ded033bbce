/** The OCI process of an exec: the container's, with what the request says of it. */
import type { LiveRecord } from "#container/container.ts";
import { capabilitiesOf } from "#container/capabilities.ts";
import type { Engine } from "#container/engine.ts";
import {
  mergeEnv,
  processCapabilities,
  processEnv,
  processOomScoreAdj,
} from "#container/runtime-config/process.ts";
import { liveRootOf } from "#container/root.ts";
import { rlimitsOf } from "#container/rlimits.ts";
import { parseSecurityOptions } from "#container/security.ts";
import { userOf } from "#container/start-config.ts";
import type { ExecCreateRequest } from "#spec/docker/container.ts";
import type { RuntimeProcess } from "#spec/runtime/config.ts";

export const execProcessOf = (
  engine: Engine,
  record: LiveRecord,
  request: ExecCreateRequest,
  consoleSize: [number, number] | undefined,
): RuntimeProcess => {
  const { config, hostConfig } = record;
  const user = userOf(engine, record, liveRootOf(engine, record), request.User || config.User);
  const isTty = request.Tty ?? false;
  const capabilities = capabilitiesOf(
    engine.deps.facts,
    hostConfig,
    hostConfig.Privileged || request.Privileged === true,
  );
  const rlimits = rlimitsOf(engine.deps.kernel, hostConfig);
  const process: RuntimeProcess = {
    terminal: isTty,
    user: { uid: user.uid, gid: user.gid, additionalGids: [...user.additionalGids] },
    args: request.Cmd ?? [],
    env: processEnv({
      env: mergeEnv(config.Env, request.Env ?? []),
      hostname: config.Hostname,
      isTty,
      home: user.home,
    }),
    cwd: request.WorkingDir || config.WorkingDir || "/",
    capabilities: processCapabilities(capabilities, user.uid === 0),
    noNewPrivileges: parseSecurityOptions(hostConfig.SecurityOpt, hostConfig.Privileged)
      .isNoNewPrivileges,
  };
  if (rlimits.length > 0) process.rlimits = rlimits;
  const oomScoreAdj = processOomScoreAdj(hostConfig.OomScoreAdj, engine.deps.facts.oomScoreAdj);
  if (oomScoreAdj !== undefined) process.oomScoreAdj = oomScoreAdj;
  const [height, width] = consoleSize ?? request.ConsoleSize ?? [0, 0];
  if (isTty && height > 0 && width > 0) process.consoleSize = { height, width };
  return process;
};
