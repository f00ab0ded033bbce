import { defineCommand, ONE } from "#cli/framework/command.ts";
import { usageError } from "#cli/framework/errors.ts";
import { bashScript, fishScript, zshScript } from "#cli/completion/scripts.ts";

const SCRIPTS: Readonly<Record<string, string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

export const command = defineCommand({
  usage: "SHELL",
  description: "Writes the completion script for bash, zsh or fish to standard output.",
  examples: [
    "naru completion bash > /etc/bash_completion.d/naru",
    'naru completion zsh > "${fpath[1]}/_naru"',
    "naru completion fish > ~/.config/fish/completions/naru.fish",
  ],
  flags: {},
  args: ONE,
  completes: Object.keys(SCRIPTS),
  run: async ({ context, args }) => {
    const [shell = ""] = args;
    const script = SCRIPTS[shell];
    if (script === undefined) {
      throw usageError(`"${shell}" is not a shell with completion here: use bash, zsh or fish`);
    }
    context.output.print(script);
    return 0;
  },
});
