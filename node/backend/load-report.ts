import { z } from 'zod';
import { DATATYPES } from '../../protocols/datatype.ts';
import { InvalidMessageError } from '../../protocols/errors.ts';
import { MAX_NAME_BYTES, MAX_RANK, MAX_TENSORS } from '../../protocols/limits.ts';
import { MAX_PIPE_JSON_BYTES } from './pipe-frame.ts';
import { type LoadReport, parseJson } from './pipe-message.ts';

const dimension = z.union([z.int().min(0), z.string().max(MAX_NAME_BYTES), z.null()]);

const specs = z
  .array(
    z.object({
      name: z.string().max(MAX_NAME_BYTES),
      datatype: z.enum(DATATYPES),
      shape: z.array(dimension).max(MAX_RANK),
    }),
  )
  .max(MAX_TENSORS);

const loadReportSchema = z.object({
  inputs: specs,
  outputs: specs,
  notes: z.array(z.string()).max(MAX_TENSORS),
  loops: z.array(z.string().max(64)).max(64),
  memoryBytes: z.number().min(0),
  runtimeVersion: z.string().max(64),
  runtimeProviders: z.array(z.string().max(64)).max(64),
});

/**
 * Reads what a child says of the model it loaded. Apart from the messages both ends share: the child need not load a validator.
 *
 * @throws {ERR_INVALID_MESSAGE} when it is no such report.
 */
export function parseLoadReport(payload: Uint8Array): LoadReport {
  if (payload.byteLength > MAX_PIPE_JSON_BYTES) {
    throw new InvalidMessageError(
      `load report has ${payload.byteLength} bytes, expected at most ${MAX_PIPE_JSON_BYTES}`,
    );
  }
  const parsed = loadReportSchema.safeParse(parseJson(payload));
  if (parsed.success) return parsed.data;
  throw new InvalidMessageError(`load report: ${z.prettifyError(parsed.error).slice(0, 300)}`);
}
