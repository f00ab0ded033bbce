import { ANY, defineCommand } from "#cli/framework/command.ts";
import { NaruError } from "#lib/errors.ts";

export const command = defineCommand({
  usage: "REPOSITORY[:TAG]",
  description: "Not there: projects are not published as artifacts of a registry.",
  flags: {},
  args: ANY,
  isInterspersed: false,
  run: () =>
    Promise.reject(
      new NaruError(
        "not_implemented",
        'projects are not published as artifacts of a registry: push the images with "naru compose push", ' +
          'and hand the file of "naru compose config" on',
      ),
    ),
});
