import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Metafile } from 'esbuild';

/** The part of a CycloneDX document (1.5) that is looked at here. */
export interface Sbom {
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn?: readonly string[] }[];
}
export interface Sources {
  /** Folder of package.json, with node_modules installed. */
  readonly root: string;
  /** What esbuild told of the bundle. */
  readonly metafile: Metafile;
  /** In hex, of the zip that the document is about. */
  readonly zipSha256: string;
}
interface Component {
  readonly 'bom-ref': string;
  readonly name: string;
  readonly version: string;
}

/**
 * The packages whose code is in the bundle, as `npm sbom` describes them: name, version, licence, and the hash of the
 * package that the lock file names. What is installed and was left out by the bundler is not in it.
 *
 * @returns CycloneDX 1.5, the same for the same bundle: without the time and the random serial number of npm.
 * @throws Error when a package is in the bundle that npm does not list.
 */
export async function sbomOfBundle({ root, metafile, zipSha256 }: Sources): Promise<Sbom> {
  // Not `--omit dev`: npm leaves out what a development tool needs too, though the function needs it.
  const args = ['sbom', '--sbom-format', 'cyclonedx', '--sbom-type', 'application'];
  const { stdout } = await promisify(execFile)('npm', args, { cwd: root, maxBuffer: 64 * 1024 * 1024 });
  const { serialNumber, metadata, ...all } = JSON.parse(stdout);
  const { timestamp, ...origin } = metadata;
  const own = origin.component['bom-ref'];
  // npm calls it what its folder happens to be called.
  const name = own.replace(/@[^@]*$/, '');
  const hashes = [{ alg: 'SHA-256', content: zipSha256 }];
  const bundled = new Set(await packagesIn(root, metafile));
  const known = new Set((all as Sbom).components.map((component) => component['bom-ref']));
  const unknown = [...bundled].filter((ref) => !known.has(ref));
  if (unknown.length > 0)
    throw new Error(`The bundle has packages that npm sbom does not list: ${unknown.join(', ')}.`);
  const isBundled = (ref: string) => ref === own || bundled.has(ref);
  const dependencies = (all as Sbom).dependencies
    .filter(({ ref }) => isBundled(ref))
    .map(({ ref, dependsOn = [] }) => ({ ref, dependsOn: dependsOn.filter(isBundled) }));
  return {
    ...all,
    metadata: { ...origin, component: { ...origin.component, name, hashes } },
    components: (all as Sbom).components.filter((component) => bundled.has(component['bom-ref'])),
    dependencies,
  };
}

/** @returns `name@version` of every package of which a byte is in the bundle. */
export async function packagesIn(root: string, { outputs }: Pick<Metafile, 'outputs'>): Promise<readonly string[]> {
  const files = Object.values(outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).flatMap(([file, { bytesInOutput }]) => (bytesInOutput > 0 ? [file] : [])),
  );
  // Of a package within a package, the inner one.
  const folders = files.flatMap((file) => /^.*node_modules\/(@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []);
  const packages = [...new Set(folders)].map(async (folder) => {
    const { name, version } = JSON.parse(await readFile(join(root, folder, 'package.json'), 'utf8'));
    return `${name}@${version}`;
  });
  return (await Promise.all(packages)).sort();
}
