/** The flags that every command has, as the AWS CLI spells them. */
export interface PlaceFlags {
  readonly stage: string;
  readonly region?: string;
  readonly profile?: string;
  readonly json: boolean;
}

/** The flags of a command that changes something. */
export interface ChangeFlags extends PlaceFlags {
  readonly dryRun: boolean;
  readonly confirm?: string;
}

const text = (brief: string, placeholder: string) =>
  ({ kind: 'parsed', parse: String, brief, placeholder, optional: true }) as const;

export const onOff = (brief: string) => ({ kind: 'boolean', brief, default: false, withNegated: false }) as const;
export const optionalText = text;

export const placeFlags = {
  stage: {
    kind: 'parsed',
    parse: stageName,
    brief: 'The stage, as in infra/params.yml',
    placeholder: 'STAGE',
  },
  region: text('The AWS Region; else AWS_REGION or the profile says it', 'REGION'),
  profile: text("A profile of the AWS CLI's configuration", 'PROFILE'),
  json: onOff('One JSON document instead of text; docs/cli.md names its schema'),
} as const;

export const changeFlags = {
  ...placeFlags,
  dryRun: onOff('Say what would be done, and change nothing'),
  confirm: text('On production: the issuer id, for scripts; a person is asked for it', 'ISSUER'),
} as const;

function stageName(input: string): string {
  if (!/^[A-Za-z0-9-]{1,40}$/.test(input)) throw new TypeError('a stage is of A-Z a-z 0-9 -');
  return input;
}
