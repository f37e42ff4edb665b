import { awsFailure } from '../../shared/aws-failure.ts';
import { CLOCK_TOLERANCE_SECONDS } from '../../shared/d1.ts';
import { CliFailure, failure } from '../frame/cli-failure.ts';
import { invokeCheck } from '../frame/invoke.ts';
import { activePlace, isProduction, keyAt, otherPlace, output } from '../frame/stage.ts';
import { attention, type Found, failed, need, ok, stepFacts, stepFinding } from './found.ts';
import { inSubnets, networkOfAws, networkOfD1 } from './network-checks.ts';
import { replicaContents, replicaKeys } from './replica-checks.ts';
import type { Check, Finding } from './run-checks.ts';

/** As the alarms: docs/runbook.md, "certificate expires soon". */
const CERTIFICATE_SOON_DAYS = 30;
const CERTIFICATE_URGENT_DAYS = 7;
/** An alarm wakes somebody at this. */
const TOKEN_ALARM_SECONDS = 120;
const GRACE_SECONDS = 5;
/** Six an hour, and 24 forced ones; AWS keeps versions that are younger than a day, and has a quota for them. */
const MOST_WRITES = 170;

/** Keys, certificate and token: as AWS shows them to a person, and as the function finds them. */
export const secretChecks: readonly Check<Found>[] = [
  {
    id: 'key.state',
    title: 'The signing key is enabled',
    needs: ['stack'],
    action: 'kms:DescribeKey',
    async run(found) {
      const { arn, state } = await describeKey(found, output(need(found, 'stack'), 'SigningKeyArn'));
      if (state === 'Enabled') return ok({ arn, state });
      return failed(
        'SIGNING_FAILED',
        `The signing key ${arn} is ${state}.`,
        state === 'PendingDeletion'
          ? 'aws kms cancel-key-deletion, then enable-key; and find out who did it.'
          : 'aws kms enable-key, after finding out who disabled it.',
      );
    },
  },
  {
    id: 'key.spec',
    title: 'The signing key is of P-256, and for signing',
    needs: ['key.state'],
    action: 'kms:DescribeKey',
    async run(found) {
      const { arn, spec, usage } = await describeKey(found, output(need(found, 'stack'), 'SigningKeyArn'));
      return spec === 'ECC_NIST_P256' && usage === 'SIGN_VERIFY'
        ? ok({ spec, usage })
        : failed(
            'KEY_WRONG',
            `The signing key ${arn} is ${spec} for ${usage}.`,
            'ECC_NIST_P256 for SIGN_VERIFY is needed: begin a rollover (d1-token key rollover start).',
          );
    },
  },
  {
    id: 'key.alias',
    title: "The key's alias names it",
    needs: ['stack'],
    unless: ['key.state'],
    action: 'kms:DescribeKey',
    async run(found) {
      const stack = need(found, 'stack');
      const key = keyAt(stack, activePlace(stack));
      if (!key || key.alias === '') return ok();
      const { arn } = await describeKey(found, key.alias);
      return arn === key.arn
        ? ok({ alias: key.alias })
        : failed(
            'ALIAS_MOVED',
            `${key.alias} names another key than the one that signs.`,
            'Deploy again, and find out who moved it.',
          );
    },
  },
  {
    id: 'key.other',
    title: 'No rollover is under way',
    needs: ['stack'],
    action: 'kms:DescribeKey',
    async run(found) {
      const stack = need(found, 'stack');
      const other = keyAt(stack, otherPlace(activePlace(stack)));
      if (!other) return ok();
      const { state } = await describeKey(found, other.arn);
      return attention(
        'ROLLOVER_UNDER_WAY',
        `The stack has a second signing key, kid ${other.kid}, which is ${state}.`,
        'd1-token key rollover status says what comes next.',
      );
    },
  },
  ...replicaKeys,
  {
    id: 'certificate.secret',
    title: 'The client-certificate secret has a value',
    needs: ['stack'],
    action: 'secretsmanager:DescribeSecret',
    run: (found) => describeSecret(found, 'ClientCertificateSecretArn', 'CLIENT_CERTIFICATE_UNAVAILABLE', true),
  },
  {
    id: 'token.secret',
    title: 'The token secret is there',
    needs: ['stack'],
    action: 'secretsmanager:DescribeSecret',
    run: (found) => describeSecret(found, 'TokenSecretArn', 'TOKEN_SECRET_MISSING', false),
  },
  {
    id: 'token.rotation',
    title: 'The token secret can be rotated',
    needs: ['token.secret'],
    action: 'secretsmanager:DescribeSecret',
    async run(found) {
      const stack = need(found, 'stack');
      if (stack.parameters.get('Onboarded') !== 'true') return ok({ rotation: false });
      const secretsManager = await found.clients.secretsManager();
      const { RotationEnabled } = await secretsManager.describeSecret({ SecretId: output(stack, 'TokenSecretArn') });
      return RotationEnabled
        ? ok({ rotation: true })
        : attention(
            'NO_ROTATION',
            'The token secret has no rotation, so "Rotate immediately" does not work.',
            'Deploy again.',
          );
    },
  },
  {
    id: 'check',
    title: 'The function answers to a check',
    needs: ['function'],
    unless: ['function.state', 'function.environment'],
    action: 'lambda:InvokeFunction',
    // Lambda cuts it off then; whatever comes later hangs on the way.
    patience: (found) => need(found, 'configuration').timeoutSeconds + GRACE_SECONDS,
    async run(found) {
      const configuration = need(found, 'configuration');
      const exchange = found.exchange ?? !isProduction(configuration);
      found.report = await invokeCheck(found.clients, configuration.name, { exchange }, found.progress).catch(
        (error: unknown) => {
          throw inSubnets(configuration, error);
        },
      );
      return ok({ exchange, correlation_id: found.report.correlation_id });
    },
  },
  ...networkOfAws,
  step('check.signing_key', 'The function can sign', 'signing_key', ['key.state', 'key.spec', 'network.aws']),
  step('check.client_certificate', 'The function can use the client certificate', 'client_certificate', [
    'certificate.secret',
    'network.aws',
  ]),
  {
    id: 'certificate.days',
    title: 'The client certificate lives on',
    needs: ['check.client_certificate'],
    run(found) {
      const { days_left: days = 0, subject = '' } = stepFacts(found, 'client_certificate');
      const what = `The client certificate expires in ${days} days.`;
      const renew = 'd1-token certificate request, and send the CSR to Thales.';
      if (Number(days) < CERTIFICATE_URGENT_DAYS)
        return failed('CERTIFICATE_EXPIRES', what, `${renew} Call them today.`);
      if (Number(days) < CERTIFICATE_SOON_DAYS) return attention('CERTIFICATE_EXPIRES_SOON', what, renew);
      return ok({ days, subject });
    },
  },
  {
    id: 'certificate.subject',
    title: 'The client certificate is of this issuer and environment',
    needs: ['check.client_certificate'],
    run(found) {
      const configuration = need(found, 'configuration');
      const issuer = configuration.environment['D1_ISSUER_ID'] ?? '';
      const subject = String(stepFacts(found, 'client_certificate')['subject'] ?? '');
      const wrongEnvironment = isProduction(configuration) ? /\bPPR\b/ : /\bPRD\b/;
      if (!subject.includes(issuer) || wrongEnvironment.test(subject)) {
        const isRefused = need(found, 'report').steps.some(
          ({ step, outcome }) => step === 'exchange' && outcome === 'failed',
        );
        // Names are Thales's to choose: only where D1 refuses does another name say why.
        return (isRefused ? failed : attention)(
          'CERTIFICATE_OF_ANOTHER',
          subject.includes(issuer)
            ? `The client certificate is of ${subject}, and the function is of D1's other environment.`
            : `The client certificate is of ${subject}, and the function is of issuer ${issuer}.`,
          'Thales issues one for each issuer and environment: compare issuerId and environment in infra/params.yml with it.',
        );
      }
      return ok({ subject });
    },
  },
  ...networkOfD1,
  step('check.connection', 'The function reaches D1', 'connection', [
    'network.aws',
    'check.client_certificate',
    'proxy',
    'network.d1',
  ]),
  {
    id: 'clock',
    title: "The function's clock and D1's agree",
    needs: ['check.connection'],
    run(found) {
      const { clock_difference_seconds: seconds } = stepFacts(found, 'connection');
      if (seconds === undefined) return ok();
      return Math.abs(Number(seconds)) > CLOCK_TOLERANCE_SECONDS
        ? failed(
            'CLOCK_WRONG',
            `The function's clock and D1's are ${seconds} s apart.`,
            "AWS's clock is not wrong; ask Thales.",
          )
        : ok({ seconds });
    },
  },
  step('check.token_secret', 'The function can read the token secret', 'token_secret', ['token.secret', 'network.aws']),
  ...replicaContents,
  {
    id: 'check.exchange',
    title: 'D1 gives the function a token',
    needs: ['check'],
    unless: ['network.aws', 'proxy', 'network.d1', 'check.signing_key', 'check.connection', 'certificate.subject'],
    run(found) {
      const finding = stepFinding(found, 'exchange');
      if (finding.outcome === 'ok' || finding.code !== 'TOKEN_ENDPOINT_REJECTED') return finding;
      // D1 does not say which of them it does not like.
      const {
        D1_ISSUER_ID: issuer,
        D1_SUBJECT: subject = issuer,
        D1_AUDIENCE: audience,
      } = need(found, 'configuration').environment;
      const asked = [
        `issuer ${issuer}`,
        ...(subject === issuer || subject === '' ? [] : [`subject ${subject}`]),
        `kid ${need(found, 'report').key_id}`,
        audience ? `audience ${audience}` : 'no audience',
      ];
      return {
        ...finding,
        remedy: `${finding.remedy} D1 was asked with ${asked.join(', ')}; d1-token key export prints the public key that Thales must have under that kid.`,
      };
    },
  },
  step('check.store', 'The function can store the token', 'store', ['check.exchange', 'check.token_secret']),
  {
    id: 'token.fresh',
    title: 'The stored token lives',
    needs: ['check.token_secret'],
    unless: [
      'proxy',
      'network.d1',
      'check.signing_key',
      'check.client_certificate',
      'check.connection',
      'check.exchange',
      'check.store',
    ],
    run(found) {
      const facts = stepFacts(found, 'token_secret');
      if (need(found, 'stack').parameters.get('Onboarded') !== 'true')
        return ok({ holds: facts['holds'] ?? 'nothing' });
      if (facts['holds'] === 'foreign') {
        return attention(
          'TOKEN_SECRET_FOREIGN',
          'The token secret held a value that the broker did not write.',
          'Find who writes it.',
        );
      }
      const left = Number(facts['seconds_left'] ?? 0);
      return left < TOKEN_ALARM_SECONDS
        ? failed(
            'TOKEN_EXPIRING',
            left > 0 ? `The stored token had ${left} s left.` : 'The secret held no living token.',
            'Nobody refreshes it in time: see the ticks below.',
          )
        : ok({ seconds_left: left });
    },
  },
  {
    id: 'token.writes',
    title: 'The token secret is written no more often than AWS asks for',
    needs: ['check.token_secret'],
    run(found) {
      const { writes_within_24_hours: writes } = stepFacts(found, 'token_secret');
      if (writes === undefined) return ok();
      return Number(writes) > MOST_WRITES
        ? attention(
            'TOKEN_STORE_QUOTA_EXCEEDED',
            `The token secret was written ${writes} times within 24 hours.`,
            'Something else writes it: CloudTrail, PutSecretValue by userIdentity.',
          )
        : ok({ writes });
    },
  },
];

function step(
  id: string,
  title: string,
  name: 'signing_key' | 'client_certificate' | 'connection' | 'token_secret' | 'exchange' | 'store',
  unless: readonly string[],
): Check<Found> {
  // What has failed in the function before is not told twice: the step itself is then not checked.
  return { id, title, needs: ['check'], unless, run: (found) => stepFinding(found, name) };
}

async function describeKey(found: Found, KeyId: string) {
  try {
    const { KeyMetadata: key } = await (await found.clients.kms()).describeKey({ KeyId });
    return {
      arn: key?.Arn ?? '',
      state: key?.KeyState ?? 'unknown',
      spec: key?.KeySpec ?? 'unknown',
      usage: key?.KeyUsage ?? 'unknown',
    };
  } catch (error) {
    if (awsFailure(error).name === 'NotFoundException') {
      throw failure(
        'SIGNING_FAILED',
        `The signing key ${KeyId} is gone.`,
        'Begin a rollover (d1-token key rollover start), and onboard its public key at Thales.',
      );
    }
    throw error;
  }
}

async function describeSecret(found: Found, outputName: string, code: string, wantsValue: boolean): Promise<Finding> {
  const SecretId = output(need(found, 'stack'), outputName);
  try {
    const secret = await (await found.clients.secretsManager()).describeSecret({ SecretId });
    if (secret.DeletedDate) {
      return failed(
        code,
        `The secret ${secret.Name} is scheduled for deletion.`,
        'aws secretsmanager restore-secret, and find out who did it.',
      );
    }
    const labels = Object.values(secret.VersionIdsToStages ?? {}).flat();
    if (wantsValue && !labels.includes('AWSCURRENT')) {
      return failed(
        code,
        `The secret ${secret.Name} has no value.`,
        'd1-token certificate request, and later install.',
      );
    }
    return ok({ name: secret.Name ?? '' });
  } catch (error) {
    if (awsFailure(error).name === 'ResourceNotFoundException') {
      throw new CliFailure({
        code,
        what: `The secret ${SecretId} is gone.`,
        remedy: 'Deploy again.',
        outcome: 'failed',
      });
    }
    throw error;
  }
}
