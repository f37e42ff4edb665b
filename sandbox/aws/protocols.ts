import type { ServiceName } from './call.ts';
import { json } from './protocols/json.ts';
import type { AwsRequest, Protocol } from './protocols/protocol.ts';
import { query } from './protocols/query.ts';
import { rest } from './protocols/rest.ts';

export type { Protocol } from './protocols/protocol.ts';

export const protocolOfService: Readonly<Record<ServiceName, Protocol>> = {
  lambda: rest,
  sts: query,
  kms: json,
  secretsmanager: json,
  dynamodb: json,
  cloudformation: query,
  sns: query,
  scheduler: rest,
  cloudwatch: json,
  logs: json,
  sqs: json,
};

/** The path tells the requests of Lambda and Scheduler, a form those of STS, CloudFormation and SNS; who speaks neither hears the errors of the JSON protocol. */
export const protocolOf = (request: AwsRequest): Protocol =>
  [rest, query].find((protocol) => protocol.speaks(request)) ?? json;
