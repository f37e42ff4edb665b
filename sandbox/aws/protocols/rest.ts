import { AwsError } from '../aws-error.ts';
import type { Protocol } from './protocol.ts';

const lambdaPath = /^\/2015-03-31\/functions\//;
const shownPath = /^\/2015-03-31\/functions\/([^/]+)\/(configuration|policy)$/;
const schedulePath = /^\/schedules\/([^/]+)$/;
const aliasesPath = /^\/2015-03-31\/functions\/([^/]+)\/aliases(?:\/([^/]+))?$/;
const invocationsPath = /^\/2015-03-31\/functions\/([^/]+)\/invocations$/;

/**
 * Lambda and Scheduler: "AWS restJson1 protocol" (Smithy specification). The function's name is in the path, its event is the body. An
 * error's type is in the header X-Amzn-ErrorType.
 */
export const rest: Protocol = {
  speaks: ({ url }) => lambdaPath.test(url.pathname) || schedulePath.test(url.pathname),
  /** More than any payload may have, so that Invoke itself says which limit was passed. */
  maximumBodyBytes: 16 * 1024 * 1024,
  read({ method, url, headers }, body) {
    const schedule = schedulePath.exec(url.pathname)?.[1];
    if (method === 'GET' && schedule !== undefined) {
      const input = { Name: decoded(schedule), GroupName: url.searchParams.get('groupName') ?? 'default' };
      return { service: 'scheduler', operation: 'GetSchedule', input };
    }
    const [, shown, what] = shownPath.exec(url.pathname) ?? [];
    if (method === 'GET' && shown !== undefined) {
      const operation = what === 'policy' ? 'GetPolicy' : 'GetFunctionConfiguration';
      return { service: 'lambda', operation, input: { FunctionName: decoded(shown) } };
    }
    const [, ofFunction, alias] = aliasesPath.exec(url.pathname) ?? [];
    if (ofFunction !== undefined) {
      const operation = aliasOperations[`${method} ${alias === undefined ? 'all' : 'one'}`];
      if (operation === undefined)
        throw new AwsError('UnknownOperationException', 'Nothing is done so to aliases.', 404);
      const named = { FunctionName: decoded(ofFunction), ...(alias !== undefined && { Name: decoded(alias) }) };
      return { service: 'lambda', operation, input: { ...parsedObject(body), ...named } };
    }
    const name = invocationsPath.exec(url.pathname)?.[1];
    if (method !== 'POST' || name === undefined) {
      throw new AwsError(
        'UnknownOperationException',
        "The sandbox's Lambda invokes, shows a function's configuration and policy, and keeps aliases.",
        404,
      );
    }
    const input: Record<string, unknown> = { FunctionName: decoded(name) };
    const type = headers['x-amz-invocation-type'];
    if (type !== undefined) input['InvocationType'] = type;
    const qualifier = url.searchParams.get('Qualifier');
    if (qualifier !== null) input['Qualifier'] = qualifier;
    return { service: 'lambda', operation: 'Invoke', input: { ...input, Payload: body } };
  },
  write({ status, body, errorType }, call) {
    if (errorType !== undefined) {
      const { message, ...more } = body;
      return {
        headers: { 'content-type': 'application/json', 'x-amzn-errortype': errorType },
        text: JSON.stringify({ Type: status < 500 ? 'User' : 'Service', Message: message, ...more }),
      };
    }
    if (call?.operation !== 'Invoke') {
      return { headers: { 'content-type': 'application/json' }, text: JSON.stringify(body) };
    }
    const { Payload, FunctionError, ExecutedVersion } = body;
    return {
      headers: {
        ...(Payload !== undefined && { 'content-type': 'application/json' }),
        ...(ExecutedVersion !== undefined && { 'x-amz-executed-version': String(ExecutedVersion) }),
        ...(FunctionError !== undefined && { 'x-amz-function-error': String(FunctionError) }),
      },
      text: String(Payload ?? ''),
    };
  },
};

const aliasOperations: Readonly<Record<string, string>> = {
  'POST all': 'CreateAlias',
  'GET all': 'ListAliases',
  'GET one': 'GetAlias',
  'DELETE one': 'DeleteAlias',
};

function parsedObject(body: string): Record<string, unknown> {
  try {
    return body === '' ? {} : { ...JSON.parse(body) };
  } catch {
    throw new AwsError('InvalidRequestContentException', 'Could not parse request body into json.');
  }
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    throw new AwsError('InvalidParameterValueException', 'FunctionName is not percent-encoded.');
  }
}
