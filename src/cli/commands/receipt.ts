import path from 'node:path';
import { ConfigError } from '../../../protocols/errors.ts';
import { MAX_RECEIPT_BYTES } from '../../../protocols/limits.ts';
import { checkReceipt, openReceipt, type Receipt } from '../../../protocols/receipt/index.ts';
import { parseVersionCid } from '../../../protocols/reference.ts';
import type { NamedTensor, Tensor } from '../../../protocols/tensor.ts';
import type { NodeId, VersionCid } from '../../../protocols/types.ts';
import { parseInferenceRequest, parseInferenceResponse } from '../../client/open-inference.ts';
import { decodeText, parseContents, readBoundedFile } from '../bounded-file.ts';
import type { CommandContext } from '../command-context.ts';
import type { CommandOptions } from '../command-spec.ts';
import { EXIT } from '../exit-code.ts';
import { formatMs } from '../figures.ts';
import { printable } from '../printable.ts';
import { printPairs } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { MAX_REQUEST_JSON_BYTES } from './infer.ts';

/** What a receipt says that can be compared with something else. */
const PARTS = ['node', 'caller', 'version', 'inputs', 'outputs'] as const;

type Part = (typeof PARTS)[number];

/** What was given to compare a receipt with; undefined is what was not. */
interface Known {
  readonly node: readonly string[] | undefined;
  readonly caller: readonly string[] | undefined;
  readonly version: readonly string[] | undefined;
  readonly inputs: readonly NamedTensor[] | undefined;
  readonly outputs: readonly NamedTensor[] | undefined;
}

/**
 * `swarm receipt verify`: who signed a receipt, and whether it is of the request and the response that are given.
 *
 * @throws {ERR_INVALID_RECORD | ERR_LIMIT} when it is no receipt, its signature is not by its node, or it is of something else.
 */
export async function runReceiptVerify(
  context: CommandContext,
  options: CommandOptions,
): Promise<number> {
  const name = String(options['file']);
  const what = `receipt ${name}`;
  const bytes = await read(context, name, { what, maxBytes: MAX_RECEIPT_BYTES });
  const known = await readKnown(context, options);
  const { receipt } = await openReceipt(bytes);
  await compare(receipt, known);
  tell(context.terminal, receipt, known);
  return EXIT.ok;
}

async function readKnown(context: CommandContext, options: CommandOptions): Promise<Known> {
  const request = await readJson(context, 'request', options['request'], (text) =>
    parseInferenceRequest(text, []),
  );
  const answer = await readJson(context, 'response', options['response'], parseInferenceResponse);
  return {
    node: given(options['node'], answer?.node),
    caller: given(options['caller']),
    version: given(cidOf(options['cid']), answer?.modelVersion),
    inputs: request && named(request.inputs),
    outputs: answer && named(answer.outputs),
  };
}

/** Those of the values that are there; undefined when none is. */
function given(...values: readonly (string | boolean | undefined)[]): string[] | undefined {
  const texts = values.filter((value) => typeof value === 'string');
  return texts.length === 0 ? undefined : texts;
}

async function compare(receipt: Receipt, known: Known): Promise<void> {
  for (const node of known.node ?? []) await checkReceipt(receipt, { node: node as NodeId });
  for (const caller of known.caller ?? []) await checkReceipt(receipt, { caller });
  for (const cid of known.version ?? [])
    await checkReceipt(receipt, { version: cid as VersionCid });
  await checkReceipt(receipt, { inputs: known.inputs, outputs: known.outputs });
}

function tell(terminal: Terminal, receipt: Receipt, known: Known): void {
  const { node, caller, version, receivedAtMs, answeredAtMs, executeMs, provider } = receipt;
  const checked = PARTS.filter((part) => known[part] !== undefined);
  const unchecked = PARTS.filter((part) => known[part] === undefined);
  const [receivedAt, answeredAt] = [receivedAtMs, answeredAtMs].map(timeText);
  terminal.event({
    event: 'receipt',
    ...{ node, caller, version, receivedAt, answeredAt, executeMs, provider },
    nonce: hex(receipt.nonce),
    inputs: hex(receipt.inputs),
    outputs: hex(receipt.outputs),
    checked: ['signature', ...checked],
    unchecked,
  });
  terminal.print(`${terminal.style('good', 'signed')} by node ${node}`);
  printPairs(terminal, [
    ['answered', printable(caller)],
    ['version', version],
    ['inputs', `sha256 ${hex(receipt.inputs)}`],
    ['outputs', `sha256 ${hex(receipt.outputs)}`],
    ['received', `${receivedAt}, answered ${answeredAt}, by the node's own clock`],
    ['executed', `${formatMs(executeMs)} on ${printable(provider) || 'an unnamed provider'}`],
  ]);
  terminal.print(`checked: ${['its signature', ...checked.map(inWords)].join('; ')}`);
  if (unchecked.length > 0) terminal.print(`not checked: ${unchecked.map(notGiven).join('; ')}`);
  terminal.print("no receipt shows that the answer is right, nor that the node's clock is");
}

function inWords(part: Part): string {
  switch (part) {
    case 'inputs':
      return 'its inputs are those of the request';
    case 'outputs':
      return 'its outputs are those of the response';
    default:
      return `its ${part} is the one that was given`;
  }
}

function notGiven(part: Part): string {
  switch (part) {
    case 'inputs':
      return 'its inputs, for there is no --request';
    case 'outputs':
      return 'its outputs, for there is no --response';
    case 'version':
      return 'its version, for neither --cid nor --response says which to expect';
    case 'node':
      return 'its node, for neither --node nor --response says which to expect';
    case 'caller':
      return 'its caller, for no --caller says whom to expect';
  }
}

/** @throws {ERR_CONFIG} when it is none. */
function cidOf(text: string | boolean | undefined): VersionCid | undefined {
  if (text === undefined) return undefined;
  const cid = parseVersionCid(String(text));
  if (cid !== undefined) return cid;
  throw new ConfigError(
    `--cid is '${printable(String(text), 80)}', expected the CID of a version, such as bafyrei…`,
  );
}

async function readJson<T>(
  context: CommandContext,
  kind: 'request' | 'response',
  file: string | boolean | undefined,
  parse: (text: string) => T,
): Promise<T | undefined> {
  if (file === undefined) return undefined;
  const what = `${kind} file ${String(file)}`;
  const bytes = await read(context, String(file), { what, maxBytes: MAX_REQUEST_JSON_BYTES });
  const text = decodeText(bytes, what);
  return parseContents(what, () => parse(text));
}

async function read(
  { cwd, signal }: CommandContext,
  file: string,
  bounds: { readonly what: string; readonly maxBytes: number },
): Promise<Buffer> {
  return readBoundedFile(path.resolve(cwd, file), { ...bounds, signal });
}

function named(tensors: Readonly<Record<string, Tensor>>): readonly NamedTensor[] {
  return Object.entries(tensors).map(([name, tensor]) => ({ name, tensor }));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
