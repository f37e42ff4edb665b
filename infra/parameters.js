// `${file(infra/parameters.js)}` in serverless.yml. osls requires this file, and calls what it gets.
import { checkedParameters } from './check-parameters.ts';

export { checkedParameters as 'module.exports' };
