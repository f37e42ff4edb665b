// asn1.js ships no types. These cover what der-signature.ts uses of version 5.
declare module 'asn1.js' {
  namespace asn1 {
    interface BigNumber {
      lten(value: number): boolean;
      gte(value: BigNumber): boolean;
      toArrayLike(type: typeof Uint8Array, endian: 'be', length: number): Uint8Array;
    }
    interface Node {
      seq(): Node;
      obj(...children: Node[]): Node;
      key(name: string): Node;
      int(): Node;
    }
    interface Entity<T> {
      decode(data: Buffer, encoding: 'der'): T;
      encode(value: T, encoding: 'der'): Buffer;
    }
  }
  const asn1: {
    bignum: new (value: string, base: number) => asn1.BigNumber;
    define<T>(name: string, body: (this: asn1.Node) => void): asn1.Entity<T>;
  };
  export = asn1;
}
