import type { ServerResponse } from 'node:http';
import { AwsError } from '../aws/aws-error.ts';
import { protocolOfService } from '../aws/protocols.ts';
import type { Answer, AwsCall } from '../aws/server.ts';
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
    refuse: ['AccessDeniedException', 400],
  },
  secretsmanager: {
    throttle: ['ThrottlingException', 'Rate exceeded', 400],
    unavailable: ['InternalServiceError', 'An error occurred on the server side.', 500],
    refuse: ['AccessDeniedException', 400],
  },
  lambda: {
    throttle: ['TooManyRequestsException', 'Rate Exceeded.', 429],
    unavailable: ['ServiceException', 'The Lambda service encountered an internal error.', 500],
    refuse: ['AccessDeniedException', 403],
  },
  dynamodb: {
    throttle: ['ThrottlingException', 'Rate of requests exceeds the allowed throughput.', 400],
    unavailable: ['InternalServerError', 'The request processing has failed because of an unknown error.', 500],
    refuse: ['AccessDeniedException', 400],
  },
  sts: {
    throttle: ['Throttling', 'Rate exceeded', 400],
    unavailable: ['ServiceUnavailable', 'The request has failed due to a temporary failure of the server.', 503],
    refuse: ['AccessDenied', 403],
  },
  cloudformation: {
    throttle: ['Throttling', 'Rate exceeded', 400],
    unavailable: ['ServiceUnavailable', 'The request has failed due to a temporary failure of the server.', 503],
    refuse: ['AccessDenied', 403],
  },
  scheduler: {
    throttle: ['ThrottlingException', 'Rate exceeded', 429],
    unavailable: ['InternalServerException', 'Unexpected error encountered while processing the request.', 500],
    refuse: ['AccessDeniedException', 403],
  },
  cloudwatch: {
    throttle: ['ThrottlingException', 'Rate exceeded', 400],
    unavailable: ['InternalServiceFault', 'Request processing has failed due to some unknown error.', 500],
    refuse: ['AccessDeniedException', 400],
  },
  logs: {
    throttle: ['ThrottlingException', 'Rate exceeded', 400],
    unavailable: ['ServiceUnavailableException', 'The service cannot complete the request.', 500],
    refuse: ['AccessDeniedException', 400],
  },
  sns: {
    throttle: ['Throttled', 'Rate exceeded', 429],
    unavailable: ['InternalError', 'Indicates an internal service error.', 500],
    refuse: ['AuthorizationError', 403],
  },
  sqs: {
    throttle: ['RequestThrottled', 'Rate exceeded', 400],
    unavailable: ['InternalError', 'We encountered an internal error. Please try again.', 500],
    refuse: ['AccessDenied', 403],
  },
} as const;

/** Does to a call of AWS what the fault says. */
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
    case 'refuse': {
      const [type, status] = shapes[call.service].refuse;
      const action = actionOf(call);
      const message = `User: arn:aws:sts::000000000000:assumed-role/broker/d1-token-broker is not authorized to perform: ${action} because no identity-based policy allows the ${action} action`;
      throw new AwsError(type, message, status);
    }
    case 'reset': {
      const answer = await next();
      const requestId = String(response.getHeader('x-amzn-RequestId'));
      const { headers, text } = protocolOfService[call.service].write(answer, call, requestId);
      await sendHalf(response, answer.status, headers, text);
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
    case 'unauthorized':
      throw new TypeError('Only D1 answers 401: parseFaultRule refuses this fault elsewhere.');
  }
}

/** IAM calls Invoke's action InvokeFunction ("Actions, resources, and condition keys for AWS Lambda"). */
const actionOf = ({ service, operation }: AwsCall) =>
  service === 'lambda' ? 'lambda:InvokeFunction' : `${service}:${operation}`;

const made = ([type, message, status]: readonly [string, string, number]) => new AwsError(type, message, status);
