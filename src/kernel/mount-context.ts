/**
 * fsopen(2), fsconfig(2), fsmount(2), move_mount(2): for option strings longer than the one page that
 * mount(2) reads. An overlay of a hundred layers needs it: each `lowerdir` entry is handed over on
 * its own as `lowerdir+` (Linux 6.8 and later).
 */
import { NaruError } from "#lib/errors.ts";
import type { MountFlag } from "#kernel/kernel.ts";
import { SYSCALL, checked, libc, systemCall } from "#kernel/libc.ts";
import { cString } from "#kernel/name-bytes.ts";

const CLOEXEC = 1; // FSOPEN_CLOEXEC, FSMOUNT_CLOEXEC
const SET_FLAG = 0;
const SET_STRING = 1;
const CMD_CREATE = 6;
const MOVE_MOUNT_F_EMPTY_PATH = 4;

/** MOUNT_ATTR_* of <linux/mount.h>. "silent" says nothing here; the others have no place. */
const ATTRIBUTES: Partial<Record<MountFlag, number>> = {
  ro: 1,
  nosuid: 2,
  nodev: 4,
  noexec: 8,
  noatime: 16,
  relatime: 0,
  silent: 0,
};

/** Splits at commas or colons that no backslash guards. The guards stay: overlay removes them. */
const splitUnescaped = (text: string, separator: string): string[] => {
  const parts: string[] = [];
  let part = "";
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? "";
    if (character === "\\") part += character + (text[++at] ?? "");
    else if (character === separator) {
      parts.push(part);
      part = "";
    } else part += character;
  }
  return [...parts, part];
};

const unescape = (text: string): string => text.replaceAll(/\\(.)/g, "$1");

/** The parameters of one mount, in order. Pure; exported for its test. */
export const parametersOf = (type: string, data: string): [key: string, value?: string][] => {
  const parameters: [string, string?][] = [];
  for (const option of splitUnescaped(data, ",")) {
    const equals = option.indexOf("=");
    if (equals === -1) {
      if (option !== "") parameters.push([option]);
      continue;
    }
    const key = option.slice(0, equals);
    const value = option.slice(equals + 1);
    if (type === "overlay" && key === "lowerdir") {
      // `lowerdir+` takes a path as it is: no separators, hence no guards.
      for (const layer of splitUnescaped(value, ":"))
        parameters.push(["lowerdir+", unescape(layer)]);
    } else parameters.push([key, unescape(value)]);
  }
  return parameters;
};

const attributesOf = (flags: readonly MountFlag[], target: string): number => {
  let attributes = 0;
  for (const flag of flags) {
    const attribute = ATTRIBUTES[flag];
    if (attribute === undefined) {
      throw new NaruError(
        "invalid_argument",
        `cannot mount on "${target}": the flag "${flag}" does not go with options this long`,
      );
    }
    attributes |= attribute;
  }
  return attributes;
};

const moveOnto = (mountFd: number, target: string): void => {
  try {
    // The target is absolute, so the second descriptor (0) is not looked at.
    const flags = MOVE_MOUNT_F_EMPTY_PATH;
    const result = systemCall(SYSCALL.moveMount, mountFd, cString(""), 0, cString(target), flags);
    checked(result, "move_mount", target);
  } finally {
    libc().close(mountFd);
  }
};

type Parameters = readonly (readonly [key: string, value?: string])[];

/** The descriptor of the new mount, which is attached nowhere yet. */
const mountOf = (
  source: string,
  type: string,
  attributes: number,
  parameters: Parameters,
  subject: string,
): number => {
  const context = checked(systemCall(SYSCALL.fsopen, cString(type), CLOEXEC), "fsopen", type);
  try {
    const set = (command: number, key: string | undefined, value?: string): void => {
      const result = systemCall(
        SYSCALL.fsconfig,
        context,
        command,
        key === undefined ? null : cString(key),
        value === undefined ? null : cString(value),
        0,
      );
      checked(result, "fsconfig", value === undefined ? subject : value);
    };
    if (source !== "") set(SET_STRING, "source", source);
    for (const [key, value] of parameters) {
      if (value === undefined) set(SET_FLAG, key);
      else set(SET_STRING, key, value);
    }
    set(CMD_CREATE, undefined);
    return checked(systemCall(SYSCALL.fsmount, context, CLOEXEC, attributes), "fsmount", subject);
  } finally {
    libc().close(context);
  }
};

export const mountByContext = (
  source: string,
  target: string,
  type: string,
  flags: readonly MountFlag[],
  data: string,
): void => {
  const attributes = attributesOf(flags, target);
  moveOnto(mountOf(source, type, attributes, parametersOf(type, data), target), target);
};

export const mountDetached = (source: string, type: string, options: Parameters): number =>
  mountOf(source, type, attributesOf(["ro"], source), [["ro"], ...options], source);
