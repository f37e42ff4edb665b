import { AwsError } from './aws-error.ts';
import { Input } from './input.ts';
import { functionError } from './lambda/function-error.ts';
import { functionNameIn } from './lambda/function-name.ts';
import { idleSleep, type Sleep, tryAgainAfter } from './retries.ts';

/** A function: it takes an event, and answers or throws. */
export type LambdaFunction = (event: unknown) => Promise<unknown>;

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

/** The part of AWS Lambda that runs a function ("Invoke", Lambda API Reference). Every function has one version, $LATEST. */
export class Lambda {
  readonly #options: LambdaOptions;

  constructor(options: LambdaOptions) {
    this.#options = options;
  }

  /** The function that a name, an ARN or a partial ARN means; undefined when there is none. */
  find(functionName: string): LambdaFunction | undefined {
    const name = functionNameIn(functionName, this.#options);
    return name !== undefined && Object.hasOwn(this.#options.functions, name)
      ? this.#options.functions[name]
      : undefined;
  }

  /** Invoke, GetFunctionConfiguration and GetPolicy: its protocol knows no other. The logs of an invocation (LogType) are not given. */
  async handle(operation: string, fields: Record<string, unknown>): Promise<Record<string, unknown>> {
    const { configuration } = this.#options;
    if (operation === 'GetFunctionConfiguration' && configuration) return configuration(String(fields['FunctionName']));
    if (operation === 'GetPolicy') {
      const Policy = this.#options.policy?.();
      if (Policy === undefined) throw new AwsError('ResourceNotFoundException', 'The resource has no policy.', 404);
      return { Policy };
    }
    const input = new Input(fields, 'InvalidParameterValueException');
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

  #named(input: Input): LambdaFunction {
    const functionName = input.string('FunctionName', { min: 1, max: 170 });
    const qualifier = input.optionalString('Qualifier', { min: 1, max: 128 }) ?? '$LATEST';
    const run = qualifier === '$LATEST' ? this.find(functionName) : undefined;
    if (run) return run;
    const { region, accountId } = this.#options;
    const name = functionNameIn(functionName, this.#options);
    const missing = name ? `arn:aws:lambda:${region}:${accountId}:function:${name}` : 'not of this account and Region';
    throw new AwsError('ResourceNotFoundException', `Function not found: ${missing}`, 404);
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
