import { AwsError } from '../aws-error.ts';
import type { AwsCall } from '../call.ts';
import type { AwsRequest, Protocol } from './protocol.ts';

const namespace = 'https://sts.amazonaws.com/doc/2011-06-15/';
const stsVersion = '2011-06-15';

/**
 * STS: "AWS Query protocol" (Smithy specification). The operation is the parameter Action, in a form or in the URL; answers
 * and errors are XML.
 */
export const query: Protocol = {
  speaks: (request) => isForm(request) || request.url.searchParams.has('Action'),
  /** No legal request of STS comes near. */
  maximumBodyBytes: 64 * 1024,
  read(request, body): AwsCall {
    const parameters = isForm(request) ? new URLSearchParams(body) : request.url.searchParams;
    const { Action = '', Version = '', ...input } = Object.fromEntries(parameters);
    if (Action === '') throw new AwsError('MissingAction', 'The request must contain the parameter Action.');
    if (Version !== stsVersion) {
      throw new AwsError(
        'InvalidAction',
        `The sandbox has no operation of this name with a Version but ${stsVersion}.`,
      );
    }
    return { service: 'sts', operation: Action, input };
  },
  write({ status, body, errorType }, call, requestId) {
    const text =
      errorType === undefined
        ? element(`${call?.operation}Response`, {
            [`${call?.operation}Result`]: body,
            ResponseMetadata: { RequestId: requestId },
          })
        : element('ErrorResponse', {
            Error: { Type: status < 500 ? 'Sender' : 'Receiver', Code: errorType, Message: body['message'] },
            RequestId: requestId,
          });
    return { headers: { 'content-type': 'text/xml' }, text };
  },
};

const isForm = ({ headers }: AwsRequest) =>
  String(headers['content-type'] ?? '').startsWith('application/x-www-form-urlencoded');

const element = (name: string, content: object) => `<${name} xmlns="${namespace}">${xml(content)}</${name}>\n`;

function xml(value: unknown): string {
  if (typeof value !== 'object' || value === null) return escaped(String(value));
  return Object.entries(value)
    .map(([name, inner]) => `<${name}>${xml(inner)}</${name}>`)
    .join('');
}

const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
