import { callAws } from './aws-calls.ts';

// The floor: the two SDK clients, the calls to AWS that the broker makes for the same event, and nothing else.
export const handler = () => callAws(async () => {});
