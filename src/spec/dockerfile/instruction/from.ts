/** FROM. */
import type { FromInstruction } from "#spec/dockerfile/dockerfile.ts";
import { Complaint } from "#spec/dockerfile/error.ts";
import { FlagSet } from "#spec/dockerfile/flags.ts";
import type { Request } from "#spec/dockerfile/instruction/request.ts";
import { splitAtBlanks } from "#spec/dockerfile/words.ts";

const STAGE_NAME = /^[a-z][a-z0-9-_.]*$/;

export const readFrom = (request: Request): FromInstruction => {
  const [base, asKeyword, as, ...others] = splitAtBlanks(request.rest);
  const isNamed = asKeyword?.text.toLowerCase() === "as" && as !== undefined;
  if (base === undefined || others.length > 0 || (asKeyword !== undefined && !isNamed)) {
    throw new Complaint("FROM requires either one or three arguments");
  }
  if (as !== undefined && !STAGE_NAME.test(as.text.toLowerCase())) {
    throw new Complaint(
      `invalid name for build stage: ${JSON.stringify(as.text)}, name can't start with a number or contain symbols`,
      as.range,
    );
  }
  const flags = new FlagSet(request.common.flags, { platform: "text" });
  return {
    ...request.common,
    name: "FROM",
    base: base.word(),
    asKeyword: asKeyword?.word(),
    as: as?.word(),
    platform: flags.text("platform"),
  };
};
