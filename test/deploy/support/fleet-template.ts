import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { root, type Template } from './package-service.ts';

export const fleetTemplateFile = join(root, 'infra', 'fleet', 'template.yml');

const script = `
import json, sys
from cfnlint.decode import cfn_yaml
print(json.dumps(cfn_yaml.load(sys.argv[1])))
`;

/** @returns infra/fleet/template.yml with its functions written out: `!Ref Stage` is `{ "Ref": "Stage" }`. */
export async function readFleetTemplate(python: string): Promise<Template> {
  const { stdout } = await promisify(execFile)(python, ['-c', script, fleetTemplateFile], { maxBuffer: 8_000_000 });
  return JSON.parse(stdout);
}
