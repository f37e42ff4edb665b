import { PutSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { AwsError } from '../../sandbox/aws/aws-error.ts';
import { SecretsManager } from '../../sandbox/aws/secrets-manager.ts';
import { schedulerTick } from '../../sandbox/scheduler-tick.ts';
import { tokenDigest } from '../../src/shared/token-digest.ts';
import type { TokenRecord } from '../../src/shared/token-record.ts';
import { TOKEN_SECRET } from '../broker-function.ts';
import { D1, type ExchangeFault } from '../d1.ts';
import { createSimulatedClient, type SimulatedClient } from '../secrets-manager-client.ts';
import { SeededRandom } from '../seeded-random.ts';
import { SimulatedTime } from '../simulated-time.ts';
import { Container, type Ended } from './container.ts';
import type { Happening, Kind, Operation, World } from './description.ts';
import { type Promises, startPromises } from './promises.ts';
import { answerOf, type EventKind, type Stored, type TokenAnswer, type Violation } from './watch.ts';

export const STARTS_AT = Date.UTC(2026, 10, 23);
const COLD_START_MILLISECONDS = 300;
/** A tick that is on time starts within this, a cold start included. */
const DELIVERY_MILLISECONDS = 600;
const CALLER_WAITS_MILLISECONDS = 3_000;
const TICK_WAITS_MILLISECONDS = 60_000;
const ROTATION_TRIES = 6;
/** A deletion that waits for a request waits no longer. */
const ARMED_MILLISECONDS = 60_000;

export interface Line {
  /** Milliseconds from the world's beginning. */
  readonly at: number;
  readonly text: string;
}

export interface Outcome {
  readonly violation: Violation | undefined;
  /** Simulated hours that were run: fewer than the world has when a promise was broken. */
  readonly hours: number;
  /** Promises whose conditions this world meets. */
  readonly promises: readonly string[];
  readonly story: readonly Line[];
}

/** What a world needs to know of one kind of happening, by its moment. */
type Of<K extends Kind> = Extract<Happening, { kind: K }>;

/**
 * Runs one world to its end, or to the first promise that is broken.
 *
 * Nothing polls: the promises are told of each change (a token issued, stored, ended; an event answered), and between two
 * changes what they watch only falls, one second a second. So looking at what was left when a token was replaced, and at the
 * end, says the same as looking each second.
 *
 * @param only The one promise to watch; all whose conditions the world meets unless told.
 */
export async function runWorld(
  world: World,
  { withStory = false, only }: { withStory?: boolean; only?: string | undefined } = {},
): Promise<Outcome> {
  const time = new SimulatedTime(STARTS_AT);
  const endsAt = STARTS_AT + world.hours * 3_600_000;
  const random = (name: string) => new SeededRandom(world.seed, name);
  const story: Line[] = [];
  const tell = (text: () => string) => {
    if (withStory) story.push({ at: time.now() - STARTS_AT, text: text() });
  };
  const moment = (seconds: number) => STARTS_AT + Math.round(seconds * 1000);
  const all = <K extends Kind>(kind: K): Of<K>[] => world.happenings.filter((one): one is Of<K> => one.kind === kind);

  /** Armed: the secret is deleted when a request of this kind has been carried out next. */
  let deletion: { upon: Operation; lasts: number; until: number } | undefined;
  const downs = all('D1 down');
  const slows = all('D1 slow');
  const troubles = all('secret service');
  const isOn = ({ at, lasts }: { at: number; lasts: number }, now: number) =>
    now >= moment(at) && now < moment(at + lasts);

  const d1Random = random('d1');
  const lives = random('lives');
  const d1 = new D1({
    time,
    random: d1Random,
    fault: (now): ExchangeFault | undefined => downs.find((down) => isOn(down, now))?.how,
    refusesAll: () => false,
    lifetimeSeconds: () => world.lives[Math.floor(lives.fraction() * world.lives.length)] ?? 900,
    latency: (now) => {
      const slow = slows.find((one) => isOn(one, now));
      return slow ? slow.seconds * 1000 : d1Random.between(...world.exchangeTakes);
    },
    returnShare: world.returnShare,
    tokenReuseUntilSeconds: world.tokenReuseUntilSeconds,
    lengthens: () => (world.lengthens > 0 && lives.happens(world.lengthens) ? world.lengthensBy : 0),
    oneTokenAtATime: world.oneTokenAtATime,
    onIssued: (token) => tell(() => `D1 issues ${token.token}, ${token.lifetimeSeconds} s`),
  });

  const service = new SecretsManager({
    region: 'eu-west-1',
    accountId: '000000000000',
    clock: time,
    versionQuota: world.versionQuota,
  });
  await service.handle('CreateSecret', { Name: TOKEN_SECRET, ClientRequestToken: random('secret').uuid() });

  /** What AWSCURRENT has been, oldest first; the last is what it is. */
  const history: Stored[] = [];
  /** The last token that a caller was answered. */
  let answered: TokenAnswer | undefined;
  const promises: Promises = startPromises(world, { time, d1, startsAt: STARTS_AT, only });
  const containers: (Container | undefined)[] = [];
  const ahead = world.clocks.map((seconds) => seconds * 1000);
  let made = 0;
  const routing = random('routing');
  const jitter = random('ticks');
  const serviceRandom = random('service');

  const byTick = Map.groupBy(
    world.happenings.filter((one) => one.kind === 'tick lost' || one.kind === 'tick late' || one.kind === 'tick twice'),
    ({ tick }) => tick,
  );

  time.start(async () => {
    for (let tick = 0; ; tick += 1) {
      await time.sleep(STARTS_AT + tick * 60_000 - time.now());
      if (time.now() >= endsAt) return;
      const number = tick;
      const here = byTick.get(number) ?? [];
      if (here.some(({ kind }) => kind === 'tick lost')) continue;
      const late = here.find((one): one is Of<'tick late'> => one.kind === 'tick late')?.by ?? 0;
      const delay = jitter.between(0, DELIVERY_MILLISECONDS) + late * 1000;
      time.start(() => sendTick(delay));
      for (const one of here) if (one.kind === 'tick twice') time.start(() => sendTick(delay + one.after * 1000));
    }
  });
  for (const happening of world.happenings) time.start(() => happen(happening));

  let violation: Violation | undefined;
  try {
    await time.runUntil(endsAt);
    promises.end();
  } catch (error) {
    if (!promises.isViolation(error)) throw error;
    violation = error.violation;
    tell(() => `BROKEN: ${error.violation.promise}: ${error.violation.what}`);
  }
  return { violation, hours: (time.now() - STARTS_AT) / 3_600_000, promises: promises.names, story };

  async function happen(happening: Happening): Promise<void> {
    await time.sleep(moment(happening.at) - time.now());
    switch (happening.kind) {
      case 'call':
        await invoke('token', { action: 'token', ...wishOf(happening.wish) });
        return;
      case 'refusal':
        await refuse(happening);
        return;
      case 'revoked': {
        const { token } = history.at(-1) ?? {};
        if (token === undefined) return;
        tell(() => `D1 revokes ${token}`);
        d1.revoke(token);
        return;
      }
      case 'moved back':
        await moveBack();
        return;
      case 'foreign value':
        await byHand('PutSecretValue', {
          ClientRequestToken: serviceRandom.uuid(),
          SecretString: '{"user":"somebody"}',
        });
        return;
      case 'deleted':
        if (happening.upon === 'now') await deleteFor(happening.lasts);
        else deletion = { upon: happening.upon, lasts: happening.lasts, until: time.now() + ARMED_MILLISECONDS };
        return;
      case 'rotation':
        await rotate(happening);
        return;
      case 'frozen':
        containers[happening.container]?.freeze(happening.lasts * 1000);
        tell(() => `container ${happening.container} is frozen for ${happening.lasts} s`);
        return;
      case 'killed':
        containers[happening.container]?.die(happening.step, happening.done);
        tell(() => `container ${happening.container} dies: ${happening.step}${happening.done ? ', done' : ''}`);
        return;
      case 'clock steps':
        ahead[happening.container] = (ahead[happening.container] ?? 0) + happening.by * 1000;
        tell(() => `the clock of container ${happening.container} steps by ${happening.by} s`);
        return;
      case 'D1 down':
        tell(() => `D1 is ${happening.how} for ${happening.lasts} s`);
        return;
      case 'D1 slow':
        tell(() => `D1 takes ${happening.seconds} s, for ${happening.lasts} s`);
        return;
      case 'secret service':
        tell(
          () =>
            `Secrets Manager: ${happening.how}, ${happening.share * 100} % of ${happening.operations.join(', ')}, for ${happening.lasts} s`,
        );
        return;
      default:
    }
  }

  async function sendTick(delay: number): Promise<void> {
    await time.sleep(delay);
    await invoke('tick', schedulerTick);
  }

  async function refuse({ saying, holds, wish }: Of<'refusal'>): Promise<void> {
    const stored = history.findLast(
      ({ record }, index) => record && (holds !== 'before' || index < history.length - 1),
    );
    const record = holds === 'answered' ? (answered ?? stored?.record) : stored?.record;
    if (!record) return;
    const { access_token: token, obtained_at: obtainedAt } = record;
    const event = {
      action: 'token',
      ...wishOf(wish),
      ...((saying === 'newer_than' || saying === 'both') && { newer_than: obtainedAt }),
      ...((saying === 'refused' || saying === 'both') && { refused: tokenDigest(token) }),
      ...(saying === 'force' && { force: true }),
    };
    await invoke('refusal', event, { token, obtainedAt, saying });
  }

  async function moveBack(): Promise<void> {
    const { VersionIdsToStages: stages } = (await service.handle('DescribeSecret', { SecretId: TOKEN_SECRET })) as {
      VersionIdsToStages: Record<string, string[]>;
    };
    const holder = (label: string) => Object.entries(stages).find(([, labels]) => labels.includes(label))?.[0];
    const [current, previous] = [holder('AWSCURRENT'), holder('AWSPREVIOUS')];
    if (current === undefined || previous === undefined) return;
    await byHand('UpdateSecretVersionStage', {
      VersionStage: 'AWSCURRENT',
      RemoveFromVersionId: current,
      MoveToVersionId: previous,
    });
  }

  /** Somebody else's hand on the secret; it is refused while the secret is deleted or full. */
  async function byHand(operation: Operation, input: object): Promise<void> {
    const refused = await service.handle(operation, { SecretId: TOKEN_SECRET, ...input }).catch(() => 'refused');
    if (refused !== 'refused') await noteCurrent('hand');
  }

  /** Schedules the secret's deletion, and restores it. */
  async function deleteFor(lasts: number): Promise<void> {
    const secret = { SecretId: TOKEN_SECRET };
    try {
      await service.handle('DeleteSecret', { ...secret, RecoveryWindowInDays: 7 });
    } catch {
      return;
    }
    tell(() => `the secret is to be deleted; it is restored after ${lasts} s`);
    await time.sleep(lasts * 1000);
    await service.handle('RestoreSecret', secret);
  }

  /** As Secrets Manager sends the steps: one after another, each again when it fails, and in the end it takes AWSPENDING off. */
  async function rotate({ delays, repeats }: Of<'rotation'>): Promise<void> {
    const steps = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'] as const;
    const token = serviceRandom.uuid();
    try {
      await service.handle('RotateSecret', {
        SecretId: TOKEN_SECRET,
        ClientRequestToken: token,
        RotationLambdaARN: 'arn:aws:lambda:eu-west-1:000000000000:function:d1-token-broker',
      });
    } catch {
      return;
    }
    for (const [index, delay] of delays.entries()) {
      const Step = steps[index];
      await time.sleep(delay * 1000);
      const event = { Step, SecretId: TOKEN_SECRET, ClientRequestToken: token };
      for (const { step, after } of repeats) {
        if (step === index) time.start(() => later(after, event));
      }
      let isDone = false;
      for (let attempt = 1; attempt <= ROTATION_TRIES && !isDone; attempt += 1) {
        if (attempt > 1) await time.sleep(20_000);
        const ended = await invoke('rotation', event);
        isDone = typeof ended === 'object' && ended.error === undefined;
        if (isDone && Step === 'finishSecret') await look(token);
      }
      if (!isDone) return;
    }
  }

  async function look(versionId: string): Promise<void> {
    const { VersionIdsToStages: stages } = (await service.handle('DescribeSecret', { SecretId: TOKEN_SECRET })) as {
      VersionIdsToStages: Record<string, string[]>;
    };
    promises.finished(stages[versionId] ?? []);
  }

  async function later(seconds: number, event: object): Promise<void> {
    await time.sleep(seconds * 1000);
    await invoke('rotation', event);
  }

  async function invoke(
    kind: EventKind,
    event: object,
    refused?: { token: string; obtainedAt: number; saying: string },
  ): Promise<Ended | 'throttled'> {
    const patience =
      time.now() + (kind === 'token' || kind === 'refusal' ? CALLER_WAITS_MILLISECONDS : TICK_WAITS_MILLISECONDS);
    let container = await findContainer();
    while (!container) {
      if (time.now() >= patience) return 'throttled';
      await time.sleep(250);
      container = await findContainer();
    }
    const chosen = container;
    const invocation = promises.begins({ kind, event, refused, container: chosen });
    const ended = await chosen
      .invoke(event)
      .catch((error: unknown) => promises.broke(`${describeEvent(kind, event)} threw ${String(error)}`));
    tell(() => `${describeEvent(kind, event)} in container ${chosen.index}: ${describeEnd(ended)}`);
    promises.ended(invocation, ended);
    answered = answerOf(ended) ?? answered;
    return ended;
  }

  async function findContainer(): Promise<Container | undefined> {
    const order = Array.from({ length: world.containers }, (_, index) => index);
    const first = routing.between(0, world.containers - 1);
    let free: number | undefined;
    for (const offset of order) {
      const index = (first + offset) % world.containers;
      const container = containers[index];
      if (!container || container.dead) {
        free ??= index;
        continue;
      }
      // A container is frozen while it works; one that is idle is frozen anyway.
      if (container.active < world.concurrency) return container;
    }
    if (free === undefined) return undefined;
    const container = open(free);
    container.active += 1;
    await time.sleep(COLD_START_MILLISECONDS);
    container.active -= 1;
    return container;
  }

  function open(index: number): Container {
    made += 1;
    const container = new Container({
      index,
      number: made,
      time,
      random: random(`container ${made}`),
      timeoutSeconds: world.timeoutSeconds,
      aheadMilliseconds: () => ahead[index] ?? 0,
      createClient: clientFor,
      d1,
      onExchange: (one) => promises.exchanging(one),
      onObtained: (one, token, came) => promises.obtained(one, token, came),
    });
    containers[index] = container;
    return container;
  }

  function clientFor(container: Container): SimulatedClient {
    const own = random(`secrets manager ${container.number}`);
    const trouble = (operation: string) => {
      const now = time.now();
      return troubles.find((one) => isOn(one, now) && one.operations.includes(operation as Operation));
    };
    const client = createSimulatedClient({
      service,
      time,
      random: own,
      latency: (operation) => {
        const found = troubles.length > 0 ? trouble(operation) : undefined;
        return found?.how === 'slow' ? found.seconds * 1000 : own.between(...world.requestTakes);
      },
      beforeRequest: (operation, input) => {
        if (container.dead) throw new DOMException('The container is dead.', 'AbortError');
        const found = troubles.length > 0 ? trouble(operation) : undefined;
        if (!found || !own.happens(found.share)) return undefined;
        if (found.how === 'throttled') throw new AwsError('ThrottlingException', 'Rate exceeded');
        if (found.how === 'down') throw new AwsError('InternalServiceError', 'Down', 500);
        if (found.how === 'denied') throw new AwsError('AccessDeniedException', 'Denied');
        const isPlainRead = operation === 'GetSecretValue' && input['VersionId'] === undefined;
        return found.how === 'stale' && isPlainRead ? asOf(time.now() - found.seconds * 1000) : undefined;
      },
      afterRequest: (operation, input, output) => {
        if (deletion?.upon === operation && time.now() <= deletion.until) {
          const { lasts } = deletion;
          deletion = undefined;
          time.start(async () => {
            await time.sleep(1);
            await deleteFor(lasts);
          });
        }
        if (operation === 'PutSecretValue') void noteCurrent('write', container);
        if (operation === 'UpdateSecretVersionStage') void noteCurrent('rotation', container);
        const found = troubles.length > 0 ? trouble(operation) : undefined;
        if (found?.how === 'lost' && own.happens(found.share)) throw new AwsError('InternalServiceError', 'Lost', 500);
        const isPending = input['VersionId'] !== undefined || input['VersionStages'] !== undefined;
        if ((operation === 'GetSecretValue' || operation === 'PutSecretValue') && !isPending)
          promises.saw(container, String(output['VersionId']));
      },
    });
    const send = (command: Parameters<typeof client.send>[0], options: object) => {
      // Told when it is sent: what another event of this container reads while it is on its way comes too late for it.
      if (command instanceof PutSecretValueCommand) {
        promises.putting(container, String(command.input.ClientRequestToken));
      }
      return client.send(command as never, options);
    };
    return { send: send as SimulatedClient['send'] };
  }

  /** What a read shows that is so much behind; nothing when there was nothing: then it shows the present. */
  function asOf(then: number): Record<string, unknown> | undefined {
    const old = history.findLast(({ at }) => at <= then);
    return old && { ...old.output };
  }

  /** Looks at what is current after anything may have changed it. */
  async function noteCurrent(by: Stored['by'], container?: Container): Promise<void> {
    const output = await service.handle('GetSecretValue', { SecretId: TOKEN_SECRET }).catch(() => undefined);
    const before = history.at(-1);
    if (!output || output['VersionId'] === before?.versionId) return;
    const record = recordOf(String(output['SecretString']));
    const stored: Stored = {
      at: time.now(),
      by,
      versionId: String(output['VersionId']),
      writtenAt: Number(output['CreatedDate']) * 1000,
      output,
      record,
      token: record?.access_token,
    };
    history.push(stored);
    tell(
      () =>
        `${by === 'hand' ? 'somebody' : `container ${container?.index}`} makes ${stored.token ?? 'a foreign value'} current`,
    );
    time.start(async () => promises.stored(stored, before));
  }
}

function recordOf(text: string): TokenRecord | undefined {
  const value: unknown = JSON.parse(text);
  return typeof value === 'object' && value !== null && 'access_token' in value ? (value as TokenRecord) : undefined;
}

const wishOf = (wish: number | undefined) => (wish === undefined ? {} : { min_remaining_seconds: wish });

const describeEvent = (kind: EventKind, event: object): string => {
  if (kind === 'tick') return 'tick';
  if (kind === 'rotation') return `rotation ${(event as { Step: string }).Step}`;
  const { action: _action, ...rest } = event as Record<string, unknown>;
  return `token ${JSON.stringify(rest)}`;
};

function describeEnd(ended: Ended): string {
  if (typeof ended === 'string') return ended;
  const warnings = ended.warnings.length > 0 ? ` (warned of ${ended.warnings.map(({ code }) => code).join(', ')})` : '';
  if (ended.error) return `${ended.error.code}${warnings}`;
  const { refreshed, reason, access_token: token, expires_in: left, source } = ended.answer ?? {};
  if (token !== undefined) return `${token}, ${left} s left, from ${source}${warnings}`;
  return reason === undefined ? `done${warnings}` : `${refreshed ? 'refreshed, ' : ''}${reason}${warnings}`;
}
