import { createHash } from 'node:crypto';
import type { TickAnswer, TokenAnswer } from '../../src/events.ts';
import type { CheckReport } from '../../src/shared/check-report.ts';
import { bundleHandler } from '../bundle.ts';
import { callD1AsConsumer } from '../consumer.ts';
import { type Container, startContainer } from '../lambda/container.ts';
import {
  BROKER_FUNCTION_ARN,
  CLIENT_CERTIFICATE_SECRET,
  ISSUER_ID,
  type Sandbox,
  startSandbox,
  TOKEN_SECRET,
} from '../sandbox.ts';
import { schedulerTick } from '../scheduler-tick.ts';
import { costs, narrator, prove, shortened } from './narrator.ts';
import { Observer } from './observer.ts';

const { title, line, fact } = narrator;

interface Scene {
  readonly sandbox: Sandbox;
  readonly container: Container;
  readonly observer: Observer;
  /** The scene's clock: milliseconds since 1970 UTC. */
  now(): number;
  /** Moves D1, AWS and the container on together, so that nobody has to wait. */
  advance(milliseconds: number): void;
}

/**
 * The main job, end to end, on the sandbox: the bundled handler in a process of its own, the way AWS runs it.
 *
 * @throws StoryBroken when a step did not do what it says.
 */
export async function tellStory(): Promise<void> {
  const scene = await open();
  try {
    await firstTick(scene);
    await secondTick(scene);
    await consumerReads(scene);
    await directCall(scene);
    await refusedToken(scene);
    await rotation(scene);
    await check(scene);
  } finally {
    await scene.container.kill();
    await scene.sandbox.close();
  }
  title('Done.');
  line('npm run sandbox keeps this running for you to try; README.md tells of four ways to use it.');
}

async function open(): Promise<Scene> {
  title('The sandbox: AWS KMS, Secrets Manager, Lambda and Thales D1 on loopback');
  let ahead = 0;
  const observer = new Observer();
  const broker = Promise.withResolvers<Container>();
  const now = () => Date.now() + ahead;
  const sandbox = await startSandbox({
    clock: { now },
    awsIntercept: observer.aws,
    d1Intercept: observer.d1,
    brokerFunction: async (event) => (await broker.promise).invoke(event),
  });
  const bundle = await bundleHandler();
  const container = await startContainer(bundle.file, sandbox.environment);
  broker.resolve(container);
  fact('AWS endpoint', sandbox.environment['AWS_ENDPOINT_URL'] ?? '');
  fact('D1', sandbox.d1.baseUrl);
  fact('Lambda', `process ${container.processId}, Node ${process.versions.node}, bundle of ${bundle.bytes} bytes`);
  const advance = (milliseconds: number) => {
    ahead += milliseconds;
    container.advance(milliseconds);
  };
  return { sandbox, container, observer, now, advance };
}

/** Runs one step and says what it cost. */
async function counted<T>({ sandbox }: Scene, work: () => Promise<T>): Promise<{ result: T; cost: string }> {
  const mark = sandbox.calls.mark();
  const result = await work();
  const cost = costs(sandbox.calls.since(mark));
  fact('calls', cost);
  return { result, cost };
}

async function firstTick(scene: Scene): Promise<void> {
  const { sandbox, container, observer } = scene;
  title('1. EventBridge Scheduler ticks, and the token secret is empty');
  const { result } = await counted(scene, () => container.invoke(schedulerTick));
  const answer = result as TickAnswer;
  const { header, claims, ...exchange } = observer.exchange;
  fact('signed by', observer.signature.keyArn);
  fact('JWT header', JSON.stringify(header));
  fact('JWT claims', JSON.stringify(claims));
  fact(
    'signature',
    `${observer.signature.derBytes} bytes of DER from KMS, ${exchange.rawSignatureBytes} bytes raw R||S`,
  );
  fact('TLS', `${exchange.protocol}, ${exchange.cipher}`);
  fact('server certificate', sandbox.serverSubject);
  fact('client certificate', exchange.clientSubject);
  fact('x-correlation-id', exchange.correlationId);
  fact('stored as', `version ${answer.version_id?.slice(0, 12)}…, expires at ${isoTime(answer.expires_at)}`);
  prove(exchange.rawSignatureBytes === 64, 'the signature in the JWT is 64 bytes, and D1 accepted it');
  prove(answer.refreshed && answer.reason === 'missing', 'the token was missing, and was refreshed');
  prove((await currentVersion(sandbox)) === answer.version_id, 'the secret holds that version');
  prove(!('access_token' in answer), 'the scheduler was not given the token');
}

async function secondTick(scene: Scene): Promise<void> {
  title('2. A minute later it ticks again');
  scene.advance(60_000);
  const { result, cost } = await counted(scene, () => scene.container.invoke(schedulerTick));
  const answer = result as TickAnswer;
  prove(!answer.refreshed && answer.reason === 'fresh', 'the token is fresh, so nothing was done');
  prove(cost === '1 GetSecretValue', 'and that cost one read');
}

async function consumerReads(scene: Scene): Promise<void> {
  const { sandbox } = scene;
  title("3. Another team's Lambda reads the secret and calls the D1 API");
  const { SecretString } = await sandbox.secretsManager.handle('GetSecretValue', {
    SecretId: CLIENT_CERTIFICATE_SECRET,
  });
  const { result } = await counted(scene, () =>
    callD1AsConsumer({
      environment: sandbox.environment,
      clientCertificateSecret: String(SecretString),
      url: `${sandbox.d1.origin}/banking/v1/issuers/${ISSUER_ID}`,
      now: scene.now,
    }),
  );
  fact('read', `version ${result.versionId.slice(0, 12)}…, ${result.secondsLeft} s left`);
  fact('GET /banking/v1/…', `HTTP ${result.status} ${result.body}`);
  prove(result.status === 200, 'D1 accepted the token');
}

async function directCall(scene: Scene): Promise<void> {
  title('4. Someone invokes the Lambda for a token');
  const { result, cost } = await counted(scene, () => scene.container.invoke({ min_remaining_seconds: 120 }));
  const answer = result as TokenAnswer;
  fact('answer', `${shortened(answer.access_token)}, ${answer.expires_in} s left, source: ${answer.source}`);
  prove(answer.source === 'memory' && cost === 'no calls', "it came from the container's memory, without a call");
}

async function refusedToken(scene: Scene): Promise<void> {
  const { sandbox, container } = scene;
  title('5. D1 answers 401, and the consumers say which token it refused');
  const refused = (await container.invoke({})) as TokenAnswer;
  const refusal = { action: 'token', newer_than: refused.obtained_at, refused: digestOf(refused.access_token) };
  const { result } = await counted(scene, () => container.invoke(refusal));
  const newer = result as TokenAnswer;
  fact('answer', `${shortened(newer.access_token)}, ${newer.expires_in} s left, source: ${newer.source}`);
  prove(newer.source === 'exchange' && newer.access_token !== refused.access_token, 'D1 issued another token');
  prove((await storedToken(sandbox)) === newer.access_token, 'the secret holds it, for those who only read');
  const again = await counted(scene, () => container.invoke(refusal));
  const same = (again.result as TokenAnswer).access_token === newer.access_token;
  prove(
    same && again.cost === 'no calls',
    'who saw the same 401 gets the same token: a thousand cause one exchange per container',
  );
}

async function rotation(scene: Scene): Promise<void> {
  const { sandbox } = scene;
  title('6. An auditor presses "Rotate immediately"');
  const before = await currentVersion(sandbox);
  const { VersionId } = await sandbox.secretsManager.handle('RotateSecret', {
    SecretId: TOKEN_SECRET,
    ClientRequestToken: crypto.randomUUID(),
    RotationLambdaARN: BROKER_FUNCTION_ARN,
    RotationRules: { AutomaticallyAfterDays: 30 },
  });
  const { result } = await counted(scene, () => sandbox.secretsManager.rotationSettled());
  fact('versions', `${before.slice(0, 12)}… was current, ${String(VersionId).slice(0, 12)}… is`);
  prove(result === 'succeeded', 'createSecret, setSecret, testSecret and finishSecret succeeded');
  prove((await currentVersion(sandbox)) === VersionId, "the rotation's version is AWSCURRENT");
  const { VersionIdsToStages } = await sandbox.secretsManager.handle('DescribeSecret', { SecretId: TOKEN_SECRET });
  const labels = Object.values(VersionIdsToStages as Record<string, string[]>).flat();
  prove(!labels.includes('AWSPENDING'), 'nothing is left pending');
}

async function check(scene: Scene): Promise<void> {
  title('7. Somebody asks whether all is well, and is answered from where the token is made');
  scene.advance(60_000);
  const { result } = await counted(scene, () => scene.container.invoke({ action: 'check' }));
  const report = result as CheckReport;
  for (const step of report.steps) {
    if (step.outcome === 'ok')
      fact(
        step.step.replaceAll('_', ' '),
        Object.entries(step.facts)
          .map((pair) => pair.join(' '))
          .join(', '),
      );
  }
  prove(report.passed, 'secrets, certificate, signature, connection, exchange and store: every step is good');
  prove(!JSON.stringify(report).includes(String(await storedToken(scene.sandbox))), 'and no step tells the token');
}

async function storedToken(sandbox: Sandbox): Promise<unknown> {
  const { SecretString } = await sandbox.secretsManager.handle('GetSecretValue', { SecretId: TOKEN_SECRET });
  return JSON.parse(String(SecretString)).access_token;
}

async function currentVersion(sandbox: Sandbox): Promise<string> {
  const { VersionId } = await sandbox.secretsManager.handle('GetSecretValue', { SecretId: TOKEN_SECRET });
  return String(VersionId);
}

/** As a consumer in any language computes it: README.md, "Four ways to use it". */
const digestOf = (accessToken: string) => createHash('sha256').update(accessToken).digest('hex').slice(0, 16);

const isoTime = (seconds: number) => new Date(seconds * 1000).toISOString();
