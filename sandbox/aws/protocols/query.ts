import { AwsError } from '../aws-error.ts';
import type { AwsCall, ServiceName } from '../call.ts';
import type { AwsRequest, Protocol } from './protocol.ts';

interface Api {
  readonly service: ServiceName;
  readonly namespace: string;
}

const sts: Api = { service: 'sts', namespace: 'https://sts.amazonaws.com/doc/2011-06-15/' };
/** Each API has a version of its own, which no other has. */
const apis: ReadonlyMap<string, Api> = new Map([
  ['2011-06-15', sts],
  ['2010-05-15', { service: 'cloudformation', namespace: 'http://cloudformation.amazonaws.com/doc/2010-05-15/' }],
  ['2010-03-31', { service: 'sns', namespace: 'http://sns.amazonaws.com/doc/2010-03-31/' }],
]);

/**
 * STS, CloudFormation and SNS: "AWS Query protocol" (Smithy specification). The operation is the parameter Action, in a form or in the URL; answers
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
    const api = apis.get(Version);
    if (!api) {
      throw new AwsError(
        'InvalidAction',
        `The sandbox has no operation of this name with a Version but ${[...apis.keys()].join(', ')}.`,
      );
    }
    return { service: api.service, operation: Action, input };
  },
  write({ status, body, errorType }, call, requestId) {
    const { namespace } = [...apis.values()].find(({ service }) => service === call?.service) ?? sts;
    const element = (name: string, content: object) => `<${name} xmlns="${namespace}">${xml(content)}</${name}>\n`;
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

function xml(value: unknown): string {
  if (Array.isArray(value)) {
    // SNS's attributes are the one map among these answers.
    return value
      .map((inner) => ('key' in inner ? `<entry>${xml(inner)}</entry>` : `<member>${xml(inner)}</member>`))
      .join('');
  }
  if (typeof value !== 'object' || value === null) return escaped(String(value));
  return Object.entries(value)
    .map(([name, inner]) => `<${name}>${xml(inner)}</${name}>`)
    .join('');
}

const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
