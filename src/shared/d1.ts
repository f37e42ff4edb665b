/** D1's environments and their hosts; one host serves every API. Source: D1 documentation, Authorization API. */
export const d1Hosts = {
  production: 'api.d1.thalescloud.io',
  staging: 'api.d1-stg.thalescloud.io',
  develop: 'develop-api.d1-dev.thalescloud.io',
} as const;

export type D1Environment = keyof typeof d1Hosts;

/** Where the Authorization API is below a host. */
export const AUTHORIZATION_PATH = '/authz/v1';

/** How far clocks may be apart and everything still works. */
export const CLOCK_TOLERANCE_SECONDS = 60;
/** What D1 gives a token, and the most that it grants an assertion. Source: D1 documentation, Authorization API. */
export const FULL_LIFE_SECONDS = 900;
/** Nobody can be promised a longer-lived token, and no assertion may live longer: a clock that is ahead must still pass. */
export const LONGEST_PROMISE_SECONDS = FULL_LIFE_SECONDS - CLOCK_TOLERANCE_SECONDS;
/** Seconds since 1970 UTC in the year 2100: a value in milliseconds does not pass for one in seconds. */
export const LATEST_EPOCH_SECONDS = 4_102_444_800;
/** A container may sleep for minutes between invocations, and a connection that died meanwhile looks alive. */
export const LONGEST_IDLE_MILLISECONDS = 30_000;
/** Connecting inside a Region takes a millisecond or two; a second means that there is no route. */
export const AWS_CONNECTION_TIMEOUT_MILLISECONDS = 1_000;
