/** `--device`, and every device of the host for --privileged. */
import { readdirSync, statSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";
import type { DeviceMapping, HostConfig } from "#spec/docker/host-config.ts";
import type { RuntimeDevice, RuntimeDeviceRule } from "#spec/runtime/config.ts";

const S_IFMT = 0o170000;
const S_IFCHR = 0o020000;
const S_IFBLK = 0o060000;

/** Linux dev_t as node:fs gives it (makedev(3)). */
const majorOf = (dev: number): number => (dev >>> 8) & 0xfff;
const minorOf = (dev: number): number => (dev & 0xff) | ((dev >>> 12) & 0xfff00);

const deviceAt = (hostPath: string, path: string): RuntimeDevice | undefined => {
  const stat = statSync(hostPath, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  const kind = stat.mode & S_IFMT;
  if (kind !== S_IFCHR && kind !== S_IFBLK) return undefined;
  return {
    path,
    type: kind === S_IFCHR ? "c" : "b",
    major: majorOf(stat.rdev),
    minor: minorOf(stat.rdev),
    fileMode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
  };
};

export const deviceNumberOf = (path: string): { major: number; minor: number } => {
  const device = deviceAt(path, path);
  if (device === undefined)
    throw new NaruError("invalid_argument", `"${path}" is not a device on this host`);
  return { major: device.major, minor: device.minor };
};

/** Paths below /dev that the runtime makes itself, or that are not single devices. */
const SKIPPED = new Set(["pts", "shm", "fd", "mqueue", "console", ".lxc", ".lxd-mounts", ".udev"]);

const walk = (directory: string): RuntimeDevice[] =>
  readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = `${directory}/${entry.name}`;
    if (directory === "/dev" && SKIPPED.has(entry.name)) return [];
    if (entry.isDirectory()) return walk(path);
    if (entry.isSymbolicLink()) return [];
    return deviceAt(path, path) ?? [];
  });

const mapped = (mapping: DeviceMapping): RuntimeDevice[] => {
  const target = mapping.PathInContainer || mapping.PathOnHost;
  const stat = statSync(mapping.PathOnHost, { throwIfNoEntry: false });
  if (stat === undefined) {
    throw new NaruError(
      "invalid_argument",
      `error gathering device information while adding custom device "${mapping.PathOnHost}": no such file or directory`,
    );
  }
  if (stat.isDirectory()) {
    return walk(mapping.PathOnHost).map((device) => ({
      ...device,
      path: target + device.path.slice(mapping.PathOnHost.length),
    }));
  }
  const device = deviceAt(mapping.PathOnHost, target);
  if (device === undefined) {
    throw new NaruError(
      "invalid_argument",
      `error gathering device information while adding custom device "${mapping.PathOnHost}": not a device node`,
    );
  }
  return [device];
};

export const runtimeDevices = (
  host: HostConfig,
): { devices: RuntimeDevice[]; rules: RuntimeDeviceRule[] } => {
  if (host.Privileged) return { devices: walk("/dev"), rules: [] };
  const devices: RuntimeDevice[] = [];
  const rules: RuntimeDeviceRule[] = [];
  for (const mapping of host.Devices ?? []) {
    const access = mapping.CgroupPermissions || "rwm";
    if (!/^[rwm]{1,3}$/.test(access)) {
      throw new NaruError(
        "invalid_argument",
        `invalid device mode "${access}" of "${mapping.PathOnHost}"`,
      );
    }
    for (const device of mapped(mapping)) {
      devices.push(device);
      rules.push({
        allow: true,
        type: device.type === "b" ? "b" : "c",
        major: device.major,
        minor: device.minor,
        access,
      });
    }
  }
  return { devices, rules };
};
