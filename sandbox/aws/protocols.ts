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
};

/** The path tells Lambda's requests, a form STS's; who speaks neither hears the errors of the JSON protocol. */
export const protocolOf = (request: AwsRequest): Protocol =>
  [rest, query].find((protocol) => protocol.speaks(request)) ?? json;
