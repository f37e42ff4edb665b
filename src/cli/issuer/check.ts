import type { IssuerState } from '../../fleet/issuer-state.ts';
import { aliasOf } from '../../fleet/lookup.ts';
import type { CheckStep } from '../../shared/check-report.ts';
import { asCliFailure, CliFailure } from '../frame/cli-failure.ts';
import { runCommand } from '../frame/command.ts';
import type { Context } from '../frame/context.ts';
import type { CheckLine, CheckOutcome, Facts } from '../frame/document.ts';
import type { Outcome } from '../frame/exit-code.ts';
import type { PlaceFlags } from '../frame/flags.ts';
import { invokeCheck } from '../frame/invoke.ts';
import type { Style } from '../frame/style.ts';
import { type Fleet, noSuchIssuer, openFleet } from './fleet.ts';
import { hasAlias, lookAtKey, lookAtSecret, type Presence } from './resources.ts';
import { complete } from './wanted.ts';

const SOON_DAYS = 30;
const ADD_AGAIN = 'Give d1-token issuer add again, with its fields: it makes what is missing.';

/** What a look at one thing came to. */
type Seen = Pick<CheckLine, 'outcome'> &
  Partial<Pick<CheckLine, 'facts' | 'error_code' | 'what' | 'remedy' | 'because'>>;

export async function checkIssuer(this: Context, flags: PlaceFlags, issuerId: string): Promise<void> {
  await runCommand(this, 'issuer check', flags, async (session) => {
    const fleet = await openFleet(session);
    const { index, secretPrefix, place, style } = fleet;
    place.issuerId = issuerId;
    const entry = await index.find(issuerId);
    const fields = complete(entry?.fields ?? { issuer_id: issuerId }, { stage: flags.stage, secretPrefix });
    const { signing_key_id = '', token_secret_id = '', client_certificate_secret_id = '' } = fields;
    const lines = await Promise.all([
      line('index', 'It is in the index', async () => (entry ? good({}) : failed(noSuchIssuer(issuerId)))),
      line('signing_key', 'Its signing key is there, enabled and of P-256', async () =>
        present(await lookAtKey(fleet, signing_key_id), 'SIGNING_FAILED', signing_key_id),
      ),
      line('token_secret', 'Its token secret is there', async () =>
        present(await lookAtSecret(fleet, token_secret_id), 'TOKEN_SECRET_MISSING', token_secret_id),
      ),
      line('client_certificate_secret', 'Its certificate secret is there', async () =>
        present(
          await lookAtSecret(fleet, client_certificate_secret_id),
          'CLIENT_CERTIFICATE_UNAVAILABLE',
          client_certificate_secret_id,
        ),
      ),
      line('alias', 'Callers can name it', async () =>
        present(
          (await hasAlias(fleet, issuerId)) ? 'there' : 'missing',
          'ALIAS_MISSING',
          `The alias ${aliasOf(issuerId)}`,
        ),
      ),
      line('state', 'Its last try went well', async () => (entry ? stateOf(entry.state) : waitsFor('index'))),
    ]);
    const missing = lines.find(({ check, outcome }) => ['index', 'alias'].includes(check) && outcome !== 'ok');
    const checks = [...lines, ...(await seenByTheFunction(fleet, issuerId, missing?.check))];
    return {
      outcome: outcomeOf(checks),
      checks,
      facts: { key_id: fields['key_id'] ?? null, environment: fields['environment'] ?? null, signing_key_id },
      text: checks.flatMap((one) => told(one, style)),
    };
  });
}

/** The function looks through the alias: nobody needs to read a private key for it. */
async function seenByTheFunction(fleet: Fleet, issuerId: string, because: string | undefined): Promise<CheckLine[]> {
  const { clients, tokenFunction, progress } = fleet;
  const steps = new Map<string, CheckStep>();
  const call = await line('check', 'The function answers to a check', async () => {
    if (because !== undefined) return waitsFor(because);
    const report = await invokeCheck(clients, `${tokenFunction}:${aliasOf(issuerId)}`, { exchange: false }, progress);
    for (const step of report.steps) steps.set(step.step, step);
    return good({});
  });
  const titles = {
    signing_key: 'The function can sign',
    client_certificate: 'The function can use the client certificate',
    connection: 'The function reaches D1',
    token_secret: 'The function can read the token secret',
  };
  const made = Object.entries(titles).map(([name, title]) => {
    const step = steps.get(name);
    return {
      ...lineOf(`check.${name}`, title, step ? seen(step) : waitsFor(because ?? 'check')),
      milliseconds: step?.milliseconds ?? 0,
    };
  });
  return [call, ...made];
}

function seen(step: CheckStep): Seen {
  if (step.outcome === 'not_checked') return waitsFor(`check.${step.because}`);
  if (step.outcome === 'failed')
    return { outcome: 'failed', facts: step.facts, error_code: step.error_code, what: step.what, remedy: step.remedy };
  const days = step.facts['days_left'];
  if (typeof days !== 'number' || days >= SOON_DAYS) return good(step.facts);
  return {
    outcome: 'attention',
    facts: step.facts,
    error_code: 'CERTIFICATE_EXPIRES_SOON',
    what: `The client certificate lives for ${days} days more.`,
    remedy:
      'Ask Thales for a new one, and put it into the secret: docs/runbook.md, section CLIENT_CERTIFICATE_INVALID.',
  };
}

function stateOf({ expiresAt, triedAt, failures, failedWith }: IssuerState): Seen {
  const left = Math.max(0, expiresAt - Math.floor(Date.now() / 1000));
  const facts = { seconds_left: left, failures, failed_with: failedWith ?? null };
  if (failures > 0) {
    return {
      outcome: 'failed',
      facts,
      error_code: failedWith ?? 'INTERNAL',
      what: `${failures} tries have failed in a row; its token has ${left} s left.`,
      remedy: `docs/runbook.md, section ${failedWith ?? 'INTERNAL'}; a change of its fields has it tried at once.`,
    };
  }
  if (triedAt > 0) return good(facts);
  return {
    outcome: 'attention',
    facts,
    error_code: 'NOT_TRIED_YET',
    what: 'It was not tried yet.',
    remedy: 'Wait a minute; if it lasts, look at the schedule of the stack.',
  };
}

function present(presence: Presence, code: string, what: string): Seen {
  if (presence === 'there') return good({ id: what });
  if (presence === 'missing')
    return { outcome: 'failed', error_code: code, what: `${what} is not there.`, remedy: ADD_AGAIN };
  return { outcome: 'failed', error_code: code, what: `${what} ${presence.why}.`, remedy: presence.remedy };
}

const good = (facts: Facts): Seen => ({ outcome: 'ok', facts });
const waitsFor = (because: string): Seen => ({ outcome: 'not_checked', because });

function failed({ outcome, code, what, remedy }: CliFailure): Seen {
  const found: CheckOutcome = outcome === 'usage' ? 'failed' : outcome;
  return { outcome: found, error_code: code, what, remedy };
}

async function line(check: string, title: string, look: () => Promise<Seen>): Promise<CheckLine> {
  const began = performance.now();
  const found = await look().catch((error: unknown) =>
    failed(error instanceof CliFailure ? error : asCliFailure(error, check)),
  );
  return { ...lineOf(check, title, found), milliseconds: Math.round(performance.now() - began) };
}

const lineOf = (check: string, title: string, found: Seen): CheckLine => ({
  check,
  title,
  milliseconds: 0,
  facts: {},
  error_code: null,
  what: null,
  remedy: null,
  because: null,
  ...found,
});

/** What is broken counts before what could not be seen, and that before what can wait. */
const outcomeOf = (lines: readonly CheckLine[]): Outcome =>
  (['failed', 'no_access', 'unknown', 'attention'] as const).find((outcome) =>
    lines.some((one) => one.outcome === outcome),
  ) ?? 'good';

function told({ title, outcome, facts, error_code, what, remedy, because }: CheckLine, style: Style): string[] {
  if (outcome === 'not_checked') return [`- ${style.dim(`${title}: not checked, see ${because}`)}`];
  const days = facts['days_left'];
  if (outcome === 'ok') return [`${style.good('✓')} ${title}${days === undefined ? '' : `, for ${days} days more`}`];
  const mark = outcome === 'failed' ? style.bad('✗') : style.warn(outcome === 'attention' ? '!' : '?');
  return [`${mark} ${title}`, `    ${error_code}: ${what}`, `    ${remedy}`];
}
