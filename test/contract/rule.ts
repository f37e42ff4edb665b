import { expect } from 'vitest';
import type { Aws } from './implementations.ts';

/** The AWS document that states a rule. */
export interface Source {
  readonly title: string;
  readonly url: string;
}

/** One AWS behaviour that the product, or a bank that deploys it, relies on. */
export interface Rule {
  /** Stable: the deviations refer to it. */
  readonly id: string;
  /** A sentence about AWS. */
  readonly statement: string;
  readonly source: Source;
  /** What the check starts. An implementation that can't have such a function is not asked. */
  readonly needs?: 'rotationFunctions' | 'echoFunction';
  /**
   * Makes what it needs, under names of its own, and rejects when `aws` doesn't do what the statement says: with a failed
   * expectation, or with the error that `aws` answered. Any other rejection says nothing about the rule.
   */
  check(aws: Aws): Promise<void>;
}

const documents = 'https://docs.aws.amazon.com';

/** `what` is the operation, and the member or section when it is not the description. */
export const kmsReference = (operation: string, what?: string): Source => ({
  title: `KMS API Reference, ${operation}${what ? `, ${what}` : ''}`,
  url: `${documents}/kms/latest/APIReference/API_${operation}.html`,
});

export const kmsGuide = (page: string, title: string): Source => ({
  title: `KMS Developer Guide, ${title}`,
  url: `${documents}/kms/latest/developerguide/${page}.html`,
});

export const secretsReference = (operation: string, what?: string): Source => ({
  title: `Secrets Manager API Reference, ${operation}${what ? `, ${what}` : ''}`,
  url: `${documents}/secretsmanager/latest/apireference/API_${operation}.html`,
});

export const secretsGuide = (page: string, title: string): Source => ({
  title: `Secrets Manager User Guide, ${title}`,
  url: `${documents}/secretsmanager/latest/userguide/${page}.html`,
});

export const lambdaReference = (operation: string, what?: string): Source => ({
  title: `Lambda API Reference, ${operation}${what ? `, ${what}` : ''}`,
  url: `${documents}/lambda/latest/api/API_${operation}.html`,
});

export const stsReference = (operation: string, what?: string): Source => ({
  title: `STS API Reference, ${operation}${what ? `, ${what}` : ''}`,
  url: `${documents}/STS/latest/APIReference/API_${operation}.html`,
});

interface Refusal extends Error {
  readonly $metadata: { readonly httpStatusCode: number };
}

/** Did a server answer this error? An unreachable server, a timeout and a mistake in a rule are something else. */
export function isAnswer(error: unknown): error is Refusal {
  if (!(error instanceof Error) || !('$metadata' in error)) return false;
  const metadata = error.$metadata;
  return typeof metadata === 'object' && metadata !== null && 'httpStatusCode' in metadata;
}

/** The error that a call is answered with. */
export async function refusalOf(call: Promise<unknown>): Promise<Refusal> {
  const error = await call.then(
    () => expect.fail('the call was accepted'),
    (reason: unknown) => reason,
  );
  if (!isAnswer(error)) throw error;
  return error;
}

/** The call must be refused with one of these errors. Their HTTP status is a matter of rules of its own. */
export async function expectRefusal(call: Promise<unknown>, ...names: readonly string[]): Promise<void> {
  const { name } = await refusalOf(call);
  expect(names).toContain(name);
}

/** The SDK puts a text of its own where an answer has no message. */
export function expectMessage({ message }: Error): void {
  expect(message).toMatch(/./);
  expect(message).not.toBe('UnknownError');
}
