// `${file(infra/parameters.js)}` in serverless.yml. osls requires this file, and calls what it gets.
import { checkedParameters, WrongParameters } from './check-parameters.ts';

/** Whoever has to correct the file needs these sentences, and not what osls would wrap around them. */
function parameters(osls) {
  return checkedParameters(osls).then(
    ({ parameters, notices }) => {
      for (const notice of notices) process.stderr.write(`${notice}.\n`);
      return parameters;
    },
    (error) => {
      // osls has errors of its own that say "ask again later".
      if (!(error instanceof WrongParameters)) throw error;
      process.stderr.write(`${error.message}\n`);
      process.exit(1);
    },
  );
}

export { parameters as 'module.exports' };
