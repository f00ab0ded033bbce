import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { defineCommand, upTo } from "#cli/framework/command.ts";
import { bool } from "#cli/framework/flags.ts";
import { detect } from "#cli/init/detect.ts";
import { composeFile, dockerignore } from "#cli/init/files.ts";
import { NaruError } from "#lib/errors.ts";

export const command = defineCommand({
  usage: "[OPTIONS] [FOLDER]",
  description:
    "Looks at the project in a folder (Node, Python, Go, Java, PHP or static pages) and writes a " +
    "Dockerfile, a .dockerignore and a compose.yaml for it. Files that are there already are left alone.",
  examples: ["naru init", "naru init && naru compose up --watch"],
  flags: {
    "dry-run": bool("Print the files instead of writing them"),
    force: bool("Overwrite files that are there", "f"),
  },
  args: upTo(1),
  run: ({ context, flags, args }) => {
    const folder = args[0] ?? ".";
    if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
      throw new NaruError("not_found", `there is no folder "${folder}"`);
    }
    const path = (name: string): string => `${folder}/${name}`;
    const recipe = detect({
      names: readdirSync(folder),
      read: (name) =>
        statSync(path(name), { throwIfNoEntry: false })?.isFile() === true
          ? readFileSync(path(name), "utf8")
          : undefined,
    });
    if (recipe === undefined) {
      throw new NaruError(
        "failed_precondition",
        `nothing in "${folder}" says what kind of project it is: looked for package.json, requirements.txt, pyproject.toml, go.mod, pom.xml, build.gradle, composer.json, index.php and index.html`,
      );
    }
    const files = {
      Dockerfile: recipe.dockerfile,
      ".dockerignore": dockerignore(recipe),
      "compose.yaml": composeFile(recipe, recipe.port === 80 ? 8080 : recipe.port),
    };
    const { output } = context;
    output.line(`A ${recipe.kind} project, by its ${recipe.reason}.`);
    for (const [name, text] of Object.entries(files)) {
      if (flags["dry-run"]) output.print(`\n# ${name}\n${text}`);
      else if (existsSync(path(name)) && !flags.force) output.line(`kept     ${path(name)}`);
      else {
        writeFileSync(path(name), text);
        output.line(`written  ${path(name)}`);
      }
    }
    if (!flags["dry-run"]) output.line("Bring it up with 'naru compose up'.");
    return Promise.resolve(0);
  },
});
