import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { PeerSilence } from '../../../protocols/peer-silence.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
});

afterEach(() => {
  vi.useRealTimers();
});

function open(timeoutMs?: number) {
  const ping = vi.fn();
  const onSilent = vi.fn();
  return { ping, onSilent, silence: new PeerSilence({ timeoutMs, ping, onSilent }) };
}

describe('PeerSilence', () => {
  it('asks every second and gives up after three without a sign of life', () => {
    const { silence, ping, onSilent } = open();
    silence.watch();
    vi.advanceTimersByTime(2_999);
    expect(ping).toHaveBeenCalledTimes(2);
    expect(onSilent).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(onSilent.mock.calls).toEqual([[3_000]]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('counts from the last sign of life', () => {
    const { silence, onSilent } = open();
    silence.watch();
    vi.advanceTimersByTime(2_500);
    silence.heard();
    // A sign of life counts from the tick that finds it, so that the clock is read once a second.
    vi.advanceTimersByTime(3_499);
    expect(onSilent).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(onSilent).toHaveBeenCalledTimes(1);
  });

  it('keeps a peer for as long as it gives signs of life', () => {
    const { silence, onSilent } = open();
    silence.watch();
    for (let second = 0; second < 60; second += 1) {
      vi.advanceTimersByTime(2_000);
      silence.heard();
    }
    expect(onSilent).not.toHaveBeenCalled();
  });

  it('does nothing while nothing is owed', () => {
    const { silence, ping, onSilent } = open();
    expect(vi.getTimerCount()).toBe(0);
    silence.watch();
    silence.watch();
    expect(vi.getTimerCount()).toBe(1);
    silence.rest();
    silence.rest();
    vi.advanceTimersByTime(1_000);
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(10_000);
    expect(ping).not.toHaveBeenCalled();
    expect(onSilent).not.toHaveBeenCalled();
  });

  it('sets one timer for requests that follow each other, and none once it was stopped', () => {
    const { silence, onSilent } = open();
    const set = vi.spyOn(globalThis, 'setInterval');
    for (let request = 0; request < 100; request += 1) {
      silence.watch();
      silence.rest();
    }
    expect(set).toHaveBeenCalledTimes(1);
    silence.watch();
    silence.stop();
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(10_000);
    expect(onSilent).not.toHaveBeenCalled();
  });

  it('counts anew after a rest', () => {
    const { silence, onSilent } = open();
    silence.watch();
    vi.advanceTimersByTime(2_900);
    silence.rest();
    silence.watch();
    vi.advanceTimersByTime(2_900);
    expect(onSilent).not.toHaveBeenCalled();
  });

  it('forgives a silence through which this process stood still itself', () => {
    const { silence, onSilent } = open();
    silence.watch();
    vi.advanceTimersByTime(1_000);
    const standstill = vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 60_000);
    vi.advanceTimersToNextTimer();
    expect(onSilent).not.toHaveBeenCalled();
    standstill.mockRestore();
  });

  it('asks three times within a shorter time', () => {
    const { silence, ping, onSilent } = open(30);
    silence.watch();
    vi.advanceTimersByTime(29);
    expect(ping).toHaveBeenCalledTimes(2);
    vi.advanceTimersByTime(1);
    expect(onSilent.mock.calls).toEqual([[30]]);
  });
});
