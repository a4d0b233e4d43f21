import type { ExplainedNode, RouteExplanation } from '../client/route-explanation.ts';
import { EXIT } from './exit-code.ts';
import { formatMs, roundMs } from './figures.ts';
import { printable, shortId } from './printable.ts';
import { printTable } from './table.ts';
import type { Terminal } from './terminal.ts';

/** Shows which node would be asked, and why not the others; the exit code is that of a call that found nobody when none is. */
export function printRoute(terminal: Terminal, route: RouteExplanation): number {
  terminal.event({ event: 'route', ...route, candidates: route.candidates.map(rounded) });
  const chosen = route.candidates.some(({ verdict }) => verdict === 'chosen');
  if (route.candidates.length === 0) terminal.note(`no node serves version ${route.version}`);
  else printNodes(terminal, route.candidates);
  return chosen ? EXIT.ok : EXIT.unavailable;
}

function printNodes(terminal: Terminal, candidates: readonly ExplainedNode[]): void {
  printTable(
    terminal,
    ['NODE', 'OWNER', 'ZONE', 'EXPECTED', 'PATH', 'QUEUE', 'SERVICE', 'AHEAD', 'VERDICT'],
    candidates.map((node) => [
      shortId(node.node),
      String(node.owner) === String(node.node) ? 'itself' : shortId(node.owner),
      printable(node.zone, 64) || '-',
      formatMs(node.totalMs),
      formatMs(node.pathMs),
      formatMs(node.queueMs),
      formatMs(node.serviceMs),
      String(node.waiting),
      verdictOf(node),
    ]),
    { right: [3, 4, 5, 6, 7] },
  );
}

function verdictOf({ verdict, coolingMs, penaltyMs }: ExplainedNode): string {
  if (verdict === 'cooling') return `cooling for ${formatMs(coolingMs)}`;
  return penaltyMs >= 1 ? `${verdict}, failed lately` : verdict;
}

function rounded(node: ExplainedNode): ExplainedNode {
  const { totalMs, pathMs, queueMs, serviceMs, penaltyMs, loadAgeMs, coolingMs } = node;
  return {
    ...node,
    totalMs: roundMs(totalMs),
    pathMs: roundMs(pathMs),
    queueMs: roundMs(queueMs),
    serviceMs: roundMs(serviceMs),
    penaltyMs: roundMs(penaltyMs),
    loadAgeMs: roundMs(loadAgeMs),
    coolingMs: roundMs(coolingMs),
  };
}
