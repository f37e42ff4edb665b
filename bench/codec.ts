import asn1 from 'asn1.js';
import { derToJose } from 'ecdsa-sig-formatter';
import { derToRaw } from '../src/assertion/der-signature.ts';
import { derOf } from '../test/assertion/der.ts';
import { malformed, signatures } from './malformed-signatures.ts';
import { median } from './statistics.ts';

const ROUNDS = 15;
const CONVERSIONS_PER_ROUND = 20_000;

export interface CodecFigures {
  readonly conversions_per_second: number;
  /** Malformed signatures that came out as if they were good. */
  readonly malformed_let_through: number;
  readonly kinds_let_through: readonly string[];
}

export interface CodecBench {
  readonly malformed_signatures: number;
  readonly malformed_kinds: number;
  readonly implementations: Readonly<Record<string, CodecFigures>>;
}

const EcdsaSigValue = asn1.define<{ r: asn1.BigNumber; s: asn1.BigNumber }>('EcdsaSigValue', function () {
  this.seq().obj(this.key('r').int(), this.key('s').int());
});

const implementations: Record<string, (der: Buffer) => unknown> = {
  'd1-token-broker': (der) => derToRaw(der),
  'asn1.js alone': (der) => {
    const { r, s } = EcdsaSigValue.decode(der, 'der');
    return Buffer.concat([r, s].map((value) => value.toArrayLike(Uint8Array, 'be', 32)));
  },
  'ecdsa-sig-formatter': (der) => derToJose(der, 'ES256'),
};

/** DER to raw `R || S`: how fast, and how strict; a few seconds. */
export function benchCodec(): CodecBench {
  const wellFormed = signatures.map(({ r, s }) => derOf(r, s));
  const rates = new Map(Object.keys(implementations).map((name) => [name, [] as number[]]));
  // Two more rounds than counted, for the compiler to warm up.
  for (let round = -2; round < ROUNDS; round += 1) {
    for (const [name, convert] of Object.entries(implementations)) {
      const began = process.hrtime.bigint();
      for (let count = 0; count < CONVERSIONS_PER_ROUND; count += wellFormed.length) wellFormed.forEach(convert);
      const seconds = Number(process.hrtime.bigint() - began) / 1e9;
      if (round >= 0) rates.get(name)?.push(CONVERSIONS_PER_ROUND / seconds);
    }
  }
  const figures = Object.entries(implementations).map(([name, convert]): [string, CodecFigures] => {
    const through = malformed.filter(({ der }) => isAccepted(() => convert(Buffer.from(der))));
    return [
      name,
      {
        conversions_per_second: median(rates.get(name) ?? []),
        malformed_let_through: through.length,
        kinds_let_through: [...new Set(through.map(({ kind }) => kind))],
      },
    ];
  });
  return {
    malformed_signatures: malformed.length,
    malformed_kinds: new Set(malformed.map(({ kind }) => kind)).size,
    implementations: Object.fromEntries(figures),
  };
}

function isAccepted(convert: () => unknown): boolean {
  try {
    convert();
    return true;
  } catch {
    return false;
  }
}
