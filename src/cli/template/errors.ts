/** Failures of templates, in Go's words, so that people find what they search for. */
import { NaruError } from "#lib/errors.ts";

export const templateError = (line: number, reason: string): NaruError =>
  new NaruError(
    "invalid_argument",
    `template parsing error: template: :${String(line)}: ${reason}`,
    {
      details: { isTemplate: true },
    },
  );

export const executionError = (at: string, reason: string): NaruError =>
  new NaruError(
    "invalid_argument",
    `template parsing error: template: :1: executing "" at <${at}>: ${reason}`,
    { details: { isTemplate: true } },
  );
