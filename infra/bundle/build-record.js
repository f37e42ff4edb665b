import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Writes `build.json` beside the bundle: the version, and one SHA-256 for all files of the bundle but itself. The function
 * logs both when a container starts (src/build-record.ts). It is the SHA-256 of what `sha256sum` prints for the files in
 * the order of their names, so whoever has the zip computes it with that alone: docs/infrastructure-as-code.md.
 */
export function buildRecord() {
  return {
    name: 'build-record',
    setup(build) {
      build.initialOptions.metafile = true;
      build.onEnd(async ({ metafile }) => {
        const from = build.initialOptions.absWorkingDir ?? process.cwd();
        const files = Object.keys(metafile?.outputs ?? {}).filter((file) => !file.endsWith('.map'));
        if (files.length === 0) return;
        const lines = await Promise.all(files.map((file) => line(resolve(from, file))));
        const listing = lines.sort((a, b) => (a.name < b.name ? -1 : 1)).map(({ hash, name }) => `${hash}  ${name}\n`);
        const { version } = JSON.parse(
          await readFile(fileURLToPath(new URL('../../package.json', import.meta.url)), 'utf8'),
        );
        const record = { version, bundle_sha256: sha256(listing.join('')) };
        await writeFile(join(from, dirname(files[0]), 'build.json'), `${JSON.stringify(record)}\n`);
      });
    },
  };
}

async function line(file) {
  // As `find .` names it in the unzipped bundle.
  return { hash: sha256(await readFile(file)), name: `./${basename(dirname(file))}/${basename(file)}` };
}

const sha256 = (content) => createHash('sha256').update(content).digest('hex');
