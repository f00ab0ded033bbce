/**
 * The runtime's own modules where they are seldom needed and there is no waiting for a promise. They are parsed anew by
 * each process that loads them: node:fs takes a millisecond, node:crypto six. What needs them always imports them; what
 * can wait uses `await import`.
 */
import type crypto from "node:crypto";
import type fs from "node:fs";

export const lateFs = (): typeof fs => process.getBuiltinModule("node:fs");

export const lateCrypto = (): typeof crypto => process.getBuiltinModule("node:crypto");
