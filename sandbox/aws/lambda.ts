import { AwsError } from './aws-error.ts';
import { Input } from './input.ts';
import { FunctionAliases } from './lambda/aliases.ts';
import { functionError } from './lambda/function-error.ts';
import { functionNamed } from './lambda/function-name.ts';
import { idleSleep, type Sleep, tryAgainAfter } from './retries.ts';

/** A function: it takes an event, and answers or throws. The alias that was invoked is in the ARN. */
export type LambdaFunction = (event: unknown, invokedFunctionArn: string) => Promise<unknown>;
type Invocation = (event: unknown) => Promise<unknown>;

export interface LambdaOptions {
  readonly region: string;
  /** Twelve digits. */
  readonly accountId: string;
  /** By name. */
  readonly functions: Readonly<Record<string, LambdaFunction>>;
  /** What GetFunctionConfiguration answers. */
  readonly configuration?: ((functionName: string) => Record<string, unknown>) | undefined;
  /** What GetPolicy answers. */
  readonly policy?: (() => string | undefined) | undefined;
  /** Waits before an asynchronous event is tried again. */
  readonly sleep?: Sleep;
}

/** "Lambda quotas", invocation payload; "Invoke", Lambda API Reference: 6 MB synchronous, 1 MB asynchronous. */
const maximumPayloadBytes = { RequestResponse: 6 * 1024 * 1024, Event: 1024 * 1024, DryRun: 6 * 1024 * 1024 } as const;
const invocationTypes = ['RequestResponse', 'Event', 'DryRun'] as const;
/** "How Lambda handles errors and retries with asynchronous invocation", Lambda Developer Guide: one minute, then two. */
const asynchronousRetryDelays = [60_000, 120_000] as const;

/** The part of AWS Lambda that runs a function ("Invoke", Lambda API Reference). Every function has one version, $LATEST, and aliases of it. */
export class Lambda {
  readonly #options: LambdaOptions;
  readonly #aliases = new FunctionAliases();

  constructor(options: LambdaOptions) {
    this.#options = options;
  }

  /** The function that a name, an ARN or a partial ARN means; undefined when there is none. */
  find(functionName: string): Invocation | undefined {
    const { name, qualifier } = functionNamed(functionName, this.#options) ?? {};
    if (name === undefined || qualifier === undefined || !Object.hasOwn(this.#options.functions, name))
      return undefined;
    const run = this.#options.functions[name];
    if (!run || (qualifier !== '$LATEST' && !this.#aliases.has(name, qualifier))) return undefined;
    const arn = this.#arn(name);
    return (event) => run(event, qualifier === '$LATEST' ? arn : `${arn}:${qualifier}`);
  }

  /** Invoke, GetFunctionConfiguration, GetPolicy and what is about aliases. The logs of an invocation (LogType) are not given. */
  async handle(operation: string, fields: Record<string, unknown>): Promise<Record<string, unknown>> {
    const { configuration } = this.#options;
    if (operation === 'GetFunctionConfiguration' && configuration) return configuration(String(fields['FunctionName']));
    if (operation === 'GetPolicy') {
      const Policy = this.#options.policy?.();
      if (Policy === undefined) throw new AwsError('ResourceNotFoundException', 'The resource has no policy.', 404);
      return { Policy };
    }
    const input = new Input(fields, 'InvalidParameterValueException');
    const named = functionNamed(String(fields['FunctionName']), this.#options)?.name ?? '';
    if (Object.hasOwn(this.#options.functions, named)) {
      const answer = this.#aliases.handle(operation, input, named, this.#arn(named));
      if (answer) return answer;
    }
    const payload = String(fields['Payload'] ?? '');
    const type = input.optionalOneOf('InvocationType', invocationTypes) ?? 'RequestResponse';
    const run = this.#named(input);
    if (Buffer.byteLength(payload) > maximumPayloadBytes[type]) {
      const limit = maximumPayloadBytes[type];
      throw new AwsError('RequestTooLargeException', `Request must be smaller than ${limit} bytes for Invoke.`, 413);
    }
    const event = parsed(payload);
    if (type === 'DryRun') return { StatusCode: 204 };
    if (type === 'Event') {
      void tryAgainAfter(asynchronousRetryDelays, this.#options.sleep ?? idleSleep, () => run(event));
      return { StatusCode: 202 };
    }
    const answered = { StatusCode: 200, ExecutedVersion: '$LATEST' };
    try {
      return { ...answered, Payload: JSON.stringify((await run(event)) ?? null) };
    } catch (error) {
      return { ...answered, FunctionError: 'Unhandled', Payload: JSON.stringify(functionError(error)) };
    }
  }

  #named(input: Input): Invocation {
    const functionName = input.string('FunctionName', { min: 1, max: 170 });
    const qualifier = input.optionalString('Qualifier', { min: 1, max: 128 }) ?? '$LATEST';
    const run = this.find(qualifier === '$LATEST' ? functionName : `${functionName}:${qualifier}`);
    if (run) return run;
    const { name } = functionNamed(functionName, this.#options) ?? {};
    const missing = name ? this.#arn(name) : 'not of this account and Region';
    throw new AwsError('ResourceNotFoundException', `Function not found: ${missing}`, 404);
  }

  #arn(name: string): string {
    const { region, accountId } = this.#options;
    return `arn:aws:lambda:${region}:${accountId}:function:${name}`;
  }
}

/** An empty body is an event too: `{}`. */
function parsed(payload: string): unknown {
  try {
    return payload === '' ? {} : JSON.parse(payload);
  } catch {
    // The parser's error quotes what it choked on.
    throw new AwsError('InvalidRequestContentException', 'Could not parse request body into json.');
  }
}
