/**
 * Says that all peers that were asked are of other networks, as none speaks what every peer of this one does; undefined where that is
 * not so.
 */
export function describeOtherNetworks(
  answers: readonly PromiseSettledResult<unknown>[],
  network: string,
): string | undefined {
  const foreign = answers.every(
    (answer) =>
      answer.status === 'rejected' &&
      answer.reason instanceof Error &&
      answer.reason.name === 'UnsupportedProtocolError',
  );
  if (answers.length === 0 || !foreign) return undefined;
  return `none of the ${answers.length} peers asked is of network '${network}' (--network)`;
}
