import path from 'node:path';
import { openReceipt } from '../../../protocols/receipt/index.ts';
import { checkEvidence, type Evidence, type Testimony } from '../../client/evidence.ts';
import { EvidenceBook } from '../../client/evidence-book.ts';
import { EvidenceFolder, type KeptEvidence } from '../../client/evidence-folder.ts';
import { clientFolder } from '../client-folder.ts';
import type { CommandContext } from '../command-context.ts';
import { EXIT } from '../exit-code.ts';
import { printable, shortId } from '../printable.ts';
import { printTable } from '../table.ts';
import type { Terminal } from '../terminal.ts';

/** A piece of evidence, and what became of it. */
interface ListedEvidence extends KeptEvidence {
  /** Milliseconds since 1970 from which the node is asked again; infinite when never. */
  readonly untilMs: number;
  /** Why what it says was signed is not; null when all of it was. */
  readonly fault: string | null;
  /** What the accused said it ran on; null when its receipt cannot be read. */
  readonly provider: string | null;
}

/** `swarm nodes evidence`: what this user's clients hold against nodes that answered wrongly. */
export async function runNodesEvidence(context: CommandContext): Promise<number> {
  const { terminal } = context;
  const folder = clientFolder(context);
  const listed = await listEvidence(folder);
  for (const one of listed) terminal.event(evidenceEvent(one));
  if (listed.length > 0) printEvidence(terminal, listed);
  else terminal.note(`nothing is held against any node in ${path.join(folder, 'evidence')}`);
  return EXIT.ok;
}

async function listEvidence(folder: string): Promise<readonly ListedEvidence[]> {
  const kept = await new EvidenceFolder(folder).list();
  const book = EvidenceBook.of(kept.map(({ evidence }) => evidence));
  return Promise.all(
    kept.map(async ({ file, evidence }) => {
      const { node, owner, receipt } = evidence.accused;
      const untilMs = book.avoidedUntilMs(node, owner);
      return { file, evidence, untilMs, ...(await examine(evidence, receipt)) };
    }),
  );
}

async function examine(
  evidence: Evidence,
  signed: Uint8Array,
): Promise<Pick<ListedEvidence, 'fault' | 'provider'>> {
  let provider: string | null = null;
  try {
    provider = (await openReceipt(signed)).receipt.provider;
    await checkEvidence(evidence);
    return { provider, fault: null };
  } catch (error) {
    return { provider, fault: error instanceof Error ? error.message : String(error) };
  }
}

function evidenceEvent({ file, evidence, untilMs, fault, provider }: ListedEvidence) {
  const { charge, atMs, publisher, name, version, inputDigest, difference, tolerance } = evidence;
  const { accused, witnesses, tensors } = evidence;
  const who = ({ node, owner }: Testimony) => ({ node, owner });
  return {
    event: 'evidence',
    ...{ charge, at: new Date(atMs).toISOString() },
    accused: { ...who(accused), provider },
    witnesses: witnesses.map(who),
    ...{ publisher, name, version, inputDigest, difference, tolerance },
    tensors: tensors !== null,
    avoidedUntil: untilMs === Number.POSITIVE_INFINITY ? 'ever' : new Date(untilMs).toISOString(),
    ...{ signed: fault === null, fault, file },
  };
}

function printEvidence(terminal: Terminal, listed: readonly ListedEvidence[]): void {
  const nowMs = Date.now();
  printTable(
    terminal,
    ['NODE', 'OWNER', 'CHARGE', 'WHEN', 'ASKED AGAIN', 'WITNESSES', 'SIGNATURES', 'MODEL'],
    listed.map(({ evidence, untilMs, fault }) => [
      shortId(evidence.accused.node),
      shortId(evidence.accused.owner),
      evidence.charge,
      timeText(evidence.atMs),
      againText(untilMs, nowMs),
      String(evidence.witnesses.length),
      fault === null ? 'good' : printable(fault, 60),
      printable(evidence.name, 64),
    ]),
    { right: [5] },
  );
  for (const { file, evidence } of listed) {
    terminal.note(`${file}: ${printable(evidence.difference, 160)}`);
  }
  terminal.note('removing a file takes back what it holds against its node');
}

function againText(untilMs: number, nowMs: number): string {
  if (untilMs === Number.POSITIVE_INFINITY) return 'never';
  return untilMs > nowMs ? `after ${timeText(untilMs)}` : 'now';
}

function timeText(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
