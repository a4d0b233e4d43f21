/**
 * The process a model lives in: reads frames from descriptor 3, answers on it, ends when it closes. It holds one model, its
 * folder is empty, its environment bare, and it may be killed at any moment.
 */
import { flushCompileCache } from 'node:module';
import { encodeFailure, type LoadCommand, type LoadReport } from '../pipe-message.ts';
import { MAX_PIPE_JSON_BYTES, PIPE_FRAME, type PipeFrame } from '../pipe-frame.ts';
import { decodeTensorFrame, encodeTensorFrame } from '../tensor-frame.ts';
import { BlockingPipe } from './blocking-pipe.ts';
import { FrameReader, MAX_KEPT_BYTES } from './frame-reader.ts';
import { Guard } from './guard.ts';
import { closeInheritedFiles } from './inherited-files.ts';
import { checkModelFile } from './model-check.ts';
import { importRuntime, ModelSession } from './session.ts';

const PIPE_FD = 3;
/** The parent bounds what it sends; a frame's length is 32 bits. */
const MAX_REQUEST_BYTES = 2 ** 32 - 16;
/** Bytes of tensors after which the garbage is collected at once, for buffers weigh nothing in V8's own schedule. */
const COLLECT_AFTER_BYTES = 64 * 1024 * 1024;

async function main(): Promise<void> {
  closeInheritedFiles(PIPE_FD);
  const [parentPid, maxMemoryBytes] = process.argv.slice(2).map(Number);
  // Ctrl-C and a service manager's SIGTERM reach the whole group: the parent decides when a model ends.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
  const guard = Guard.start({ parentPid: parentPid ?? 0, maxMemoryBytes: maxMemoryBytes ?? 0 });
  const pipe = new BlockingPipe(PIPE_FD, MAX_REQUEST_BYTES);
  const first = pipe.read();
  if (first === undefined) return;
  const session = await load(pipe, guard, first);
  if (session === undefined) return;
  let bytesSinceCollection = 0;
  const frames = new FrameReader(PIPE_FD, MAX_REQUEST_BYTES);
  for (let frame = await frames.next(); frame !== undefined; frame = await frames.next()) {
    guard.busy();
    const written = await answer(pipe, guard, session, frame);
    guard.idle();
    const { byteLength } = frame.payload;
    bytesSinceCollection += written + (byteLength > MAX_KEPT_BYTES ? byteLength : 0);
    if (bytesSinceCollection < COLLECT_AFTER_BYTES) continue;
    bytesSinceCollection = 0;
    globalThis.gc?.();
  }
}

async function load(
  pipe: BlockingPipe,
  guard: Guard,
  { id, payload }: PipeFrame,
): Promise<ModelSession | undefined> {
  try {
    const command = JSON.parse(Buffer.from(payload).toString()) as LoadCommand;
    guard.busy();
    // Before the runtime, and while the watchdog comes up: what is refused need not wait for either.
    const { loops } = await checkModelFile(command, { refuseLoops: command.refuseLoops });
    const ort = await importRuntime();
    guard.ready();
    const session = await ModelSession.load(ort, command);
    guard.idle();
    const { inputs, outputs, notes, runtimeVersion, runtimeProviders } = session;
    const memoryBytes = process.memoryUsage.rss();
    const report: LoadReport = {
      inputs,
      outputs,
      notes,
      loops,
      runtimeVersion,
      runtimeProviders,
      memoryBytes,
    };
    pipe.write(PIPE_FRAME.loaded, id, [encodeJson(report)]);
    // By itself Node writes it at the end, which here is a kill.
    flushCompileCache();
    return session;
  } catch (error) {
    pipe.write(PIPE_FRAME.failure, id, [encodeJson(encodeFailure(error))]);
    return undefined;
  }
}

/** Answers one run and returns the bytes written. */
async function answer(
  pipe: BlockingPipe,
  guard: Guard,
  session: ModelSession,
  { id, payload }: PipeFrame,
): Promise<number> {
  let type: number = PIPE_FRAME.result;
  let pieces: Uint8Array[];
  try {
    const { numbers: wanted, tensors } = decodeTensorFrame(payload);
    const start = performance.now();
    const outputs = await session.run(tensors, wanted);
    const executeMs = performance.now() - start;
    pieces = encodeTensorFrame({ numbers: [executeMs, guard.memoryBytes], tensors: outputs });
  } catch (error) {
    type = PIPE_FRAME.failure;
    pieces = [encodeJson(encodeFailure(error))];
  }
  pipe.write(type, id, pieces);
  return pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
}

function encodeJson(value: object): Uint8Array {
  const bytes = Buffer.from(JSON.stringify(value));
  return bytes.byteLength <= MAX_PIPE_JSON_BYTES
    ? bytes
    : encodeJson(encodeFailure(new Error(`answer has ${bytes.byteLength} bytes of JSON`)));
}

await main();
// The watchdog and the runtime's threads end with the process.
process.exit(0);
