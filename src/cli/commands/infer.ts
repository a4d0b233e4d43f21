import path from 'node:path';
import { ConfigError, InvalidInputError } from '../../../protocols/errors.ts';
import type { Manifest } from '../../../protocols/manifest/index.ts';
import type { ModelRef } from '../../../protocols/reference.ts';
import type { Tensor } from '../../../protocols/tensor.ts';
import { type ModelAnswer, readAnswers } from '../../client/answer-reader.ts';
import { imageToTensor, MAX_IMAGE_BYTES } from '../../client/image-input.ts';
import type { InferResult } from '../../client/infer-result.ts';
import { formatInferenceResponse, parseInferenceRequest } from '../../client/open-inference.ts';
import { MAX_VERIFY_REPLICAS } from '../../policy/verification.ts';
import { decodeText, parseContents, readBounded, readBoundedFile } from '../bounded-file.ts';
import { callNotes } from '../call-notes.ts';
import { clientFolder } from '../client-folder.ts';
import type { CommandContext } from '../command-context.ts';
import type { CommandOptions } from '../command-spec.ts';
import { parseInteger } from '../config.ts';
import { EXIT } from '../exit-code.ts';
import { formatConfidence, formatMs, roundMs } from '../figures.ts';
import { checkNewFile, writeNewFile } from '../new-file.ts';
import { printable, shortId } from '../printable.ts';
import { resolveModelRef } from '../publisher-names.ts';
import { printRoute } from '../route-report.ts';
import { joinSwarm } from '../swarm-join.ts';
import { noteEvidence, noteVerification, verificationParameters } from '../verification-notes.ts';

/** Bytes of a request's JSON: the longest string that JavaScript holds is twice this. */
export const MAX_REQUEST_JSON_BYTES = 256 * 1024 * 1024;

/** What the command was given to run the model on. */
type Source =
  | { readonly kind: 'request'; readonly text: string; readonly what: string }
  | { readonly kind: 'image'; readonly bytes: Uint8Array };

interface Call {
  readonly id: string | undefined;
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly outputs: readonly string[];
}

/** `swarm infer`: runs a model once and prints its answer. */
export async function runInfer(context: CommandContext, options: CommandOptions): Promise<number> {
  const { settings, signal, terminal } = context;
  const ref = await resolveModelRef(context, String(options['ref']));
  const source = await readSource(context, options);
  const trust = await readTrust(context, options);
  await using swarm = await joinSwarm(context, { dataDir: clientFolder(context) });
  const { client } = swarm;
  const manifest = await client.manifest(ref, { signal });
  const { id, inputs, outputs } = await toCall(source, manifest);
  const callOptions = {
    outputs,
    deadlineMs: settings.deadlineMs,
    signal,
    onProgress: callNotes(terminal),
    ...(options['key'] === undefined ? {} : { key: String(options['key']) }),
    ...{ verify: trust.verify, receipt: trust.receiptFile !== undefined },
  };
  if (options['explain'] === true) {
    return printRoute(terminal, await client.explain(ref, inputs, callOptions));
  }
  const known = new Set(client.evidence);
  const result = await client.infer(ref, inputs, callOptions);
  if (trust.receiptFile !== undefined && result.receipt !== undefined) {
    await writeNewFile(trust.receiptFile, result.receipt.bytes);
  }
  if (result.verification !== undefined) noteVerification(terminal, result.verification);
  noteEvidence(
    terminal,
    client.evidence.filter((one) => !known.has(one)),
  );
  if (source.kind === 'image' && !terminal.json && manifest.answer !== undefined) {
    printAnswers(context, manifest, result);
  } else {
    terminal.data(
      formatInferenceResponse({
        modelName: `${ref.publisher}/${ref.name}`,
        modelVersion: result.version,
        id,
        outputs: result.outputs,
        parameters: parametersOf(ref, result),
      }),
    );
  }
  return EXIT.ok;
}

/** How sure the caller wants to be, and what is kept of the answer. */
interface Trust {
  /** Owners that are to agree; undefined for one node's word. */
  readonly verify: number | undefined;
  readonly receiptFile: string | undefined;
}

/** @throws {ERR_CONFIG} when an option is wrong. {ERR_INVALID_INPUT | ERR_STORE} when the receipt cannot be written there. */
async function readTrust(
  { cwd }: CommandContext,
  { verify, receipt, explain }: CommandOptions,
): Promise<Trust> {
  if (explain === true && (verify ?? receipt) !== undefined) {
    throw new ConfigError(
      'expected --explain without --verify and --receipt, for it runs nothing, found both',
    );
  }
  const owners =
    verify === undefined
      ? undefined
      : parseInteger(String(verify), '--verify', [2, MAX_VERIFY_REPLICAS]);
  if (receipt === undefined) return { verify: owners, receiptFile: undefined };
  const receiptFile = path.resolve(cwd, String(receipt));
  await checkNewFile(receiptFile);
  return { verify: owners, receiptFile };
}

/** Reads the input before anybody is dialled: a wrong file name is told at once. */
async function readSource(
  context: CommandContext,
  { request, image }: CommandOptions,
): Promise<Source> {
  const { cwd, signal } = context;
  if ((request === undefined) === (image === undefined)) {
    throw new ConfigError(
      `expected one of --request <file> and --image <file>, found ${request === undefined ? 'neither' : 'both'}`,
    );
  }
  if (request === '-') {
    const what = 'request on standard input';
    const bytes = await readBounded(context.openStdin(), {
      what,
      maxBytes: MAX_REQUEST_JSON_BYTES,
      signal,
    });
    return { kind: 'request', text: decodeText(bytes, what), what };
  }
  if (request !== undefined) {
    const what = `request file ${String(request)}`;
    const bytes = await readBoundedFile(path.resolve(cwd, String(request)), {
      what,
      maxBytes: MAX_REQUEST_JSON_BYTES,
      signal,
    });
    return { kind: 'request', text: decodeText(bytes, what), what };
  }
  const bytes = await readBoundedFile(path.resolve(cwd, String(image)), {
    what: `image file ${String(image)}`,
    maxBytes: MAX_IMAGE_BYTES,
    signal,
  });
  return { kind: 'image', bytes };
}

async function toCall(source: Source, manifest: Manifest): Promise<Call> {
  if (source.kind === 'request') {
    const { text, what } = source;
    return parseContents(what, () => parseInferenceRequest(text, manifest.inputs));
  }
  const { preprocessing } = manifest;
  if (preprocessing === undefined) {
    const inputs = manifest.inputs.map(({ name }) => `'${printable(name, 80)}'`).join(', ');
    throw new InvalidInputError(
      `the model's manifest declares no preprocessing for pictures, expected --request with its inputs ${inputs}`,
    );
  }
  const tensor = await imageToTensor(source.bytes, preprocessing);
  return { id: undefined, inputs: { [preprocessing.input]: tensor }, outputs: [] };
}

/** Who answered, as the Open Inference Protocol's `parameters`: flat, snake case. */
function parametersOf(
  ref: ModelRef,
  result: InferResult,
): Record<string, string | number | boolean> {
  return {
    publisher: ref.publisher,
    version: result.version,
    sequence: result.sequence,
    ...(result.channel === null ? {} : { channel: result.channel }),
    ...(result.fellBack ? { fell_back: true } : {}),
    node: result.node,
    owner: result.owner,
    latency_ms: roundMs(result.latencyMs),
    queue_ms: roundMs(result.queueMs),
    execute_ms: roundMs(result.executeMs),
    failed_attempts: result.failedAttempts.length,
    ...(result.verification && verificationParameters(result.verification)),
  };
}

function printAnswers(
  { terminal }: CommandContext,
  manifest: Manifest,
  { outputs, node, latencyMs }: InferResult,
): void {
  const who = terminal.style('dim', `node ${shortId(node)}, ${formatMs(latencyMs)}`);
  for (const answer of readAnswers(manifest, outputs)) {
    const label = terminal.style('strong', printable(answer.text));
    const sure = answer.confidence === null ? '' : `  ${formatConfidence(answer.confidence)}`;
    terminal.print(`${label}${sure}${others(answer)}  ${who}`);
  }
}

/** What a ranking names after the best. */
function others({ ranked = [] }: ModelAnswer): string {
  const after = ranked.slice(1).map(({ label }) => printable(label));
  return after.length === 0 ? '' : `  then ${after.join(', ')}`;
}
