import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Who may import whom: a file imports its own folder, and what stands further down. Neighbours on one line do not know
 * each other. A new file or folder of src/ needs its place here.
 */
const layers: readonly (readonly string[])[] = [
  ['cli/main.ts'],
  ['cli/run.ts'],
  ['cli/program.ts'],
  [
    'cli/adopt/',
    'cli/certificate/',
    'cli/doctor/',
    'cli/init/',
    'cli/issuer/',
    'cli/key/',
    'cli/operate/',
    'cli/token/',
  ],
  ['cli/frame/'],
  ['handler.ts', 'fleet/'],
  ['app.ts'],
  ['check/'],
  ['broker/', 'parts.ts', 'telemetry.ts'],
  ['trial/'],
  ['assertion/', 'token-endpoint/', 'token-store/'],
  ['events.ts', 'invocation.ts', 'reader/'],
  ['aws/', 'config.ts', 'deadline.ts'],
  ['proxy-failure.ts'],
  ['build-record.ts', 'errors.ts'],
  ['shared/'],
];

interface Import {
  /** From the project's root, like `src/app.ts`. */
  readonly file: string;
  /** Likewise when it is one of ours, else the package's name. */
  readonly target: string;
}

const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && !name.startsWith(join('reader', 'dist')))
  .map((name) => join('src', name).replaceAll('\\', '/'));

function importsOf(file: string, text: string): Import[] {
  const specifiers = [...text.matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*)'([^']+)'/g)].map((match) => match[1] ?? '');
  return specifiers.map((specifier) => ({
    file,
    target: specifier.startsWith('.') ? relative(root, resolve(root, file, '..', specifier)) : specifier,
  }));
}

const importsIn = (files: readonly string[]) =>
  files.flatMap((file) => importsOf(file, readFileSync(join(root, file), 'utf8')));
const imports = importsIn(sources);

/** What stands beside src/, by folder: every source file of it, examples too. */
const beside = (folder: string) =>
  importsIn(
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .map((name) => join(folder, name).replaceAll('\\', '/'))
      .filter((name) => /\.(ts|js|mjs|cjs)$/.test(name) && !/node_modules|\/dist\//.test(name)),
  );

const layerOf = (file: string) =>
  layers.findIndex((names) =>
    names.some((name) => (name.endsWith('/') ? file.startsWith(`src/${name}`) : file === `src/${name}`)),
  );

const folderOf = (file: string) => file.slice(0, file.lastIndexOf('/'));

function isUpwards({ file, target }: Import): boolean {
  if (!target.startsWith('src/')) return false;
  const isOwnFolder = folderOf(file) === folderOf(target) && folderOf(file) !== 'src';
  return !isOwnFolder && layerOf(target) <= layerOf(file);
}

/** `shared/` is what broker and reader have in common: it imports nothing of ours. */
const isSharedOutwards = ({ file, target }: Import) =>
  file.startsWith('src/shared/') && target.startsWith('src/') && !target.startsWith('src/shared/');

/** Whose a file of src/ is; of what is shared, nobody's. */
function sideOf(target: string): 'reader' | 'broker' | undefined {
  if (!target.startsWith('src/') || target.startsWith('src/shared/')) return undefined;
  return target.startsWith('src/reader/') ? 'reader' : 'broker';
}

/** The files that know both sides. */
function bothSides(found: readonly Import[]): string[] {
  const sides = Map.groupBy(found, ({ file }) => file);
  return [...sides]
    .filter(([, own]) => new Set(own.map(({ target }) => sideOf(target)).filter(Boolean)).size > 1)
    .map(([file]) => file);
}

const isForeign = ({ target }: Import) => /^(\.\.|sandbox|simulation|test|bench)(\/|$)/.test(target);

const isAsn1Elsewhere = ({ file, target }: Import) => target === 'asn1.js' && file !== 'src/assertion/der-signature.ts';

/** It makes what speaks to AWS and D1. Who else knew it could not be run on other parts. */
const isPartsElsewhere = ({ file, target }: Import) =>
  target === 'src/parts.ts' && !['src/handler.ts', 'src/app.ts', 'src/fleet/issuer-apps.ts'].includes(file);

/** The broker speaks to nobody: it is given what does. */
const isWorldlyBroker = ({ file, target }: Import) =>
  file.startsWith('src/broker/') &&
  target !== 'node:crypto' &&
  (!target.startsWith('src/') || /^src\/(aws\/|shared\/aws)/.test(target));

/** Two deployables: what both need stands in shared/, and neither knows the other. */
const isReaderAndBroker = ({ file, target }: Import) =>
  target.startsWith('src/') &&
  !target.startsWith('src/shared/') &&
  file.startsWith('src/reader/') !== target.startsWith('src/reader/');

/** The plan is told the situation: it imports facts, and nothing that does anything. */
const isBusyPlan = ({ file, target }: Import) =>
  file === 'src/broker/plan.ts' && !/^(node:crypto|src\/errors\.ts|src\/(token-store|shared)\/.+)$/.test(target);

const told = (found: readonly Import[]) => found.map(({ file, target }) => `${file} imports ${target}`);

describe('the sources', () => {
  it('are found, and so are their imports', () => {
    expect(sources).toContain('src/handler.ts');
    expect(told(imports)).toContain('src/app.ts imports src/broker/broker.ts');
    expect(told(imports)).toContain('src/assertion/der-signature.ts imports asn1.js');
  });

  it('each have a place among the layers', () => {
    expect(sources.filter((file) => layerOf(file) === -1)).toEqual([]);
  });

  it('import one way: from the handler down to the errors', () => {
    expect(told(imports.filter(isUpwards))).toEqual([]);
  });

  it('are two deployables: reader and broker import what they share, never each other', () => {
    expect(told(imports)).toContain('src/reader/mutual-tls.ts imports src/shared/client-certificate.ts');
    expect(told(imports.filter(isReaderAndBroker))).toEqual([]);
  });

  it('import nothing of the sandbox, the simulator, the tests or the benchmarks', () => {
    expect(told(imports.filter(isForeign))).toEqual([]);
  });

  it('share what imports nothing of ours', () => {
    expect(told(imports)).toContain('src/shared/https.ts imports src/shared/https-failure.ts');
    expect(told(imports.filter(isSharedOutwards))).toEqual([]);
  });

  it('get their parts from the handler: nothing below the app makes them', () => {
    expect(told(imports)).toContain('src/handler.ts imports src/parts.ts');
    expect(told(imports.filter(isPartsElsewhere))).toEqual([]);
  });

  it('leave AWS and D1 to the parts: the broker imports no package', () => {
    expect(told(imports.filter(isWorldlyBroker))).toEqual([]);
  });

  it('leave the function to itself: the commands know of it what is shared, and the rules of parameters and issuers', () => {
    /** An issuer's fields, its item, its alias and how all fare: what the commands write is what the functions read. */
    const known =
      /^(src\/(cli|shared)\/|src\/errors\.ts$|src\/fleet\/(issuer|issuer-index|issuer-state|dynamodb-index|lookup|overview|round-report)\.ts$|infra\/check-parameters\.ts$)/;
    const isOfTheFunction = ({ file, target }: Import) =>
      file.startsWith('src/cli/') && /^(src|infra)\//.test(target) && !known.test(target);

    expect(told(imports)).toContain('src/cli/run.ts imports src/cli/program.ts');
    expect(told(imports.filter(isOfTheFunction))).toEqual([]);
  });

  it('decide in a plan that does nothing', () => {
    expect(told(imports)).toContain('src/broker/broker.ts imports src/broker/plan.ts');
    expect(told(imports.filter(isBusyPlan))).toEqual([]);
  });

  it('parse DER in one place: asn1.js forgives too much to be used without its checks', () => {
    expect(told(imports.filter(isAsn1Elsewhere))).toEqual([]);
  });

  it('are ESM with their ending: every relative import names a file that is there', () => {
    const ours = imports.filter(({ target }) => target.startsWith('src/'));

    expect(told(ours.filter(({ target }) => !sources.includes(target)))).toEqual([]);
  });

  it.each([
    ["import { x } from './broker/broker.ts';", 'src/errors.ts'],
    ["import type { Source } from '../broker/broker.ts';", 'src/token-store/token-store.ts'],
    ["export * from '../errors.ts';", 'src/shared/token-record.ts'],
    ["import {\n  a,\n  b,\n} from './app.ts';", 'src/events.ts'],
    ["import { createParts } from '../parts.ts';", 'src/broker/broker.ts'],
    ["import { createBroker } from './broker/broker.ts';", 'src/parts.ts'],
    ["const late = await import('../handler.ts');", 'src/broker/plan.ts'],
  ])('would be caught at it: %j in %s', (text, file) => {
    expect(importsOf(file, text).filter(isUpwards)).toHaveLength(1);
  });

  it.each([
    ["import { startSandbox } from '../sandbox/sandbox.ts';", 'src/app.ts'],
    ["import '../../test/support/bank.ts';", 'src/broker/broker.ts'],
    ["import { D1 } from '../../simulation/d1.ts';", 'src/broker/broker.ts'],
    ["import x from '../../../elsewhere.ts';", 'src/broker/broker.ts'],
  ])('would be caught outside: %j in %s', (text, file) => {
    expect(importsOf(file, text).filter(isForeign)).toHaveLength(1);
  });

  it.each([
    ["import type { Parts } from './parts.ts';", 'src/telemetry.ts', isPartsElsewhere],
    ["import { KMSClient } from '@aws-sdk/client-kms';", 'src/broker/obtain.ts', isWorldlyBroker],
    ["import { awsFailure } from '../shared/aws-failure.ts';", 'src/broker/rotation.ts', isWorldlyBroker],
    ["import { errorCodes } from '../errors.ts';", 'src/reader/broker-failure.ts', isReaderAndBroker],
    ["import { createTokenReader } from './reader/reader.ts';", 'src/app.ts', isReaderAndBroker],
    ["import type { Deadline } from '../deadline.ts';", 'src/broker/plan.ts', isBusyPlan],
    ["import { createObtain } from './obtain.ts';", 'src/broker/plan.ts', isBusyPlan],
  ])('would be caught doing too much: %j in %s', (text, file, isWrong) => {
    expect(importsOf(file, text).filter(isWrong)).toHaveLength(1);
  });

  it.each(['simulation', 'infra', 'examples'])('meet nowhere but in the shared room, in %s/ either', (folder) => {
    const found = beside(folder);
    expect(found.length).toBeGreaterThan(0);
    expect(bothSides(found)).toEqual([]);
  });

  it('are known to the examples as a consumer knows them: by the name of a package', () => {
    expect(told(beside('examples').filter(({ target }) => /^(src|sandbox|test|\.\.)\//.test(target)))).toEqual([]);
  });

  it.each([
    ["import { BrokerError } from '../errors.ts';", 'src/shared/https.ts'],
    ["import type { TokenOptions } from '../reader/token-options.ts';", 'src/shared/shared-work.ts'],
  ])('would be caught reaching out of the shared room: %j in %s', (text, file) => {
    expect(importsOf(file, text).filter(isSharedOutwards)).toHaveLength(1);
  });

  it('would be caught knowing both sides', () => {
    const text =
      "import { createApp } from '../src/app.ts';\nimport { createTokenReader } from '../src/reader/reader.ts';";
    expect(bothSides(importsOf('simulation/world.ts', text))).toEqual(['simulation/world.ts']);
    expect(bothSides(importsOf('simulation/world.ts', text.replace('src/app.ts', 'src/shared/clock.ts')))).toEqual([]);
  });

  it('would be caught with asn1.js', () => {
    expect(importsOf('src/assertion/assertion.ts', "import asn1 from 'asn1.js';").filter(isAsn1Elsewhere)).toHaveLength(
      1,
    );
  });
});
