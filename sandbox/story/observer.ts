import type { Intercept as AwsIntercept } from '../aws/server.ts';
import type { Intercept as D1Intercept } from '../d1/server.ts';

export interface Exchange {
  readonly header: Record<string, unknown>;
  readonly claims: Record<string, unknown>;
  /** Bytes of the JWT's signature. */
  readonly rawSignatureBytes: number;
  readonly assertionCharacters: number;
  readonly correlationId: string;
  readonly clientSubject: string;
  readonly protocol: string;
  readonly cipher: string;
}

/** Watches what passes the sandbox's servers, so that the story tells what was sent, not what was meant. */
export class Observer {
  #derSignatureBytes = 0;
  #signedBy = '';
  #exchange: Exchange | undefined;

  get signature() {
    return { derBytes: this.#derSignatureBytes, keyArn: this.#signedBy };
  }

  get exchange(): Exchange {
    if (!this.#exchange) throw new Error('No assertion has reached D1 yet.');
    return this.#exchange;
  }

  readonly aws: AwsIntercept = async (call, next) => {
    const answer = await next();
    if (call.operation === 'Sign' && answer.status === 200) {
      this.#derSignatureBytes = Buffer.from(String(answer.body['Signature']), 'base64').byteLength;
      this.#signedBy = String(answer.body['KeyId']);
    }
    return answer;
  };

  readonly d1: D1Intercept = (request, next) => {
    const assertion = new URLSearchParams(request.body.toString()).get('assertion');
    if (assertion) {
      const [header = '', claims = '', signature = ''] = assertion.split('.');
      const decode = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString());
      this.#exchange = {
        header: decode(header),
        claims: decode(claims),
        rawSignatureBytes: Buffer.from(signature, 'base64url').byteLength,
        assertionCharacters: assertion.length,
        correlationId: String(request.headers['x-correlation-id']),
        clientSubject: request.handshake.clientSubject,
        protocol: request.handshake.protocol,
        cipher: request.handshake.cipher,
      };
    }
    return next();
  };
}
