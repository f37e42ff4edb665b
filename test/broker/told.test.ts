import { describe, expect, it } from 'vitest';
import { TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import { openStory, refusing } from './open-story.ts';

// What the log lines say of an event, beside its answer.

describe('The line of an event', () => {
  it('says how long the stored token lives, before and after a refresh, and how long the read and the write took', async () => {
    const { container, clock, store, recordOf, faults, logLines } = await openStory();
    await store(recordOf(500));
    const lambda = container();
    faults.aws = async (call, next) => {
      if (call.operation === 'GetSecretValue' && call.input['SecretId'] === TOKEN_SECRET) clock.advance(30);
      if (call.operation === 'PutSecretValue') clock.advance(40);
      return next();
    };
    await lambda.tick();
    expect(logLines().at(-1)).toMatchObject({ seconds_left: 400, step_milliseconds: { read_secret: 30 } });
    clock.advance(200_000);
    await lambda.tick();
    const { seconds_left, step_milliseconds } = logLines().at(-1) ?? {};
    // D1 counts from before the request: a second may be gone.
    expect([899, 900]).toContain(seconds_left);
    expect(step_milliseconds).toMatchObject({ read_secret: 30, write_secret: 40 });
  });

  it('of a caller tells of the stored token what the secret holds, and nothing when it cannot be read', async () => {
    const { container, store, recordOf, faults, logLines } = await openStory();
    await store(recordOf(850));
    faults.aws = refusing('PutSecretValue', 'EncryptionFailure');
    expect(await container().token({ min_remaining_seconds: 60 })).toMatchObject({ source: 'exchange' });
    expect(logLines().at(-1)).toMatchObject({ source: 'exchange', seconds_left: 50 });
    faults.aws = refusing('GetSecretValue', 'AccessDeniedException');
    expect(await container().token()).toMatchObject({ source: 'exchange' });
    const left = Number(logLines().at(-1)?.['seconds_left']);
    expect(left).toBeGreaterThanOrEqual(899);
  });

  it('of a failed tick says that the secret holds nothing that lives', async () => {
    const { container, faults, logLines } = await openStory();
    faults.d1 = async () => ({ status: 400, headers: {}, body: '', outcome: 'refused' });
    await expect(container().tick()).rejects.toMatchObject({ code: expect.any(String) });
    expect(logLines().at(-1)).toMatchObject({ outcome: 'failed', seconds_left: 0 });
  });
});

describe('A warning', () => {
  it('of a foreign value says what it is, where it stays, and that a change alone can help', async () => {
    const { container, putAside, logLines } = await openStory();
    await putAside({ SecretString: 'not JSON at all' });
    await container().tick();
    expect(logLines().filter(({ level }) => level === 'WARN')).toEqual([
      expect.objectContaining({
        error_code: 'TOKEN_SECRET_FOREIGN',
        message: `The token secret ${TOKEN_SECRET} holds a value that the broker did not write: it is not JSON. It is being replaced.`,
        remedy: `If the value is needed, it has the label AWSPREVIOUS; point D1_TOKEN_SECRET_ID at a secret of its own.`,
        retryable: false,
      }),
    ]);
  });

  it('of a force that got the living token says so, and what else may be wrong', async () => {
    const { container, logLines } = await openStory();
    const lambda = container();
    await lambda.token({ force: true });
    await lambda.token({ force: true });
    expect(logLines().filter(({ level }) => level === 'WARN')).toEqual([
      expect.objectContaining({
        error_code: 'REPLACEMENT_NOT_READY',
        remedy:
          'The living token was returned instead. If another token is refused too, look for another reason than the token.',
      }),
    ]);
  });
});
