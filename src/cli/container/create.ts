import { AT_LEAST_ONE, defineCommand } from "#cli/framework/command.ts";
import { createContainer, prepareRequest, runFailure } from "#cli/container/create-container.ts";
import { containerFlags } from "#cli/run-options/flags.ts";
import type { CreateRequest } from "#spec/docker/container.ts";

export const command = defineCommand({
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  flags: containerFlags,
  args: AT_LEAST_ONE,
  isInterspersed: false,
  completes: "images",
  run: async (invocation) => {
    let request: CreateRequest;
    try {
      request = await prepareRequest(invocation);
    } catch (error) {
      throw runFailure("create", error);
    }
    invocation.context.output.line(await createContainer(invocation, request));
    return 0;
  },
});
