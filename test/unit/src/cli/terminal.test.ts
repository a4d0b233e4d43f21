import { describe, expect, it } from 'vitest';
import { createHost } from './command-host.ts';

describe('Terminal', () => {
  it('gives people lines and no events', () => {
    const { host, written } = createHost();
    const terminal = host.createTerminal(false);
    terminal.print('a line');
    terminal.event({ event: 'x' });
    terminal.note('progress');
    expect(written).toEqual({ stdout: 'a line\n', stderr: 'progress\n' });
  });

  it('gives programs one line of JSON for each event, and no lines', () => {
    const { host, written } = createHost();
    const terminal = host.createTerminal(true);
    terminal.print('a line');
    terminal.event({ event: 'x', text: 'two\nlines' });
    expect(written.stdout).toBe('{"event":"x","text":"two\\nlines"}\n');
  });

  it.each([true, false])('gives data in either form, with one line end (json: %s)', (json) => {
    const { host, written } = createHost();
    const terminal = host.createTerminal(json);
    terminal.data('{"outputs":[]}');
    terminal.data('{"outputs":[]}\n');
    expect(written.stdout).toBe('{"outputs":[]}\n{"outputs":[]}\n');
  });

  it('styles text where colours are understood, and nowhere else', () => {
    expect(createHost({ colour: true }).host.createTerminal(false).style('good', 'ok')).toBe(
      '\u001B[32mok\u001B[39m',
    );
    expect(createHost().host.createTerminal(false).style('good', 'ok')).toBe('ok');
  });
});
