import { InvokeCommand, type InvokeCommandInput } from '@aws-sdk/client-lambda';
import { expect } from 'vitest';
import type { Aws } from '../implementations.ts';
import { expectMessage, lambdaReference, type Rule, refusalOf } from '../rule.ts';

const megabyte = 1024 * 1024;

const invoke = ({ lambda, echoFunction }: Aws, payload: string, more: Partial<InvokeCommandInput> = {}) =>
  lambda.send(new InvokeCommand({ FunctionName: echoFunction, Payload: Buffer.from(payload), ...more }));

const textOf = ({ Payload }: { readonly Payload?: Uint8Array }) => Buffer.from(Payload ?? []).toString();

/** JSON of so many bytes. */
const payloadOf = (bytes: number) => `"${'x'.repeat(bytes - 2)}"`;

async function expectTooLarge(call: Promise<unknown>): Promise<void> {
  const { name, $metadata } = await refusalOf(call);
  expect([name, $metadata.httpStatusCode]).toEqual(['RequestTooLargeException', 413]);
}

export const invokeRules: readonly Rule[] = [
  {
    id: 'invoke-answer',
    statement: 'Invoke answers 200 with what the function answers, and with the version that ran.',
    source: lambdaReference('Invoke', 'Response Elements'),
    needs: 'echoFunction',
    async check(aws) {
      const answer = await invoke(aws, '{"text": "é €"}');
      expect(answer).toMatchObject({ StatusCode: 200, ExecutedVersion: '$LATEST' });
      expect(answer.FunctionError).toBeUndefined();
      expect(JSON.parse(textOf(answer))).toEqual({ text: 'é €' });
    },
  },
  {
    id: 'invoke-function-error',
    statement: 'An error of the function is no error of Invoke: 200, FunctionError, and the error as the payload.',
    source: lambdaReference('Invoke', 'FunctionError'),
    needs: 'echoFunction',
    async check(aws) {
      const answer = await invoke(aws, '{"fail": "it cannot be done"}');
      expect(answer).toMatchObject({ StatusCode: 200, FunctionError: expect.stringMatching(/^(Unh|H)andled$/) });
      expect(JSON.parse(textOf(answer))).toMatchObject({ errorType: 'NotDone', errorMessage: 'it cannot be done' });
    },
  },
  {
    id: 'invoke-by-arn',
    statement: 'A function is found by its name, its partial ARN and its ARN, each with or without its version.',
    source: lambdaReference('Invoke', 'FunctionName'),
    needs: 'echoFunction',
    async check(aws) {
      const account = /:(\d{12}):/.exec(aws.rotationFunctions?.idle ?? '')?.[1];
      const partial = `${account}:function:${aws.echoFunction}`;
      const names = [aws.echoFunction, partial, `arn:aws:lambda:eu-west-1:${partial}`];
      for (const FunctionName of names.flatMap((name) => [name, `${name}:$LATEST`])) {
        expect(textOf(await invoke(aws, '7', { FunctionName }))).toBe('7');
      }
    },
  },
  {
    id: 'invoke-event',
    statement: 'With InvocationType Event the answer is 202, without a payload.',
    source: lambdaReference('Invoke', 'InvocationType'),
    needs: 'echoFunction',
    async check(aws) {
      const answer = await invoke(aws, '{}', { InvocationType: 'Event' });
      expect([answer.StatusCode, textOf(answer)]).toEqual([202, '']);
    },
  },
  {
    id: 'invoke-dry-run',
    statement: 'With InvocationType DryRun nothing runs, and the answer is 204.',
    source: lambdaReference('Invoke', 'StatusCode'),
    needs: 'echoFunction',
    async check(aws) {
      const answer = await invoke(aws, '{"fail": "it ran"}', { InvocationType: 'DryRun' });
      expect([answer.StatusCode, answer.FunctionError, textOf(answer)]).toEqual([204, undefined, '']);
    },
  },
  {
    id: 'invoke-missing-function',
    statement: 'A function that does not exist is refused with ResourceNotFoundException: HTTP 404, and a message.',
    source: lambdaReference('Invoke', 'Errors'),
    async check(aws) {
      const error = await refusalOf(invoke(aws, '{}', { FunctionName: 'no-such-function' }));
      expect([error.name, error.$metadata.httpStatusCode]).toEqual(['ResourceNotFoundException', 404]);
      expectMessage(error);
    },
  },
  {
    id: 'invoke-missing-version',
    statement: 'A version that does not exist is refused with ResourceNotFoundException.',
    source: lambdaReference('Invoke', 'Qualifier'),
    needs: 'echoFunction',
    async check(aws) {
      const error = await refusalOf(invoke(aws, '{}', { Qualifier: '7' }));
      expect([error.name, error.$metadata.httpStatusCode]).toEqual(['ResourceNotFoundException', 404]);
    },
  },
  {
    id: 'invoke-not-json',
    statement: 'A payload that is not JSON is refused with InvalidRequestContentException: HTTP 400.',
    source: lambdaReference('Invoke', 'Errors'),
    needs: 'echoFunction',
    async check(aws) {
      const error = await refusalOf(invoke(aws, '{"cut'));
      expect([error.name, error.$metadata.httpStatusCode]).toEqual(['InvalidRequestContentException', 400]);
    },
  },
  {
    id: 'invoke-6-mb',
    statement: 'A synchronous payload may have 6 MB; a larger one is refused with RequestTooLargeException, HTTP 413.',
    source: lambdaReference('Invoke', 'Description'),
    needs: 'echoFunction',
    async check(aws) {
      expect((await invoke(aws, payloadOf(5 * megabyte))).FunctionError).toBeUndefined();
      await expectTooLarge(invoke(aws, payloadOf(6 * megabyte + 1)));
    },
  },
  {
    id: 'invoke-event-1-mb',
    statement:
      'An asynchronous payload may have 1 MB; a larger one is refused with RequestTooLargeException, HTTP 413.',
    source: lambdaReference('Invoke', 'Description'),
    needs: 'echoFunction',
    async check(aws) {
      const event = { InvocationType: 'Event' } as const;
      expect((await invoke(aws, payloadOf(megabyte), event)).StatusCode).toBe(202);
      await expectTooLarge(invoke(aws, payloadOf(megabyte + 1), event));
    },
  },
];
