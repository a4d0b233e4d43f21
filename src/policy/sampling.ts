/** Which answers of ordinary calls are checked, by asking another owner the same. */
export interface SamplingRule {
  /** Of a node that has no credit yet, so many answers are checked, all of its first ones. */
  readonly firstAnswers: number;
  /** Share of the answers of a node with credit that are checked: 0 to 1. */
  readonly share: number;
}

/** Whether the next answer of a node is checked; its credit is how many of its checked answers were right. */
export function isSampled(
  credit: number,
  { firstAnswers, share }: SamplingRule,
  random: () => number,
): boolean {
  return credit < firstAnswers || random() < share;
}
