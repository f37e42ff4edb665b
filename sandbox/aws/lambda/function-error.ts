import { InvocationFailed } from '../../lambda/container.ts';

/** What the invoker of a function that threw gets to see ("Lambda function errors in Node.js", Lambda Developer Guide). */
export function functionError(error: unknown): { errorType: string; errorMessage: string; trace: readonly string[] } {
  if (error instanceof InvocationFailed) return error.functionError;
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  return { errorType: name, errorMessage: message, trace: stack?.split('\n') ?? [] };
}
