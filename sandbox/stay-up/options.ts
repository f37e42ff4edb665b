import { parseArgs } from 'node:util';
import { parseFaultRule } from '../faults/parse-rule.ts';
import type { FaultRule } from '../faults/rule.ts';

export const usage = `npm run sandbox -- [OPTIONS]

  The broker, AWS (KMS, Secrets Manager, Lambda, STS) and Thales D1 on this machine, until Ctrl-C.

  --token-lifetime SECONDS  how long an access token of D1 lives: 1-86400, 900 unless told
  --logs                    show the function's log lines and metrics
  --port PORT               AWS on this port, D1 and the faults on the next two: 1-65533, free ones unless told
  --fault RULE              a fault, as often as you like; docs/reliability.md has the rules:
                              --fault 'd1.banking/issuers unauthorized nth=1'   D1 answers 401 once
                              --fault 'kms.Sign throttle nth=2-4'
  --help                    this text

  While it runs, POST adds a rule and DELETE ends all of them:
    curl -d 'd1.banking/issuers unauthorized nth=1' "$SANDBOX_FAULTS_URL"
    curl -X DELETE "$SANDBOX_FAULTS_URL"`;

export interface StayUpOptions {
  readonly faults: readonly FaultRule[];
  readonly tokenLifetimeSeconds: number;
  readonly logs: boolean;
  /** Of AWS; D1 and the faults have the next two. Undefined: any that are free. */
  readonly port: number | undefined;
}

/** What was typed cannot be understood; the message is a sentence about it. */
export class UsageError extends Error {}

/**
 * Reads the command line; `help` when that is what it asks for.
 *
 * @throws UsageError
 */
export function readOptions(args: readonly string[]): StayUpOptions | 'help' {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        fault: { type: 'string', multiple: true, default: [] },
        'token-lifetime': { type: 'string', default: '900' },
        logs: { type: 'boolean', default: false },
        port: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) return 'help';
    return {
      faults: values.fault.map(parseFaultRule),
      tokenLifetimeSeconds: wholeNumber('--token-lifetime', values['token-lifetime'], 86_400),
      logs: values.logs,
      port: values.port === undefined ? undefined : wholeNumber('--port', values.port, 65_533),
    };
  } catch (error) {
    // What Node says after its first sentence is about positional arguments, which there are none of.
    const [sentence = ''] = error instanceof Error ? error.message.split(/(?<=\.) To specify|\. This command/) : [];
    throw new UsageError(sentence.replace(/\.?$/, '.'));
  }
}

function wholeNumber(option: string, text: string, most: number): number {
  const number = /^[1-9]\d{0,8}$/.test(text) ? Number(text) : Number.NaN;
  if (number <= most) return number;
  throw new UsageError(`${option} must be a whole number from 1 to ${most}`);
}
