import type { OperatorUse } from './onnx-graph.ts';

/** The nodes of the main graph or of one model-local function, subgraphs included. */
export interface FunctionBody {
  /** `''` and `''` for the main graph. */
  readonly domain: string;
  readonly name: string;
  /** Tells functions of one name apart, since IR version 10. */
  readonly overload: string;
  readonly nodeCount: number;
  /** By {@link operatorKey}. */
  readonly operators: ReadonlyMap<string, OperatorUse>;
}

/** ONNX's own operators go by two domains that mean the same. */
export function normaliseDomain(domain: string): string {
  return domain === 'ai.onnx' ? '' : domain;
}

/** NUL cannot be told apart in the names that follow, but no operator that exists has one. */
export function operatorKey(domain: string, type: string, overload: string): string {
  return `${domain}\0${type}\0${overload}`;
}

/** The operators of all bodies together, most used first. */
export function mergeOperators(bodies: readonly FunctionBody[]): OperatorUse[] {
  const merged = new Map<string, OperatorUse>();
  for (const body of bodies) {
    for (const { domain, type, count } of body.operators.values()) {
      const key = operatorKey(domain, type, '');
      merged.set(key, { domain, type, count: count + (merged.get(key)?.count ?? 0) });
    }
  }
  return [...merged.values()].sort((a, b) => b.count - a.count);
}

/** A body whose callees are being counted. */
interface Call {
  readonly body: FunctionBody;
  readonly callees: readonly (readonly [callee: FunctionBody, calls: number])[];
  /** Index of the first callee that is not counted yet. */
  next: number;
  /** Nodes of its own. */
  readonly total: number;
}

/**
 * Nodes once every call of a function is replaced by the function's nodes, as ONNX Runtime does when it loads: forty
 * functions that each call the next one twice are a file of 4 KB and 2^40 nodes.
 *
 * @returns Infinity when a function calls itself, directly or through others
 */
export function expandedNodeCount(main: FunctionBody, functions: readonly FunctionBody[]): number {
  const byKey = new Map(functions.map((f) => [operatorKey(f.domain, f.name, f.overload), f]));
  const expanded = new Map<FunctionBody, number>();
  // An explicit stack: as many functions may call one another in a row as fit into the file.
  const stack: Call[] = [];
  const open = new Set<FunctionBody>();
  const push = (body: FunctionBody): void => {
    const callees: [FunctionBody, number][] = [];
    let total = body.nodeCount;
    for (const [key, { count }] of body.operators) {
      const callee = byKey.get(key);
      if (callee !== undefined) {
        callees.push([callee, count]);
        total -= count;
      }
    }
    open.add(body);
    stack.push({ body, callees, next: 0, total });
  };
  push(main);
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const callee = top.callees[top.next]?.[0];
    if (callee === undefined) {
      const calls = top.callees.map(([callee, count]) => count * (expanded.get(callee) ?? 0));
      expanded.set(top.body, top.total + calls.reduce((a, b) => a + b, 0));
      open.delete(top.body);
      stack.pop();
    } else if (expanded.has(callee)) {
      top.next += 1;
    } else if (open.has(callee)) {
      return Number.POSITIVE_INFINITY;
    } else {
      push(callee);
    }
  }
  return expanded.get(main) ?? main.nodeCount;
}
