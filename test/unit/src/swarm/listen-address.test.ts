import { describe, expect, it } from 'vitest';
import { checkPublic } from '../../../../src/gateway/gateway-init.ts';
import {
  formatAddress,
  isLoopback,
  parseListenAddress,
} from '../../../../src/swarm/listen-address.ts';

const parse = (text: string) => parseListenAddress(text, '--http');

describe('parseListenAddress', () => {
  it.each([
    [':8000', '127.0.0.1:8000', true],
    ['0.0.0.0:8000', '0.0.0.0:8000', false],
    ['localhost:0', 'localhost:0', true],
    ['[::1]:80', '[::1]:80', true],
    ['[::]:80', '[::]:80', false],
    ['127.9.9.9:1', '127.9.9.9:1', true],
    ['127.example.org:1', '127.example.org:1', false],
  ])('reads %s, on this machine alone unless a host is said', (text, written, loopback) => {
    const address = parse(text);
    expect(address && formatAddress(address)).toBe(written);
    expect(address && isLoopback(address)).toBe(loopback);
  });

  it('knows off', () => {
    expect(parse('off')).toBeUndefined();
  });

  it.each(['8000', '', ':', ':65536', ':-1', 'a b:1', 'http://x:1'])('refuses %j', (text) => {
    expect(() => parse(text)).toThrow(
      expect.objectContaining({
        code: 'ERR_CONFIG',
        message: expect.stringMatching(/^--http is .*, expected an address such as :8000/),
      }),
    );
  });
});

describe('checkPublic', () => {
  const open = parse('0.0.0.0:8000');
  const none = { hasKeys: false, insecure: false };

  it('refuses an address that strangers reach without keys', () => {
    expect(() => checkPublic([parse(':1'), open], none)).toThrow(/0\.0\.0\.0:8000 can be reached/);
  });

  it.each([
    ['loopback', [parse(':1'), undefined], none],
    ['keys', [open], { ...none, hasKeys: true }],
    ['--insecure', [open], { ...none, insecure: true }],
  ])('takes %s', (_what, addresses, options) => {
    expect(() => checkPublic(addresses, options)).not.toThrow();
  });
});
