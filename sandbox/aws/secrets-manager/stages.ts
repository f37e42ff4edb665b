import { AwsError } from '../aws-error.ts';
import type { Input } from '../input.ts';
import type { Version, Versions } from './versions.ts';

/**
 * UpdateSecretVersionStage: puts a label on a version, moves it, or takes it off. Who moves or removes a label must name
 * the version that has it, so that two who move at once can't both succeed.
 */
export function updateStage(versions: Versions, input: Input): { label: string; target: Version | undefined } {
  const label = input.string('VersionStage', { min: 1, max: 256 });
  const from = input.optionalString('RemoveFromVersionId', { min: 32, max: 64 });
  const to = input.optionalString('MoveToVersionId', { min: 32, max: 64 });
  const target = to === undefined ? undefined : versions.get(to);
  if (to !== undefined && !target) {
    throw new AwsError('ResourceNotFoundException', `Secrets Manager can't find the secret version ${to}.`);
  }
  const holder = versions.holder(label);
  if (from === undefined && !target) throw input.error('Give RemoveFromVersionId, MoveToVersionId or both.');
  if (from === undefined && holder && holder !== target) {
    throw input.error(
      `The parameter RemoveFromVersionId can't be empty. Staging label ${label} is currently attached to version ` +
        `${holder.id}, so you must explicitly reference that version in RemoveFromVersionId.`,
    );
  }
  if (from !== undefined && holder?.id !== from) {
    throw input.error(`The staging label ${label} is not attached to the version in RemoveFromVersionId.`);
  }
  if (target) versions.attach(label, target);
  else if (label === 'AWSCURRENT') throw input.error('AWSCURRENT can be moved to another version, but not removed.');
  else versions.detach(label);
  return { label, target };
}
