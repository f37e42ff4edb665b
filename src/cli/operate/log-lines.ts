import { parseJson } from '../../shared/json.ts';
import { asCliFailure } from '../frame/cli-failure.ts';
import type { Clients } from '../frame/clients.ts';
import { logGroupOf } from '../frame/stage.ts';
import type { Style } from '../frame/style.ts';

/** A line that the broker wrote. */
export interface LogLine {
  readonly id: string;
  /** Milliseconds since 1970 UTC. */
  readonly at: number;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** The broker's own lines since then, oldest first. Metrics, and what Lambda writes, are left out. */
export async function readLog(clients: Clients, stage: string, since: number): Promise<LogLine[]> {
  const logs = await clients.logs();
  const lines: LogLine[] = [];
  let nextToken: string | undefined;
  do {
    const page = await logs
      .filterLogEvents({
        logGroupName: logGroupOf(stage),
        startTime: since,
        ...(nextToken !== undefined && { nextToken }),
      })
      .catch((error: unknown) => {
        throw asCliFailure(error, 'logs:FilterLogEvents');
      });
    for (const { message = '', timestamp = 0, eventId = '' } of page.events ?? []) {
      const fields = parseJson(message);
      if (typeof fields === 'object' && fields !== null && 'level' in fields) {
        lines.push({ id: eventId, at: timestamp, fields: { ...fields } });
      }
    }
    nextToken = page.nextToken;
  } while (nextToken !== undefined);
  return lines.toSorted((one, other) => one.at - other.at);
}

/** A line as a person reads it. */
export function told({ at, fields }: LogLine, style: Style): string {
  const text = (name: string) => (fields[name] === undefined ? '' : String(fields[name]));
  const isBad = text('level') === 'ERROR' || text('level') === 'CRITICAL';
  const mark = isBad ? style.bad('✗') : text('level') === 'WARN' ? style.warn('!') : style.good('✓');
  const detail =
    isBad || text('level') === 'WARN' ? ` ${text('error_code')}: ${text('message')}` : ` ${text('message')}`;
  const more = [
    text('seconds_left') && `${text('seconds_left')} s left`,
    text('duration_milliseconds') && `${text('duration_milliseconds')} ms`,
    text('correlation_id'),
  ].filter(Boolean);
  const line = `${new Date(at).toISOString()} ${mark}${detail} ${style.dim(more.join(', '))}`.trimEnd();
  return isBad && text('remedy') !== '' ? `${line}\n    ${text('remedy')}` : line;
}
