import { awsFailure } from '../../shared/aws-failure.ts';
import { output } from '../frame/stage.ts';
import { attention, type Found, failed, need, ok, stepFacts } from './found.ts';
import type { Check, Finding } from './run-checks.ts';

const PAGE = 'docs/second-region.md';
const VARIABLE = 'D1_PRIMARY_TOKEN_SECRET_ID';
/** With less than this left a standby asks D1 itself: its primary has had its turn. */
const STANDBY_WINDOW_SECONDS = 120;

const roleOf = ({ stack }: Found) => stack?.outputs.get('Role') ?? 'primary';
const replicaRegionsOf = ({ stack }: Found) => {
  const regions = stack?.outputs.get('ReplicaRegions') ?? 'none';
  return regions === 'none' ? [] : regions.split(',');
};
const isOfSecondRegion = (found: Found) => roleOf(found) !== 'primary';
const watches = (found: Found) => roleOf(found) === 'standby';

/** Two Regions: what a primary gives, and what its standby has of it. */
export const replicas: readonly Check<Found>[] = [
  {
    id: 'role',
    title: 'The functions have the role that the stack says',
    needs: ['function'],
    wanted: (found) =>
      isOfSecondRegion(found) ||
      replicaRegionsOf(found).length > 0 ||
      Boolean(found.configuration?.environment[VARIABLE]),
    run(found) {
      const role = roleOf(found);
      const is = need(found, 'configuration').environment[VARIABLE] ?? '';
      const wanted = role === 'standby' ? output(need(found, 'stack'), 'ReplicaOfPrimaryTokenSecretArn') : '';
      if (is !== wanted) {
        return failed(
          'ROLE_CHANGED',
          `The stack's role is ${role}, and ${VARIABLE} of the function ${is === '' ? 'is missing' : 'is another'}.`,
          'Deploy again, and find out who changed it (CloudTrail, UpdateFunctionConfiguration).',
        );
      }
      return role === 'promoted'
        ? attention(
            'PROMOTED',
            'The stack is a standby that was promoted: it watches no primary, and refreshes by itself.',
            `When the first Region is back: role: standby, and a deployment (${PAGE}).`,
          )
        : ok({ role, replica_regions: replicaRegionsOf(found) });
    },
  },
  replicated('replicas.token', 'The token secret is replicated', 'TokenSecretArn'),
  replicated('replicas.certificate', 'The client-certificate secret is replicated', 'ClientCertificateSecretArn'),
  {
    id: 'replica.secret',
    title: "There is a replica of the primary's token secret",
    needs: ['role'],
    wanted: watches,
    action: 'secretsmanager:DescribeSecret',
    async run(found) {
      const SecretId = output(need(found, 'stack'), 'ReplicaOfPrimaryTokenSecretArn');
      const secretsManager = await found.clients.secretsManager();
      try {
        const { PrimaryRegion } = await secretsManager.describeSecret({ SecretId });
        return PrimaryRegion === undefined || PrimaryRegion === found.region
          ? failed(
              'REPLICA_CUT_OFF',
              `${SecretId} is no replica: its replication was stopped.`,
              'Replicate it again, in the first Region: aws secretsmanager replicate-secret-to-regions --force-overwrite-replica-secret.',
            )
          : ok({ primary_region: PrimaryRegion });
      } catch (error) {
        if (awsFailure(error).name !== 'ResourceNotFoundException') throw error;
        return failed(
          'REPLICA_MISSING',
          `There is no replica ${SecretId}.`,
          `Give the primary replicaRegions with a key of ${found.region}, and correct primaryTokenSecretArn here if need be.`,
        );
      }
    },
  },
];

/** The standby's signing keys. */
export const replicaKeys: readonly Check<Found>[] = [
  {
    id: 'replica.key',
    title: "The signing key is a replica of the primary's",
    needs: ['key.state'],
    wanted: isOfSecondRegion,
    action: 'kms:DescribeKey',
    async run(found) {
      const stack = need(found, 'stack');
      const KeyId = output(stack, 'SigningKeyArn');
      const { KeyMetadata } = await (await found.clients.kms()).describeKey({ KeyId });
      const { MultiRegionKeyType, PrimaryKey } = KeyMetadata?.MultiRegionConfiguration ?? {};
      // A key of its own has another public half than the one that D1 knows under this kid.
      const isWrong = MultiRegionKeyType === undefined || (watches(found) && MultiRegionKeyType !== 'REPLICA');
      return isWrong
        ? failed(
            'REPLICA_KEY_WRONG',
            `The signing key ${KeyId}, kid ${output(stack, 'SigningKeyId')}, is no replica of the primary's key.`,
            "Correct primaryCurrentSigningKeyArn (or primaryNextSigningKeyArn): the output of the primary's stack, as it is.",
          )
        : ok({ kid: output(stack, 'SigningKeyId'), primary: PrimaryKey?.Region ?? null });
    },
  },
];

/** What the standby's function finds in the replica. */
export const replicaContents: readonly Check<Found>[] = [
  {
    id: 'replica.token',
    title: "The function reads the primary's living token in the replica",
    needs: ['check.token_secret'],
    unless: ['replica.secret'],
    wanted: watches,
    run(found) {
      const facts = stepFacts(found, 'token_secret');
      const { replica_holds: holds = 'nothing', replica_error_code: code, replica_age_seconds: age = null } = facts;
      if (holds !== 'token') {
        return failed(
          'PRIMARY_TOKEN_UNAVAILABLE',
          holds === 'unreadable'
            ? `The function can't read the replica of the primary's token: ${code}.`
            : `The replica of the primary's token holds ${holds === 'foreign' ? 'something else' : 'nothing'}.`,
          holds === 'unreadable'
            ? "Look at the primary's secret policy, which comes with the replica, and at the policy of the key that replicaRegions names."
            : 'Onboard the primary first, and look at its ticks.',
        );
      }
      const left = Number(facts['replica_seconds_left']);
      return left < STANDBY_WINDOW_SECONDS
        ? attention(
            'PRIMARY_TOKEN_UNAVAILABLE',
            `The primary's token in the replica came ${age} s ago and has ${Math.max(0, left)} s left: this stack asks D1 itself.`,
            `Run the doctor in the first Region: its ticks stand still, or its replication lags. ${PAGE}, "A Region is lost".`,
          )
        : ok({ age_seconds: age, seconds_left: left });
    },
  },
];

function replicated(id: string, title: string, outputName: string): Check<Found> {
  return {
    id,
    title,
    needs: ['stack'],
    wanted: (found) => replicaRegionsOf(found).length > 0,
    action: 'secretsmanager:DescribeSecret',
    async run(found): Promise<Finding> {
      const SecretId = output(need(found, 'stack'), outputName);
      const { ReplicationStatus = [] } = await (await found.clients.secretsManager()).describeSecret({ SecretId });
      const regions = replicaRegionsOf(found);
      const statusOf = (region: string) => ReplicationStatus.find(({ Region }) => Region === region)?.Status;
      const missing = regions.filter((region) => statusOf(region) === undefined);
      if (missing.length > 0) {
        return failed(
          'REPLICA_MISSING',
          `${SecretId} has no replica in ${missing.join(', ')}.`,
          'Deploy again: replicaRegions makes it. A secret of existing…Arn is replicated by whoever made it.',
        );
      }
      const broken = regions.filter((region) => statusOf(region) === 'Failed');
      if (broken.length > 0) {
        return failed(
          'REPLICA_FAILED',
          `The replica of ${SecretId} in ${broken.join(', ')} is not in sync: its replication failed.`,
          'aws secretsmanager describe-secret says why: most often the key in replicaRegions, or a secret of that name there.',
        );
      }
      const late = regions.filter((region) => statusOf(region) !== 'InSync');
      return late.length > 0
        ? attention('REPLICA_BUSY', `The replica in ${late.join(', ')} is being made.`, 'Wait until it is done.')
        : ok({ in_sync: regions });
    },
  };
}
