/** `naru service install|uninstall|status`: the engine as a systemd unit with its socket. */
import { existsSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { realpathSync } from "node:fs";
import { NaruError, toNaruError } from "#lib/errors.ts";

const UNIT_DIRECTORY = "/etc/systemd/system";
const STDOUT = 1;
const STDERR = 2;

const HELP = `Usage:  naru service COMMAND

Run the engine as a systemd service.

Commands:
  install     Write naru.service and naru.socket, enable and start them
  uninstall   Stop and disable the service and remove its units (data stays)
  status      Show the service's state
`;

/** Pure: the units' texts. KillMode=process: stopping the engine leaves the containers running. */
export const serviceUnit = (binary: string): string => `[Unit]
Description=naru container engine
Documentation=man:systemd.service(5)
After=network-online.target nftables.service
Wants=network-online.target
Requires=naru.socket

[Service]
Type=notify
NotifyAccess=all
ExecStart=${binary} daemon
ExecReload=/bin/kill -s HUP $MAINPID
KillMode=process
Delegate=yes
Restart=always
RestartSec=1
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
OOMScoreAdjust=-500

[Install]
WantedBy=multi-user.target
Also=naru.socket
`;

export const socketUnit = (): string => `[Unit]
Description=naru container engine, API socket

[Socket]
ListenStream=/run/naru/naru.sock
SocketMode=0660
SocketUser=root
SocketGroup=docker
RemoveOnStop=no

[Install]
WantedBy=sockets.target
`;

const systemctl = (...args: string[]): void => {
  if (!existsSync("/run/systemd/system")) {
    throw new NaruError(
      "failed_precondition",
      "this machine does not run systemd: start 'naru daemon' with your own service manager",
    );
  }
  const { exitCode, stderr } = Bun.spawnSync(["systemctl", ...args]);
  if (exitCode !== 0)
    throw new NaruError("internal", `systemctl ${args.join(" ")}: ${stderr.toString().trim()}`);
};

const ensureGroup = (): void => {
  const { exitCode, stderr } = Bun.spawnSync(["groupadd", "--system", "--force", "docker"]);
  if (exitCode !== 0) throw new NaruError("internal", `groupadd: ${stderr.toString().trim()}`);
};

const install = (): string => {
  systemctl("--version");
  ensureGroup();
  writeFileSync(`${UNIT_DIRECTORY}/naru.service`, serviceUnit(realpathSync(process.execPath)));
  writeFileSync(`${UNIT_DIRECTORY}/naru.socket`, socketUnit());
  systemctl("daemon-reload");
  systemctl("enable", "--now", "naru.socket", "naru.service");
  return "naru.service is installed and runs\n";
};

const uninstall = (): string => {
  systemctl("disable", "--now", "naru.service", "naru.socket");
  for (const name of ["naru.service", "naru.socket"])
    rmSync(`${UNIT_DIRECTORY}/${name}`, { force: true });
  systemctl("daemon-reload");
  return "naru.service is removed; containers run on, data stays\n";
};

export const runService = async (argv: readonly string[]): Promise<number> => {
  try {
    switch (argv[0]) {
      case "install":
        writeSync(STDOUT, install());
        return 0;
      case "uninstall":
        writeSync(STDOUT, uninstall());
        return 0;
      case "status":
        return Bun.spawnSync(["systemctl", "status", "naru.service"], {
          stdio: ["inherit", "inherit", "inherit"],
        }).exitCode;
      default:
        writeSync(argv[0] === undefined || argv[0] === "--help" ? STDOUT : STDERR, HELP);
        return argv[0] === "--help" ? 0 : 1;
    }
  } catch (error) {
    writeSync(STDERR, `naru: ${toNaruError(error).message}\n`);
    return 1;
  }
};
