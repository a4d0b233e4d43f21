import { describe, expect, it } from 'vitest';
import { ConfigMessage } from '../../../../../src/model/import/config-message.ts';

const parse = (text: string): ConfigMessage => ConfigMessage.parse('config.pbtxt', text);
const bounds = { min: 0, max: 10 };

describe('ConfigMessage', () => {
  it('gives each field as what the schema calls it', () => {
    const message = parse(
      `n: 3 l: [1, 2] l: 4 t: "x" f: true k: KIND_CPU m { n: 1 } r { n: 2 } r { n: 3 }`,
    );
    expect(message.integer('n', bounds)).toBe(3);
    expect(message.integers('l', bounds)).toEqual([1, 2, 4]);
    expect(message.text('t')).toBe('x');
    expect(message.flag('f')).toBe(true);
    expect(message.choice('k', { KIND_AUTO: 0, KIND_CPU: 2 })).toBe('KIND_CPU');
    expect(message.message('m')?.integer('n', bounds)).toBe(1);
    expect(message.messages('r').map((item) => item.integer('n', bounds))).toEqual([2, 3]);
    expect(message.unread()).toEqual([]);
  });

  it('gives undefined, or nothing, for what is not there', () => {
    const message = parse('');
    expect(message.integer('n', bounds)).toBeUndefined();
    expect(message.integers('n', bounds)).toEqual([]);
    expect(message.text('n')).toBeUndefined();
    expect(message.flag('n')).toBeUndefined();
    expect(message.choice('n', { A: 0 })).toBeUndefined();
    expect(message.message('n')).toBeUndefined();
    expect(message.messages('n')).toEqual([]);
  });

  it('reads numbers as protobuf does: decimal, octal, hexadecimal, an enum by its number', () => {
    const wide = { min: -100, max: 100 };
    const message = parse('a: 010 b: 0x10 c: -5 d: -0 e: 2');
    expect(['a', 'b', 'c', 'd'].map((name) => message.integer(name, wide))).toEqual([8, 16, -5, 0]);
    expect(message.choice('e', { KIND_AUTO: 0, KIND_CPU: 2 })).toBe('KIND_CPU');
  });

  it('takes an integer at its bounds and none beyond', () => {
    expect(parse('n: 0').integer('n', bounds)).toBe(0);
    expect(parse('n: 10').integer('n', bounds)).toBe(10);
    for (const text of ['11', '-1', '1.5', '08', '"3"', 'true', '{}', '99999999999999999999']) {
      expect(() => parse(`n: ${text}`).integer('n', bounds), text).toThrow(
        /^config\.pbtxt:1:4: field n: expected an integer from 0 to 10, found /,
      );
    }
  });

  it('names field, line and column of what is of another kind', () => {
    const inner = parse('\na {\n  t: 5\n  f: "yes"\n  k: KIND_TPU\n  m: 3\n}').message('a');
    expect(() => inner?.text('t')).toThrow(
      "config.pbtxt:3:6: field a.t: expected a string in quotes, found '5'",
    );
    expect(() => inner?.flag('f')).toThrow(
      "config.pbtxt:4:6: field a.f: expected true or false, found string 'yes'",
    );
    expect(() => inner?.choice('k', { KIND_AUTO: 0 })).toThrow(
      "config.pbtxt:5:6: field a.k: expected one of KIND_AUTO, found 'KIND_TPU'",
    );
    expect(() => inner?.message('m')).toThrow(
      "config.pbtxt:6:6: field a.m: expected a message in '{' and '}', found '3'",
    );
  });

  it('refuses a field that is given twice and may not be', () => {
    const message = parse('n: 1\nn: 2');
    expect(() => message.integer('n', bounds)).toThrow('config.pbtxt:2:4: field n: is given twice');
  });

  it('lists what nobody read, in the order of the file, within messages that were read as well', () => {
    const message = parse('z: 1 a { b: 1 c { d: 1 } } e [ { f: 1 }, { g: 2 } ] h: 1 h: 2');
    message.message('a')?.integer('b', bounds);
    message.messages('e')[0]?.integer('f', bounds);
    expect(message.unread()).toEqual(['z', 'a.c', 'e[1].g', 'h']);
  });

  it('knows what another reader of the same message took', () => {
    const message = parse('a { b: 1 c: 2 }');
    message.message('a')?.integer('b', bounds);
    message.message('a')?.integer('c', bounds);
    expect(message.unread()).toEqual([]);
  });
});
