import { Command, CommanderError, Option } from "commander";
import type { Context } from "./commands/context.ts";
import type { KillProcess } from "./daemon/end-processes.ts";
import { type ExitCode, exitCodes, Failure, type Problem, quoted } from "./failure.ts";
import { nearest } from "./nearest.ts";
import { referenceFormats } from "./settings/reference-formats.ts";

/** Parses the command line and performs it; returns its exit code, or throws a Failure. */
export const runCli = async (
  argv: readonly string[],
  context: Context & { readonly killProcess: KillProcess },
): Promise<ExitCode> => {
  let exitCode: ExitCode = exitCodes.ok;
  const program = buildProgram(context, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(argv, { from: "user" });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Help and version arrive here too, with exit code 0.
    if (error.exitCode === 0) return exitCodes.ok;
    throw new Failure([describeUsage(error, argv, program)], exitCodes.usage);
  }
};

/** commander puts a suggestion on a second line; and takes a word that is no command for an argument of `run`. */
const describeUsage = (error: CommanderError, argv: readonly string[], program: Command): Problem => {
  const commands = program.commands.map((command) => command.name());
  const words = argv.filter((word) => !word.startsWith("-"));
  const named = words[0] === "help" ? words[1] : words[0];
  if (named !== undefined && !commands.includes(named) && ambiguousCodes.has(error.code)) {
    return { message: `unknown command ${quoted(named)}`, hint: suggestion(nearest(named, commands)) };
  }
  const [message = "", meant] = error.message.replace(/^error: /, "").split("\n");
  return { message: printable(message), hint: suggestion(/Did you mean (\S+)\?/.exec(meant ?? "")?.[1]) };
};

/** What commander calls a word too many, and a `help` of what it does not know. */
const ambiguousCodes: ReadonlySet<string> = new Set(["commander.excessArguments", "commander.help"]);

const suggestion = (meant: string | undefined): string =>
  meant === undefined ? "vnf-ipsec --help shows the commands" : `did you mean ${meant}?`;

/** commander repeats the words of the user as they are. */
const printable = (message: string): string => message.slice(0, 400).replace(/\p{Cc}/gu, "?");

const buildProgram = (
  context: Context & { readonly killProcess: KillProcess },
  finish: (exitCode: ExitCode) => void,
): Command => {
  const program = new Command("vnf-ipsec")
    .description("Site-to-site IPsec VPN gateway: from environment variables to one end of a tunnel.")
    .version(context.version, "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .helpCommand("help [command]", "print help for a command")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.stdout.write(text),
      writeErr: (text) => context.stderr.write(text),
      outputError: () => {},
      getOutHasColors: () => context.stdout.hasColors,
      getErrHasColors: () => context.stderr.hasColors,
    })
    .addHelpText("after", examples);

  // Commands are imported when they are called, so that each start reads only what it needs.
  program
    .command("run", { isDefault: true })
    .description("check, render, prepare the host and run the gateway in the foreground (default)")
    .option("--with-init", "make the virtual interface too, and remove it at the end")
    .action(async (options) => finish(await (await import("./commands/run.ts")).run(context, options)));
  program
    .command("init")
    .description("load kernel modules and make the virtual interface with its addresses and routes, then end")
    .action(async () => finish(await (await import("./commands/init.ts")).init(context)));
  program
    .command("render")
    .description("print the files that run would write and the commands it would execute; touches nothing")
    .option("--show-secrets", "print secrets instead of ***")
    .option("--output-dir <directory>", "write the files below this directory instead")
    .option("--json", "print one JSON object")
    .action(async (options) => finish(await (await import("./commands/render.ts")).render(context, options)));
  program
    .command("check")
    .description("print every error and warning of the environment")
    .option("--json", "print one JSON object")
    .action(async (options) => finish(await (await import("./commands/check.ts")).check(context, options)));
  program
    .command("status")
    .description("print what the gateway that runs here knows: connections, traffic, failures")
    .option("--json", "print one JSON object")
    .option("--watch", "print it again every two seconds, until interrupted")
    .action(async (options) => finish(await (await import("./commands/status.ts")).status(context, options)));
  program
    .command("reload")
    .description(
      "have the gateway that runs here read its files again and follow what differs; print what came of it",
    )
    .option("--dry-run", "print what a reload would do, and change nothing")
    .option("--json", "print one JSON object")
    .addHelpText("after", reloadHelp)
    .action(async (options) => finish(await (await import("./commands/reload.ts")).reload(context, options)));
  program
    .command("healthcheck")
    .description("exit with 0 if a gateway runs here and does its work, with 1 if not")
    .option(
      "--ready",
      "ask for the tunnels too: each is up, or waits for its first packet and has not failed",
    )
    .action(async (options) =>
      finish(await (await import("./commands/healthcheck.ts")).healthcheck(context, options)),
    );
  program
    .command("doctor")
    .description(
      "find why a tunnel does not come up, or does not carry: check all that can be seen from here",
    )
    .option("--json", "print one JSON object")
    .option(
      "--rekey",
      "have charon change the keys of each tunnel now, which shows a mismatch in their groups",
    )
    .option("--target <address>", "measure the MTU to this address beyond the tunnel")
    .option("--bundle <file>", "write all that a helper asks for into a new file, without secrets")
    .action(async (options) => finish(await (await import("./commands/doctor.ts")).doctor(context, options)));
  program
    .command("variables")
    .description("print the reference of all variables")
    .addOption(
      new Option("--format <format>", "form of the reference")
        .choices([...referenceFormats])
        .default("table"),
    )
    .action(async (options) => finish((await import("./commands/variables.ts")).variables(context, options)));
  return program;
};

const reloadHelp = `
ENVFILE, IPSEC_CONFIG_FILE and the files of secrets are read again. The process environment is what the gateway was
started with; that of this command is not looked at.
`;

const examples = `
Examples:
  ENVFILE=moon.env vnf-ipsec check                             is this environment good?
  env $(cat moon.env) vnf-ipsec render                         what would it do?
  ENVFILE=moon.env vnf-ipsec run                               be the gateway
  vnf-ipsec reload --dry-run                                   what would a reload of the running gateway do?
  ENVFILE=moon.env vnf-ipsec doctor                            why does the tunnel not come up?
  ENVFILE=moon.env vnf-ipsec render --output-dir /tmp/moon     keep the files
  vnf-ipsec variables --format env > moon.env                  begin a new environment

Exit codes:
  0 success, 1 not healthy (healthcheck, doctor), 64 usage, 69 something needed is unavailable,
  70 the daemon will not stay up, 74 input or output, 77 permission, 78 the settings are wrong
`;
