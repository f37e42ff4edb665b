import { awsFailure } from '../../shared/aws-failure.ts';
import { parseJson } from '../../shared/json.ts';
import { parseTokenRecord } from '../../shared/token-record.ts';
import { mayChange } from '../frame/change.ts';
import { asCliFailure, failure } from '../frame/cli-failure.ts';
import { openStage, runCommand } from '../frame/command.ts';
import type { Context } from '../frame/context.ts';
import type { Fact, Facts } from '../frame/document.ts';
import type { ChangeFlags, PlaceFlags } from '../frame/flags.ts';
import { invoke } from '../frame/invoke.ts';
import { output } from '../frame/stage.ts';

/** What a tick answers: src/events.ts, which these commands do not import. */
interface Refreshed {
  readonly refreshed: boolean;
  readonly reason: string;
  readonly expires_at: number;
}

export async function refreshToken(this: Context, flags: ChangeFlags): Promise<void> {
  await runCommand(this, 'token refresh', flags, async (session) => {
    const stage = await openStage(session);
    const dry = await mayChange(stage, flags, 'The function looks at the token, and refreshes it when it is due.');
    if (dry) return dry;
    const answer = (await invoke(stage.clients, stage.configuration.name, { action: 'refresh' })) as Refreshed;
    const { refreshed, reason, expires_at } = answer;
    const left = Math.max(0, Math.round(expires_at - Date.now() / 1000));
    return {
      facts: { refreshed, reason, expires_at, seconds_left: left },
      text: [`${refreshed ? 'Refreshed' : 'Nothing to do'} (${reason}); the stored token lives for ${left} s more.`],
    };
  });
}

/** Claims whose value is a moment (RFC 7519, section 4.1). */
const times = ['exp', 'iat', 'nbf'] as const;

export async function inspectToken(this: Context, flags: PlaceFlags): Promise<void> {
  await runCommand(this, 'token inspect', flags, async (session) => {
    const { clients, stack } = await openStage(session);
    const SecretId = output(stack, 'TokenSecretArn');
    const value = await (await clients.secretsManager()).getSecretValue({ SecretId }).catch((error: unknown) => {
      if (awsFailure(error).name === 'ResourceNotFoundException') {
        throw failure(
          'TOKEN_SECRET_MISSING',
          'The token secret holds no token.',
          'd1-token token refresh, or d1-token doctor.',
        );
      }
      throw asCliFailure(error, 'secretsmanager:GetSecretValue');
    });
    const parsed = parseTokenRecord(value.SecretString ?? '');
    if ('why' in parsed) {
      throw failure(
        'TOKEN_SECRET_FOREIGN',
        `The token secret holds no token record: ${parsed.why}.`,
        'docs/runbook.md, section TOKEN_SECRET_FOREIGN.',
      );
    }
    const { access_token: token, ...record } = parsed.record;
    const now = Date.now() / 1000;
    const { header, claims } = readJwt(token);
    const moments = times.filter((name) => typeof claims[name] === 'number');
    const left = Math.round(record.expires_at - now);
    return {
      facts: {
        issuer_id: record.issuer_id,
        key_id: record.key_id,
        expires_at: record.expires_at,
        obtained_at: record.obtained_at,
        seconds_left: left,
        scope: record.scope ?? null,
        correlation_id: record.correlation_id,
        header,
        claims,
      },
      text: [
        `Issuer ${record.issuer_id}, kid ${record.key_id}, obtained ${inWords(record.obtained_at, now)}, correlation id ${record.correlation_id}.`,
        `By the record it ${left > 0 ? 'dies' : 'died'} ${inWords(record.expires_at, now)}.`,
        `Header: ${JSON.stringify(header)}`,
        `Claims: ${JSON.stringify(claims)}`,
        ...moments.map((name) => `  ${name}: ${inWords(Number(claims[name]), now)}`),
        'The token itself is never printed.',
      ],
    };
  });
}

/** Header and claims of a token in the compact form; nothing of one in another form. The signature stays unread. */
function readJwt(token: string): { header: Facts; claims: Facts } {
  const parts = token.split('.');
  const part = (index: number): Facts => {
    const value = parts.length === 3 ? parseJson(Buffer.from(parts[index] ?? '', 'base64url').toString()) : undefined;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return {};
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, harmless(one)]));
  };
  return { header: part(0), claims: part(1) };
}

/** A claim could hold a token in its turn. */
const harmless = (value: unknown): Fact => {
  const text = JSON.stringify(value) ?? '';
  return text.length > 200 || /eyJ[\w-]+\./.test(text) ? '(not shown: it is long)' : (value as Fact);
};

/** A moment, seconds since 1970 UTC, beside now. */
export function inWords(seconds: number, now: number): string {
  const ago = Math.round(now - seconds);
  const at = new Date(seconds * 1000).toISOString();
  return ago >= 0 ? `${ago} s ago (${at})` : `in ${-ago} s (${at})`;
}
