import type { IncomingHttpHeaders } from 'node:http';
import type { Answer, AwsCall } from '../call.ts';

export interface AwsRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingHttpHeaders;
}

/** An answer as it goes over the wire. */
export interface Written {
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

/** How calls and answers look on the wire. */
export interface Protocol {
  /** Whether the request is in this protocol, as far as its head tells. */
  speaks(request: AwsRequest): boolean;
  /** The longest body that is taken: in bytes. */
  readonly maximumBodyBytes: number;
  /** @throws AwsError when the request is not one of its operations. */
  read(request: AwsRequest, body: string): AwsCall;
  /** @param call Unknown when the request could not be read. */
  write(answer: Answer, call: AwsCall | undefined, requestId: string): Written;
}
