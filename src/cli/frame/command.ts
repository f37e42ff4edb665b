import { asCliFailure, CliFailure } from './cli-failure.ts';
import { type Clients, createClients } from './clients.ts';
import type { Context } from './context.ts';
import type { CheckLine, Document, Facts } from './document.ts';
import { exitCodeOf, type Outcome } from './exit-code.ts';
import type { PlaceFlags } from './flags.ts';
import { type FunctionConfiguration, readFunction, readIdentity, readStack, type Stack } from './stage.ts';
import { type Style, styleOf } from './style.ts';

/** What a command has done or found. */
export interface Result {
  readonly outcome?: Outcome;
  readonly facts?: Facts;
  readonly checks?: readonly CheckLine[];
  readonly next?: readonly string[];
  readonly dryRun?: boolean;
  /** For a person; with --json it is left out. */
  readonly text: readonly string[];
}

/** Where a command works, as far as it is known. */
export interface Place {
  account?: string;
  region?: string;
  issuerId?: string;
}

export interface Session {
  readonly clients: Clients;
  readonly flags: PlaceFlags;
  readonly style: Style;
  readonly place: Place;
  /** Said at once, to the standard error, and only to a person. */
  progress(text: string): void;
  /** Goes on when the person has typed what is wanted; only where both ends are terminals. */
  ask(question: string): Promise<string | undefined>;
}

/** A session that knows the stage: account, stack and function. */
export interface StageSession extends Session {
  readonly stack: Stack;
  readonly configuration: FunctionConfiguration;
}

/**
 * Runs a command and says what came of it: as text, or as the one JSON document; and by the exit code.
 *
 * @param name As in `d1-token NAME`.
 */
export async function runCommand(
  context: Context,
  name: string,
  flags: PlaceFlags,
  work: (session: Session) => Promise<Result>,
): Promise<void> {
  const { stdout, stderr, env } = context.process;
  const place: Place = {};
  const session: Session = {
    clients: createClients(flags),
    flags,
    style: styleOf(stdout, env),
    place,
    progress: (text) => {
      if (!flags.json) stderr.write(`${text}\n`);
    },
    ask: async (question) => {
      if (process.stdin.isTTY !== true || process.stderr.isTTY !== true || flags.json) return undefined;
      const { createInterface } = await import('node:readline/promises');
      const lines = createInterface({ input: process.stdin, output: process.stderr });
      try {
        return (await lines.question(question)).trim();
      } finally {
        lines.close();
      }
    },
  };
  const say = (result: Omit<Result, 'text'>, outcome: Outcome, error: CliFailure | undefined) => {
    const document: Document = {
      schema_version: 1,
      command: name,
      outcome,
      exit_code: exitCodeOf(outcome),
      stage: flags.stage ?? null,
      account: place.account ?? null,
      region: place.region ?? null,
      issuer_id: place.issuerId ?? null,
      dry_run: result.dryRun ?? false,
      facts: result.facts ?? {},
      checks: result.checks ?? [],
      next: result.next ?? [],
      error: error ? { code: error.code, what: error.what, remedy: error.remedy } : null,
    };
    stdout.write(`${JSON.stringify(document)}\n`);
  };
  try {
    const result = await work(session);
    const outcome = result.outcome ?? 'good';
    context.process.exitCode = exitCodeOf(outcome);
    if (flags.json) return say(result, outcome, undefined);
    for (const line of result.text) stdout.write(`${line}\n`);
    for (const line of result.next ?? []) stdout.write(`${session.style.bold('Next:')} ${line}\n`);
  } catch (thrown) {
    const error = thrown instanceof CliFailure ? thrown : asCliFailure(thrown, name);
    context.process.exitCode = exitCodeOf(error.outcome);
    if (flags.json) return say({}, error.outcome, error);
    stderr.write(`${styleOf(stderr, env).bad(`✗ ${error.code}`)} ${error.what}\n  ${error.remedy}\n`);
  }
}

/** Finds out where the session is. @throws CliFailure */
export async function openStage(session: Session): Promise<StageSession> {
  const { clients, flags, place } = session;
  const [identity, stack] = await Promise.all([readIdentity(clients), readStack(clients, flags.stage)]);
  place.account = identity.account;
  place.region = identity.region;
  const configuration = await readFunction(clients, stack);
  const issuerId = configuration.environment['D1_ISSUER_ID'];
  if (issuerId !== undefined) place.issuerId = issuerId;
  return { ...session, stack, configuration };
}
