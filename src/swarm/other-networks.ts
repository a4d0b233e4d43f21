/** Whether all peers that were asked are of other networks: none speaks what every peer of this one does. */
export function areOfOtherNetworks(answers: readonly PromiseSettledResult<unknown>[]): boolean {
  if (answers.length === 0) return false;
  return answers.every(
    (answer) =>
      answer.status === 'rejected' &&
      answer.reason instanceof Error &&
      answer.reason.name === 'UnsupportedProtocolError',
  );
}
