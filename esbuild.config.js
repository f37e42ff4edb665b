// How the function is bundled: by `npm run package` (through serverless-esbuild), by `npm start`, and by the tests.
export default () => ({
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  outExtension: { '.js': '.mjs' },
  mainFields: ['module', 'main'],
  minify: true,
  // Stack traces keep the names that the runbook knows.
  keepNames: true,
  sourcemap: 'external',
  // Some dependencies are CommonJS and call `require`, which an ES module does not have.
  banner: {
    js: "import { createRequire as createRequireForBundle } from 'node:module'; const require = createRequireForBundle(import.meta.url);",
  },
});
