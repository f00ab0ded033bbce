/** `naru service install|uninstall|status`: the engine as a systemd unit with its socket. */
import { realpathSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { NaruError, toNaruError } from "#lib/errors.ts";
import { WITHOUT_COLLECTOR_TIMER } from "#lib/runtime-settings.ts";
import { createKernel } from "#kernel/real.ts";
import { DEFAULT_DATA_ROOT } from "#daemon/config.ts";
import { stopDaemon } from "#daemon/stop-daemon.ts";
import { SERVICE_UNIT, SOCKET_UNIT, systemctl } from "#daemon/systemd.ts";

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

/**
 * Pure. KillMode=process: stopping the engine leaves the containers running. The socket is systemd's
 * own, so clients wait rather than fail while the engine restarts. OOMPolicy=continue: a monitor that
 * the kernel kills for want of memory does not take the engine with it.
 */
export const serviceUnit = (binary: string): string => `[Unit]
Description=naru container engine
After=network-online.target nftables.service ${SOCKET_UNIT}
Wants=network-online.target
Requires=${SOCKET_UNIT}
StartLimitIntervalSec=60
StartLimitBurst=10

[Service]
Type=notify
NotifyAccess=main
Environment=${WITHOUT_COLLECTOR_TIMER.name}=${WITHOUT_COLLECTOR_TIMER.value}
ExecStart=${quoteWord(binary)} daemon --host fd://
ExecReload=/bin/kill -s HUP $MAINPID
TimeoutStartSec=infinity
KillMode=process
OOMPolicy=continue
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
Also=${SOCKET_UNIT}
`;

/** systemd.syntax(7): quoted where it has blanks; "%" and "$" stand for themselves doubled. */
const quoteWord = (word: string): string => {
  const plain = word.replaceAll("%", "%%").replaceAll("$", "$$$$");
  return /^[\w./%$+@:-]+$/.test(plain) ? plain : `"${plain.replace(/["\\]/g, "\\$&")}"`;
};

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

const ensureGroup = (): void => {
  const { exitCode, stderr } = Bun.spawnSync(["groupadd", "--system", "--force", "docker"]);
  if (exitCode !== 0) throw new NaruError("internal", `groupadd: ${stderr.toString().trim()}`);
};

/** The program systemd is to start. Run from source there is none. */
const ownBinary = (): string => {
  if (Bun.main.startsWith("/$bunfs/")) return realpathSync(process.execPath);
  throw new NaruError(
    "failed_precondition",
    "run from source there is no program to install: build it (npm run build) and use dist/naru",
  );
};

const install = async (): Promise<string> => {
  systemctl("--version");
  const binary = ownBinary();
  ensureGroup();
  // One that was started by hand has the socket and the data root; containers run on.
  await stopDaemon(createKernel(), DEFAULT_DATA_ROOT);
  writeFileSync(`${UNIT_DIRECTORY}/${SERVICE_UNIT}`, serviceUnit(binary));
  writeFileSync(`${UNIT_DIRECTORY}/${SOCKET_UNIT}`, socketUnit());
  systemctl("daemon-reload");
  systemctl("enable", "--now", SOCKET_UNIT, SERVICE_UNIT);
  return `${SERVICE_UNIT} is installed and runs\n`;
};

const uninstall = (): string => {
  systemctl("disable", "--now", SERVICE_UNIT, SOCKET_UNIT);
  for (const name of [SERVICE_UNIT, SOCKET_UNIT])
    rmSync(`${UNIT_DIRECTORY}/${name}`, { force: true });
  systemctl("daemon-reload");
  return `${SERVICE_UNIT} is removed; containers run on, data stays\n`;
};

/** What `naru service WORDS` asks for; whoever asks for help gets nothing but help. Throws invalid_argument. */
export const serviceVerb = (argv: readonly string[]): string => {
  const [command = "--help", ...more] = argv;
  if (argv.includes("--help") || argv.includes("-h")) return "--help";
  if (more.length > 0) {
    throw new NaruError(
      "invalid_argument",
      `unexpected argument "${more[0]}": 'naru service ${command}' takes none`,
    );
  }
  return command;
};

export const runService = async (argv: readonly string[]): Promise<number> => {
  try {
    const command = serviceVerb(argv);
    switch (command) {
      case "install":
        writeSync(STDOUT, await install());
        return 0;
      case "uninstall":
        writeSync(STDOUT, uninstall());
        return 0;
      case "status":
        systemctl("--version");
        return Bun.spawnSync(["systemctl", "status", SERVICE_UNIT], {
          stdio: ["inherit", "inherit", "inherit"],
        }).exitCode;
      default:
        writeSync(command === "--help" ? STDOUT : STDERR, HELP);
        return command === "--help" ? 0 : 1;
    }
  } catch (error) {
    writeSync(STDERR, `naru: ${toNaruError(error).message}\n`);
    return 1;
  }
};
