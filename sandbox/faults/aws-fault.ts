import type { ServerResponse } from 'node:http';
import { AwsError } from '../aws/aws-error.ts';
import type { Answer, AwsCall } from '../aws/json-server.ts';
import { CANARY, hangUp, sendHalf, silence } from './cut-off.ts';
import type { Fault } from './rule.ts';

/** Error types, statuses and messages as AWS words them ("Throttling requests", KMS Developer Guide; API References). */
const shapes = {
  kms: {
    throttle: [
      'ThrottlingException',
      'You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.',
      400,
    ],
    unavailable: ['KMSInternalException', 'An internal exception was encountered.', 500],
  },
  secretsmanager: {
    throttle: ['ThrottlingException', 'Rate exceeded', 400],
    unavailable: ['InternalServiceError', 'An error occurred on the server side.', 500],
  },
} as const;

/** Does to a call of KMS or Secrets Manager what the fault says. */
export async function awsFault(
  fault: Fault,
  call: AwsCall,
  next: () => Promise<Answer>,
  response: ServerResponse,
  sleep: (milliseconds: number) => Promise<void>,
): Promise<Answer | undefined> {
  const { kind } = fault;
  switch (kind) {
    case 'delay':
      await sleep(fault.milliseconds ?? 0);
      return next();
    case 'throttle':
    case 'unavailable':
      throw made(shapes[call.service][kind]);
    case 'refuse':
      throw new AwsError(
        'AccessDeniedException',
        `User: arn:aws:sts::000000000000:assumed-role/broker/d1-token-broker is not authorized to perform: ${call.service}:${call.operation} because no identity-based policy allows the ${call.service}:${call.operation} action`,
      );
    case 'reset': {
      const { status, body } = await next();
      await sendHalf(response, status, { 'content-type': 'application/x-amz-json-1.1' }, JSON.stringify(body));
      return undefined;
    }
    case 'garbage':
      response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' }).end(`{"SecretString": "${CANARY}`);
      return undefined;
    case 'lost':
      await next();
      hangUp(response);
      return undefined;
    case 'hang':
      await silence(response);
      return undefined;
  }
}

const made = ([type, message, status]: readonly [string, string, number]) => new AwsError(type, message, status);
