import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { parseClientCertificate } from '../../shared/client-certificate.ts';
import { mayChange } from '../frame/change.ts';
import { failure, usageFailure } from '../frame/cli-failure.ts';
import { openStage, type Result, runCommand, type StageSession } from '../frame/command.ts';
import type { Context } from '../frame/context.ts';
import type { ChangeFlags } from '../frame/flags.ts';
import { invokeCheck, mustHavePassed } from '../frame/invoke.ts';
import { chainFor, commonNameIn } from './chain.ts';
import { certificateSecret, nothingWaits, type Version } from './secret.ts';

export interface InstallFlags extends ChangeFlags {
  readonly caBundle?: string;
}

export async function installCertificate(this: Context, flags: InstallFlags, file: string): Promise<void> {
  await runCommand(this, 'certificate install', flags, async (session) => {
    const text = await readPem(file);
    const caBundle = flags.caBundle === undefined ? undefined : await readPem(flags.caBundle);
    const stage = await openStage(session);
    const secret = certificateSecret(stage);
    const [waiting, current] = await Promise.all([secret.read('WAITING'), secret.read('AWSCURRENT')]);
    if (waiting?.privateKey === undefined) {
      if (current && isInstalled(current, text))
        return installed(current.id, current.certificate ?? '', 'Nothing to do.');
      throw nothingWaits();
    }
    const { leaf, value } = await join(waiting, waiting.privateKey, text, {
      ca_bundle: caBundle ?? waiting.caBundle ?? current?.caBundle,
      proxy_credentials: waiting.proxyCredentials ?? current?.proxyCredentials,
    });
    const what = `The certificate ${leaf.subject.replaceAll('\n', ', ')} becomes current when the function got a token with it.`;
    const dry = await mayChange(stage, flags, what);
    if (dry) return dry;
    // The laptop may have been closed after this step: then it is there already.
    const isThere = waiting.certificate === value.certificate && waiting.caBundle === value.ca_bundle;
    const id = isThere ? waiting.id : await secret.put(value);
    await tryWaiting(stage);
    // The first version of a secret is current from the start, whatever label it was given.
    const labels = await secret.labels();
    if (labels.get('AWSCURRENT') !== id) await secret.move('AWSCURRENT', { from: labels.get('AWSCURRENT'), to: id });
    await secret.move('WAITING', { from: id });
    return installed(id, value.certificate, 'The certificate is current. The one before has the label AWSPREVIOUS.');
  });
}

async function readPem(file: string): Promise<string> {
  return readFile(file, 'utf8').catch(() => {
    throw usageFailure(`The file ${file} cannot be read.`, 'Give the file that Thales sent, in PEM.');
  });
}

const isInstalled = ({ certificate, privateKey }: Version, text: string): boolean => {
  if (certificate === undefined || privateKey === undefined) return false;
  const chain = chainFor(privateKey, text);
  return 'pem' in chain && chain.pem === certificate;
};

/** The secret's next value. @throws CliFailure CERTIFICATE_REFUSED when the certificate does not fit. */
async function join(
  waiting: Version,
  privateKey: string,
  text: string,
  kept: Readonly<Record<'ca_bundle' | 'proxy_credentials', string | undefined>>,
) {
  const refuse = (why: string) =>
    failure(
      'CERTIFICATE_REFUSED',
      `The certificate was not installed: ${why}.`,
      'Nothing was changed. Ask Thales for the certificate of the request that was sent.',
    );
  const chain = chainFor(privateKey, text);
  if ('why' in chain) throw refuse(chain.why);
  const value = {
    certificate: chain.pem,
    private_key: privateKey,
    certificate_request: waiting.request,
    ...kept,
  };
  const parsed = parseClientCertificate(JSON.stringify(value), Date.now());
  if ('why' in parsed) throw refuse(parsed.why);
  if (waiting.request !== undefined) {
    const { commonNameOf } = await import('./signing-request.ts');
    const [asked, given] = [commonNameOf(waiting.request), commonNameIn(chain.leaf)];
    if (asked !== given) throw refuse(`its Common Name is ${given ?? 'absent'}, and ${asked} was asked for`);
  }
  return { leaf: chain.leaf, value };
}

async function tryWaiting({ clients, configuration, progress }: StageSession): Promise<void> {
  progress('The function tries the certificate at D1.');
  const report = await invokeCheck(clients, configuration.name, { certificate: 'next' }, progress);
  mustHavePassed(
    report,
    'The current certificate was not touched; the new one waits in the secret, and the command can be given again.',
  );
}

function installed(id: string, pem: string, first: string): Result {
  const { subject, validTo, serialNumber } = new X509Certificate(pem);
  return {
    facts: {
      version_id: id,
      subject: subject.replaceAll('\n', ', '),
      serial_number: serialNumber,
      expires_at: new Date(validTo).toISOString(),
    },
    text: [first],
  };
}
