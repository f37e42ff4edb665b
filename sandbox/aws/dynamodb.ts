import { AwsError } from './aws-error.ts';
import { Input } from './input.ts';

type Value = Readonly<Record<string, unknown>>;
type Item = Readonly<Record<string, Value>>;
type Output = Record<string, unknown>;

export interface DynamoDbOptions {
  /** Each table's partition key, a string, by the table's name. */
  readonly tables: Readonly<Record<string, string>>;
}

/**
 * The part of Amazon DynamoDB that an index of issuers meets ("Amazon DynamoDB API Reference"): tables in memory, and of the
 * expressions those that are used. Another one is refused, so that none is passed over.
 */
export class DynamoDb {
  readonly #options: DynamoDbOptions;
  readonly #tables = new Map<string, Map<string, Item>>();

  constructor(options: DynamoDbOptions) {
    this.#options = options;
    for (const name of Object.keys(options.tables)) this.#tables.set(name, new Map());
  }

  async handle(operation: string, fields: Record<string, unknown>): Promise<Output> {
    const input = new Input(fields, 'ValidationException');
    const { items, key } = this.#table(input);
    const asked: Asked = {
      names: input.optionalObject('ExpressionAttributeNames') ?? {},
      values: input.optionalObject('ExpressionAttributeValues') ?? {},
    };
    const keyIn = (name: string) => {
      const value = (input.optionalObject(name)?.[key] as Value | undefined)?.['S'];
      if (typeof value !== 'string' || value === '') throw input.error(`${name} lacks the key ${key}.`);
      return value;
    };
    const mustBe = (item: Item | undefined) => {
      const condition = input.optionalString('ConditionExpression');
      if (condition === undefined || holds(condition, item, asked)) return;
      throw new AwsError('ConditionalCheckFailedException', 'The conditional request failed');
    };
    switch (operation) {
      case 'GetItem': {
        const item = items.get(keyIn('Key'));
        return item ? { Item: item } : {};
      }
      case 'PutItem':
        mustBe(items.get(keyIn('Item')));
        items.set(keyIn('Item'), input.optionalObject('Item') as Item);
        return {};
      case 'UpdateItem': {
        const id = keyIn('Key');
        mustBe(items.get(id));
        const [, path = '', name = ''] =
          /^SET ([\w#]+) = (:\w+)$/.exec(input.string('UpdateExpression')) ?? refuse('UpdateExpression');
        const before = items.get(id) ?? { [key]: { S: id } };
        items.set(id, { ...before, [nameOf(path, asked)]: givenAs(name, asked) });
        return {};
      }
      case 'DeleteItem':
        mustBe(items.get(keyIn('Key')));
        items.delete(keyIn('Key'));
        return {};
      case 'Scan': {
        const projection = input.optionalString('ProjectionExpression');
        const found = [...items.values()].map((item) => projected(item, projection, asked));
        return { Items: found, Count: found.length, ScannedCount: found.length };
      }
      default:
        throw new AwsError('UnknownOperationException', `The sandbox's DynamoDB has no operation ${operation}.`);
    }
  }

  #table(input: Input) {
    const name = input.string('TableName');
    const [items, key] = [this.#tables.get(name), this.#options.tables[name]];
    if (items && key !== undefined) return { items, key };
    throw new AwsError('ResourceNotFoundException', 'Requested resource not found');
  }
}

interface Asked {
  readonly names: Readonly<Record<string, unknown>>;
  readonly values: Readonly<Record<string, unknown>>;
}

function nameOf(path: string, { names }: Asked): string {
  if (!path.startsWith('#')) return path;
  return typeof names[path] === 'string' ? names[path] : refuse('ExpressionAttributeNames');
}

const givenAs = (name: string, { values }: Asked) => (values[name] as Value | undefined) ?? refuse(name);

/** "Condition and filter expressions", Amazon DynamoDB Developer Guide: whether an attribute is there, and whether it is equal. */
function holds(condition: string, item: Item | undefined, asked: Asked): boolean {
  const [, missing] = /^attribute_not_exists\(([\w#]+)\)$/.exec(condition) ?? [];
  if (missing !== undefined) return item?.[nameOf(missing, asked)] === undefined;
  const [, path = '', name = ''] = /^([\w#]+) = (:\w+)$/.exec(condition) ?? refuse('ConditionExpression');
  return JSON.stringify(item?.[nameOf(path, asked)]) === JSON.stringify(givenAs(name, asked));
}

/** "Projection expressions", Amazon DynamoDB Developer Guide: attributes, and members of a map one level down. */
function projected(item: Item, projection: string | undefined, asked: Asked): Item {
  if (projection === undefined) return item;
  const chosen: Record<string, Value> = {};
  for (const path of projection.split(',').map((one) => one.trim().split('.'))) {
    const [name = '', member] = path.map((part) => nameOf(part, asked));
    const value = item[name];
    if (!value) continue;
    if (member === undefined) {
      chosen[name] = value;
      continue;
    }
    const inner = (value['M'] as Item | undefined)?.[member];
    if (inner) chosen[name] = { M: { ...(chosen[name]?.['M'] as Item | undefined), [member]: inner } };
  }
  return chosen;
}

function refuse(what: string): never {
  throw new AwsError('ValidationException', `The sandbox's DynamoDB does not know this ${what}.`);
}
