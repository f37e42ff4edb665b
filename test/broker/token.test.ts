import { describe, expect, it } from 'vitest';
import { AwsError } from '../../sandbox/aws/server.ts';
import { ISSUER_ID, TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import {
  certificateRead,
  d1Refuses,
  existenceCheck,
  openStory,
  readOnly,
  refreshCalls,
  refusing,
  secondWrite,
} from './open-story.ts';

describe('A direct call for a token', () => {
  it('gets the stored token, with what is left of it, for one read', async () => {
    const { container, calls, store, recordOf, stored } = await openStory();
    await store(recordOf(500));
    const answer = await container().token();
    const { record } = await stored();
    const answered_at = Number(record?.['expires_at']) - 400;
    expect(answer).toEqual({ ...record, expires_in: 400, answered_at, source: 'secret' });
    expect(calls()).toEqual(readOnly);
  });

  it('gets it from memory the next time, for no call at all, as long as it lives for a minute more', async () => {
    const { container, calls, store, recordOf, clock } = await openStory();
    await store(recordOf(500));
    const lambda = container();
    await lambda.token();
    calls();
    clock.advance(340_000);
    expect(await lambda.token()).toMatchObject({ source: 'memory', expires_in: 60 });
    expect(await lambda.token({ action: 'token', min_remaining_seconds: 60 })).toMatchObject({ source: 'memory' });
    expect(calls()).toEqual({});
    clock.advance(1_000);
    expect(await lambda.token()).toMatchObject({ source: 'exchange', expires_in: 900 });
    expect(calls()).toEqual({ ...refreshCalls, ...certificateRead });
  });

  it('gets a new token when there is none, and the secret has it too', async () => {
    const { container, calls, stored, sandbox } = await openStory();
    const lambda = container();
    const answer = await lambda.token();
    expect(answer).toMatchObject({ source: 'exchange', expires_in: 900, issuer_id: ISSUER_ID });
    expect(calls()).toEqual({ ...refreshCalls, ...certificateRead, ...existenceCheck });
    expect((await stored()).record).toMatchObject({ access_token: answer.access_token });
    const again = await lambda.token();
    expect(again.access_token).toBe(answer.access_token);
    expect(sandbox.calls.count('d1', 'oauth2/token')).toBe(1);
  });

  it('gets a new token in place of a dead one', async () => {
    const { container, calls, store, recordOf } = await openStory();
    await store(recordOf(900));
    expect(await container().token({ min_remaining_seconds: 0 })).toMatchObject({ source: 'exchange' });
    expect(calls()).toEqual({ ...refreshCalls, ...certificateRead });
  });

  it('gets a new token when the stored one does not live as long as was asked for', async () => {
    const { container, store, recordOf } = await openStory();
    await store(recordOf(620));
    const lambda = container();
    expect(await lambda.token({ min_remaining_seconds: 280 })).toMatchObject({ source: 'secret', expires_in: 280 });
    expect(await lambda.token({ min_remaining_seconds: 281 })).toMatchObject({ source: 'exchange', expires_in: 900 });
  });

  it('gets the longest-lived token there is while the pace of writes forbids another: a wish is a wish', async () => {
    const { container, store, recordOf, calls } = await openStory();
    await store(recordOf(500));
    const lambda = container();
    expect(await lambda.token({ min_remaining_seconds: 401 })).toMatchObject({ source: 'secret', expires_in: 400 });
    expect(await lambda.token({ min_remaining_seconds: 840 })).toMatchObject({ expires_in: 400 });
    expect(calls()).toEqual({ 'GetSecretValue d1/access-token': 2 });
  });

  it('gets what a tick of another container has stored, not the older token in its own memory', async () => {
    const { container, clock, calls } = await openStory();
    const [lambda, ticking] = [container(), container()];
    await lambda.token();
    clock.advance(600_000);
    await ticking.tick();
    clock.advance(250_000);
    calls();
    expect(await lambda.token()).toMatchObject({ source: 'secret', expires_in: 650 });
    expect(calls()).toEqual(readOnly);
    expect(await lambda.token()).toMatchObject({ source: 'memory', expires_in: 650 });
  });

  it('does not forget a newer token because an older one was read', async () => {
    const { container, store, recordOf, calls } = await openStory();
    const lambda = container();
    const newer = await lambda.token();
    await store(recordOf(100));
    await lambda.tick();
    calls();
    const again = await lambda.token();
    expect(again.access_token).toBe(newer.access_token);
    expect(calls()).toEqual({});
  });

  it('that was slow to read an old token gets the new one that another call has obtained meanwhile', async () => {
    const { container, store, recordOf, calls, faults } = await openStory();
    await store(recordOf(900));
    const lambda = container();
    const isAsking = Promise.withResolvers<void>();
    const slowRead = Promise.withResolvers<void>();
    const overtaken = Promise.withResolvers<void>();
    let reads = 0;
    faults.aws = async (call, next) => {
      const answer = await next();
      if (call.operation !== 'GetSecretValue' || call.input['SecretId'] !== TOKEN_SECRET) return answer;
      reads += 1;
      if (reads === 2) {
        slowRead.resolve();
        await overtaken.promise;
      }
      return answer;
    };
    faults.d1 = async (_request, next) => {
      isAsking.resolve();
      await slowRead.promise;
      return next();
    };
    const first = lambda.token();
    await isAsking.promise;
    const slow = lambda.token();
    const { access_token } = await first;
    overtaken.resolve();
    expect(await slow).toMatchObject({ access_token });
    expect(calls()).toEqual({ ...refreshCalls, ...certificateRead, 'GetSecretValue d1/access-token': 2 });
  });

  it('cannot change what the next caller gets', async () => {
    const { container } = await openStory();
    const lambda = container();
    const original = (await lambda.token()).access_token;
    const answer = await lambda.send({});
    Object.assign(answer ?? {}, { access_token: 'changed', expires_at: 0, obtained_at: 0 });
    expect((await lambda.token()).access_token).toBe(original);
  });

  it('is told the correlation id that D1 saw, which it may choose itself', async () => {
    const { container, sandbox } = await openStory();
    const answer = await container().token({ correlation_id: 'payment-4711' });
    expect(answer).toMatchObject({ correlation_id: 'payment-4711' });
    expect(sandbox.calls.count('d1', 'oauth2/token', ({ requestId }) => requestId === 'payment-4711')).toBe(1);
  });
});

describe('A forced call', () => {
  it('gets no new token in place of one that this container obtained within the minute, and is warned', async () => {
    const { container, clock, calls, warnings } = await openStory();
    const lambda = container();
    await lambda.token();
    calls();
    clock.advance(59_000);
    expect(await lambda.token({ force: true })).toMatchObject({ source: 'secret', expires_in: 841 });
    expect(calls()).toEqual(readOnly);
    expect(warnings()).toEqual(['REPLACEMENT_NOT_READY']);
  });

  it('gets a new one sixty seconds later', async () => {
    const { container, clock, calls } = await openStory();
    const lambda = container();
    const old = await lambda.token();
    calls();
    // A token's age is counted in whole seconds, as the record has it.
    clock.advance(60_000);
    const answer = await lambda.token({ force: true });
    expect(answer).toMatchObject({ source: 'exchange', expires_in: 900 });
    expect(answer.access_token).not.toBe(old.access_token);
    expect(calls()).toEqual(refreshCalls);
  });

  it('says what was refused, and takes the token that another container has stored since, for one read', async () => {
    const { container, clock, calls } = await openStory();
    const [lambda, other] = [container(), container()];
    const refused = await lambda.token();
    clock.advance(100_000);
    await other.token({ newer_than: refused.obtained_at });
    calls();
    expect(await lambda.token({ newer_than: refused.obtained_at })).toMatchObject({
      source: 'secret',
      expires_in: 900,
    });
    expect(calls()).toEqual(readOnly);
  });

  it('that finds another at work from the same version keeps its own token when that is no older, and stores it', async () => {
    const { container, store, stored, recordOf, faults, versionCount } = await openStory();
    await store(recordOf(100));
    const [lambda, other] = [container(), container()];
    let winner = '';
    faults.aws = async (call, next) => {
      if (call.operation === 'PutSecretValue' && winner === '') {
        faults.aws = undefined;
        winner = (await other.token({ force: true })).access_token;
      }
      return next();
    };
    const answer = await lambda.token({ force: true });
    expect(answer).toMatchObject({ source: 'exchange' });
    expect(answer.access_token).not.toBe(winner);
    expect((await stored()).record).toMatchObject({ access_token: answer.access_token });
    expect(await versionCount()).toBe(3);
  });
});

describe('A direct call when the token cannot be stored', () => {
  it('gets the token all the same, is not the only one to, and the failure is warned of', async () => {
    const { container, calls, faults, store, recordOf, stored, warnings } = await openStory();
    await store(recordOf(880));
    const before = await stored();
    const lambda = container();
    faults.aws = refusing('PutSecretValue', 'EncryptionFailure');
    const answer = await lambda.token();
    expect(answer).toMatchObject({ source: 'exchange', expires_in: 900 });
    expect(warnings()).toEqual(['TOKEN_STORE_DENIED']);
    expect(calls()).toEqual({ ...refreshCalls, ...certificateRead });
    expect(await stored()).toEqual(before);

    const again = await lambda.token();
    expect(again).toMatchObject({ source: 'memory' });
    expect(again.access_token).toBe(answer.access_token);
    expect(calls()).toEqual({});

    faults.aws = undefined;
    expect(await lambda.tick()).toMatchObject({ refreshed: true, reason: 'due' });
    expect(calls()).toEqual(secondWrite);
    expect((await stored()).record).toMatchObject({ access_token: answer.access_token });
  });

  it('names the version quota when that is what is full', async () => {
    const { container, store, recordOf, warnings } = await openStory({ secretsManager: { versionQuota: 1 } });
    await store(recordOf(900));
    expect(await container().token()).toMatchObject({ source: 'exchange' });
    expect(warnings()).toEqual(['TOKEN_STORE_QUOTA_EXCEEDED']);
  });
});

describe('A direct call when the secret cannot be read', () => {
  it('gets a token all the same; it is not stored blindly, and the failure is warned of once', async () => {
    const { container, calls, faults, store, recordOf, stored, warnings } = await openStory();
    await store(recordOf(700));
    const before = await stored();
    const lambda = container();
    faults.aws = refusing('GetSecretValue', 'AccessDeniedException');
    const answer = await lambda.token();
    expect(answer).toMatchObject({ source: 'exchange', expires_in: 900 });
    expect(warnings()).toEqual(['TOKEN_STORE_DENIED']);
    expect(calls()).toEqual({ ...readOnly, ...certificateRead, Sign: 1, 'oauth2/token': 1 });
    expect(await stored()).toEqual(before);

    expect(await lambda.token()).toMatchObject({ source: 'memory' });
    expect(calls()).toEqual({});

    faults.aws = undefined;
    await lambda.tick();
    expect(calls()).toEqual({ ...readOnly, 'PutSecretValue d1/access-token': 1 });
    expect((await stored()).record).toMatchObject({ access_token: answer.access_token });
  });

  it('is served from memory without trying to read', async () => {
    const { container, calls, faults } = await openStory();
    const lambda = container();
    await lambda.token();
    faults.aws = refusing('GetSecretValue', 'AccessDeniedException');
    calls();
    expect(await lambda.token()).toMatchObject({ source: 'memory' });
    expect(calls()).toEqual({});
  });

  it('and D1 says no, hears why D1 did, after a warning about the secret', async () => {
    const { container, faults, warnings } = await openStory();
    faults.aws = refusing('GetSecretValue', 'AccessDeniedException');
    faults.d1 = d1Refuses;
    await expect(container().token()).rejects.toMatchObject({ code: 'TOKEN_ENDPOINT_REJECTED' });
    expect(warnings()).toEqual(['TOKEN_STORE_DENIED']);
  });
});

describe('A direct call when the refresh fails', () => {
  it('gets the stored token if that is good for the caller, with a warning', async () => {
    const { container, calls, faults, store, recordOf, stored, warnings } = await openStory();
    const versionId = await store(recordOf(700));
    faults.d1 = d1Refuses;
    const answer = await container().token({ force: true });
    expect(answer).toMatchObject({ ...(await stored()).record, expires_in: 200, source: 'secret' });
    expect(warnings()).toEqual(['TOKEN_ENDPOINT_REJECTED']);
    expect(calls()).toEqual({ ...readOnly, ...certificateRead, Sign: 1, 'oauth2/token': 1 });
    expect((await stored()).versionId).toBe(versionId);
  });

  it('gets the stored token also if that lives too short for its wish: a wish is a wish', async () => {
    const { container, faults, store, recordOf, warnings } = await openStory();
    await store(recordOf(700));
    faults.d1 = d1Refuses;
    const lambda = container();
    const wish = { min_remaining_seconds: 201, correlation_id: 'payment-4711' };
    expect(await lambda.token({ ...wish, force: true })).toMatchObject({ expires_in: 200 });
    expect(await lambda.token(wish)).toMatchObject({ expires_in: 200 });
    expect(warnings()).toEqual(['TOKEN_ENDPOINT_REJECTED']);
    expect(await lambda.token({ ...wish, min_remaining_seconds: 200 })).toMatchObject({ expires_in: 200 });
  });

  it('that named the refused token hears why: that token is never the answer', async () => {
    const { container, faults, store, recordOf } = await openStory();
    const record = recordOf(700);
    await store(record);
    faults.d1 = d1Refuses;
    const event = { newer_than: record.obtained_at, correlation_id: 'payment-4711' };
    await expect(container().token(event)).rejects.toMatchObject({
      code: 'TOKEN_ENDPOINT_REJECTED',
      issuerId: ISSUER_ID,
      correlationId: 'payment-4711',
    });
  });

  it('judges the stored token when the refresh has failed, not when it began: waiting costs life', async () => {
    const { container, faults, store, recordOf, clock } = await openStory();
    await store(recordOf(890));
    faults.d1 = async (...request) => {
      clock.advance(15_000);
      return d1Refuses(...request);
    };
    await expect(container().token({ force: true })).rejects.toMatchObject({ code: 'TOKEN_ENDPOINT_REJECTED' });
  });

  it('hears why if there is no token at all', async () => {
    const { container, faults } = await openStory();
    faults.d1 = d1Refuses;
    await expect(container().token()).rejects.toMatchObject({ code: 'TOKEN_ENDPOINT_REJECTED' });
  });

  it('begins anew the next time', async () => {
    const { container, faults, calls } = await openStory();
    const lambda = container();
    faults.d1 = d1Refuses;
    await expect(lambda.token()).rejects.toThrow();
    faults.d1 = undefined;
    calls();
    expect(await lambda.token()).toMatchObject({ source: 'exchange' });
    expect(calls()).toEqual({ ...refreshCalls, ...existenceCheck });
  });
});

describe('The stored token', () => {
  it('is untouched by every failure, of a tick and of a forced call', async () => {
    const story = await openStory();
    const { container, faults, store, recordOf, stored, sandbox, putAside, versionCount } = story;
    await putAside({ SecretString: ' ' });
    await store(recordOf(800));
    const before = await stored();
    const versions = await versionCount();
    const json = { 'content-type': 'application/json' };
    const d1Says = (status: number, headers: Record<string, string>, body: string) => () => {
      faults.d1 = async () => ({ status, headers, body, outcome: 'fault' });
    };
    const failures: [code: string, breakIt: () => void][] = [
      ['TOKEN_ENDPOINT_REJECTED', d1Says(400, json, '{"error":"invalid_grant"}')],
      ['TOKEN_ENDPOINT_REJECTED', d1Says(302, { location: 'https://localhost/' }, '')],
      ['TOKEN_ENDPOINT_UNREACHABLE', d1Says(503, json, '{}')],
      ['TOKEN_RESPONSE_INVALID', d1Says(200, { 'content-type': 'text/html' }, '<html></html>')],
      ['TOKEN_RESPONSE_INVALID', d1Says(200, json, '{"access_token":"","expires_in":900}')],
      [
        'SIGNING_FAILED',
        () => {
          faults.aws = refusing('Sign', 'DisabledException');
        },
      ],
      [
        'CLIENT_CERTIFICATE_UNAVAILABLE',
        () => {
          faults.aws = async (call, next) => {
            if (call.input['SecretId'] !== 'd1/client-certificate') return next();
            throw new AwsError('AccessDeniedException', 'refused by the test');
          };
        },
      ],
      [
        'TOKEN_STORE_DENIED',
        () => {
          faults.aws = refusing('PutSecretValue', 'AccessDeniedException');
        },
      ],
    ];
    for (const [code, breakIt] of failures) {
      breakIt();
      await expect(container().tick()).rejects.toMatchObject({ code });
      story.warnings();
      await container().token({ force: true });
      expect(story.warnings()).toEqual([code]);
      expect(await stored()).toEqual(before);
      expect(await versionCount()).toBe(versions);
      faults.aws = undefined;
      faults.d1 = undefined;
    }
    // What was broken is whole again.
    expect(await container().tick()).toMatchObject({ refreshed: true });
    expect(sandbox.calls.count('secretsmanager', 'PutSecretValue', ({ outcome }) => outcome === 'ok')).toBe(1);
  });
});
