/** D1's rule for `x-correlation-id`. Logged in clear at the other end: nothing personal belongs in it. */
const pattern = /^[A-Za-z0-9_-]{1,64}$/;

export const isCorrelationId = (value: unknown): value is string => typeof value === 'string' && pattern.test(value);
