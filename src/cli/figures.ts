/** `3.2 ms`, `48 ms`, `1.2 s`. */
export function formatMs(ms: number): string {
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
}

/** A share from 0 to 1 as `99.8 %`. */
export function formatShare(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

/** How sure a model is: a share where it gives one, else the number in the model's own unit. */
export function formatConfidence(confidence: number | null): string {
  if (confidence === null) return '-';
  return confidence >= 0 && confidence <= 1 ? formatShare(confidence) : confidence.toPrecision(4);
}

/** `1 node`, `3 nodes`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Milliseconds with one digit after the point, as events carry them. */
export function roundMs(ms: number): number {
  return Math.round(ms * 10) / 10;
}

/** `8 s`, `3 min`, `2.5 h`: as sure as a guess can be. */
export function formatTimeLeft(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  if (seconds < 100) return `${seconds} s`;
  if (seconds < 6000) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
