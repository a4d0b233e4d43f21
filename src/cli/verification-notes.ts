import type { Evidence } from '../client/evidence.ts';
import type { Verification } from '../client/verified-call.ts';
import { counted } from './figures.ts';
import { printable, shortId } from './printable.ts';
import type { Terminal } from './terminal.ts';

/** Characters of a difference that are shown. */
const MAX_DIFFERENCE_CHARACTERS = 200;

/** Tells who agrees with the answer that is printed, and who does not. */
export function noteVerification(
  terminal: Pick<Terminal, 'note'>,
  { agreed, witnesses }: Verification,
): void {
  const who = witnesses.filter(({ agrees }) => agrees).map(({ node }) => shortId(node));
  terminal.note(`${agreed} of ${counted(witnesses.length, 'owner')} agree: ${who.join(', ')}`);
  for (const { node, provider, difference } of witnesses) {
    if (difference === null) continue;
    terminal.note(
      `node ${shortId(node)} on ${printable(provider)} differs: ${printable(difference, MAX_DIFFERENCE_CHARACTERS)}`,
    );
  }
}

/** Tells what is held against whom from now on. */
export function noteEvidence(
  terminal: Pick<Terminal, 'note'>,
  evidence: readonly Evidence[],
): void {
  for (const { charge, accused } of evidence) {
    const term = charge === 'lie' ? 'again' : 'for an hour';
    terminal.note(
      `node ${shortId(accused.node)} is charged with '${charge}' and not asked ${term}; \`swarm nodes evidence\` has what it signed`,
    );
  }
}

/** Who agrees, as the Open Inference Protocol's `parameters`: flat, snake case. */
export function verificationParameters({
  replicas,
  agreed,
  witnesses,
}: Verification): Record<string, string | number> {
  const nodes = (agree: boolean): string =>
    witnesses
      .filter(({ agrees }) => agrees === agree)
      .map(({ node }) => node)
      .join(',');
  return {
    ...{ verify: replicas, verify_agreed: agreed, verify_answers: witnesses.length },
    ...{ agreeing_nodes: nodes(true), differing_nodes: nodes(false) },
  };
}
