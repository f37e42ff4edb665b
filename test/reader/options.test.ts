import { Agent } from 'node:https';
import { describe, expect, it } from 'vitest';
import { createTokenReader, D1_ORIGINS, TokenReaderError, type TokenReaderOptions } from '../../src/reader/reader.ts';

const secretId = 'd1/access-token';
const make = (options: Record<string, unknown>) => createTokenReader(options as unknown as TokenReaderOptions);

describe('the options of a reader', () => {
  it.each([
    [{ secretId: undefined }, /secretId is missing; is the environment variable set/],
    [{ secretId: '' }, /secretId is missing/],
    [{ secretId: 'a b' }, /secretId is no name or ARN/],
    [{ secretId: 'eyJhbGciOiJFUzI1NiJ9' }, /secretId is no name or ARN/],
    [{ brokerFunctionName: '' }, /brokerFunctionName is missing/],
    [{ brokerFunctionName: 'not a function' }, /brokerFunctionName is no name/],
    [{ minRemainingSeconds: 841 }, /minRemainingSeconds must be a number, 0-840/],
    [{ refreshAheadSeconds: '60' }, /refreshAheadSeconds must be a number/],
    [{ readTimeoutMilliseconds: 5 }, /readTimeoutMilliseconds must be a number, 100-60000/],
    [{ brokerTimeoutMilliseconds: Number.NaN }, /brokerTimeoutMilliseconds/],
    [{ allowedOrigins: ['http://api.d1.thalescloud.io'] }, /allowedOrigins must be a list of origins only/],
    [{ allowedOrigins: ['https://api.d1.thalescloud.io/banking'] }, /allowedOrigins/],
    [{ allowedOrigins: ['*'] }, /allowedOrigins/],
    [{ agent: new Agent(), dispatcher: { dispatch() {} } }, /only one of agent, dispatcher/],
    [{ agent: new Agent(), fetch: globalThis.fetch }, /only one of fetch, agent can be used/],
    [
      { clientCertificateSecretId: 'd1/certificate', fetch: globalThis.fetch },
      /only one of fetch, clientCertificateSecretId/,
    ],
    [{ fetch: 'fetch' }, /fetch must be a function/],
    [{ allowedOrigins: 'https://api.d1.thalescloud.io' }, /allowedOrigins must be a list/],
    [{ allowedOrigins: 'x' }, /allowedOrigins must be a list/],
    [{ allowedOrigins: null }, /allowedOrigins must be a list/],
    [{ allowedOrigins: [] }, /allowedOrigins must be a list/],
    [{ allowedOrigins: [1] }, /allowedOrigins must be a list/],
    [{ environment: 'prod' }, /environment must be one of production, staging, develop/],
    [{ environment: process.env }, /environment must be one of/],
    [{ environment: 'staging', allowedOrigins: ['https://x.example'] }, /only one of environment, allowedOrigins/],
    [{ onWarning: 'x' }, /onWarning must be a function/],
    [{ agent: {} }, /agent must be an Agent of node:https/],
    [{ agent: null }, /agent must be an Agent of node:https/],
    [{ dispatcher: new Agent() }, /dispatcher must be one of undici's/],
    [{ secretsManager: {} }, /secretsManager must be a SecretsManagerClient/],
    [{ lambda: 'lambda' }, /lambda must be a LambdaClient/],
    [{ clock: { now: () => 0 } }, /clock must be an object with now\(\) and sleep\(\)/],
    [{ random: Math.random }, /random must be an object/],
    [{ env: null }, /env must be an object/],
    [{ useSecretsExtension: 'false' }, /useSecretsExtension must be a boolean/],
    [{ secretID: 'x' }, /secretID is not known/],
    [{ 'eyJ.precious': 1 }, /an option is not known/],
  ])('%o is refused at once', (wrong, words) => {
    let error: TokenReaderError | undefined;
    try {
      make({ secretId, ...wrong });
    } catch (thrown) {
      error = thrown as TokenReaderError;
    }
    expect(error).toBeInstanceOf(TokenReaderError);
    expect(error).toMatchObject({ code: 'READER_OPTIONS_INVALID', retryable: false });
    expect(error?.message).toMatch(words);
    expect(error?.message).not.toMatch(/precious|hbGci/);
  });

  it.each([[], [undefined], [null], ['d1/access-token'], [5]])(
    '%o in their place are refused with a sentence',
    (...given) => {
      const open = createTokenReader as unknown as (...given: unknown[]) => unknown;
      expect(() => open(...given)).toThrow(TokenReaderError);
      expect(() => open(...given)).toThrow(/must be an object with a secretId/);
    },
  );

  it('tells every fault at once', () => {
    expect(() => make({ minRemainingSeconds: -1, typo: 1 })).toThrow(/3 fault/);
  });

  it.each([
    { secretId },
    { secretId: 'arn:aws:secretsmanager:eu-west-1:000000000000:secret:d1/access-token-AbCdEf' },
    { secretId, brokerFunctionName: 'arn:aws:lambda:eu-west-1:000000000000:function:broker:live' },
    {
      secretId,
      brokerFunctionName: undefined,
      allowedOrigins: [...Object.values(D1_ORIGINS), 'https://localhost:8443/'],
    },
  ])('%o is accepted, and nothing is touched yet', (options) => {
    expect(Object.isFrozen(createTokenReader(options))).toBe(true);
  });
});
