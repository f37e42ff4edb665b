/** A tick as EventBridge Scheduler sends it to a Lambda target without an input of its own. `detail` is a string there. */
export const schedulerTick = {
  version: '0',
  id: 'b4a5b6c7-1111-4222-8333-444455556666',
  'detail-type': 'Scheduled Event',
  source: 'aws.scheduler',
  account: '000000000000',
  time: '2026-11-23T00:00:00Z',
  region: 'eu-west-1',
  resources: ['arn:aws:scheduler:eu-west-1:000000000000:schedule/default/d1-token-broker'],
  detail: '{}',
};
