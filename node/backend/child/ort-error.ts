import { stripVTControlCharacters } from 'node:util';
import {
  ExecutionError,
  InvalidInputError,
  InvalidModelError,
  type SwarmError,
} from '../../../protocols/errors.ts';

/** Characters of a runtime's message that are kept. */
const MAX_MESSAGE = 400;

/** What the runtime (1.30) says when the tensors do not fit the model; its errors carry no code. */
const INPUT_FAULTS = [
  /Got invalid dimensions for input/,
  /Invalid rank for input/,
  /Unexpected input data type/,
  /is missing in 'feeds'/,
  /contains invalid output name/,
  /not enough space: expected/,
  /does not match data length/,
];

/** The error of a run that threw: at fault is the input where the message says so, else the model. */
export function classifyRunError(error: unknown, modelPath: string): SwarmError {
  const message = cleanRuntimeMessage(error, modelPath);
  return INPUT_FAULTS.some((fault) => fault.test(message))
    ? new InvalidInputError(message)
    : new ExecutionError(`model failed: ${message}`);
}

/** The error of a model that could not be loaded. */
export function classifyLoadError(error: unknown, entry: string, modelPath: string): SwarmError {
  const message = cleanRuntimeMessage(error, modelPath);
  return new InvalidModelError(`${entry} cannot be loaded: ${message}`);
}

/**
 * A runtime's message for eyes elsewhere: without colours, without the paths of this host, without the source positions and
 * C++ signatures it is built around, on one line, bounded.
 */
export function cleanRuntimeMessage(error: unknown, modelPath: string): string {
  const text = error instanceof Error ? error.message : String(error);
  const directory = modelPath.replace(/[^/\\]*$/, '');
  const clean = stripVTControlCharacters(text)
    .replaceAll(modelPath, 'the file')
    .replaceAll(directory, '')
    .replace(/^Load model from .*? failed:/, '')
    // /onnxruntime_src/…/model.cc:187 onnxruntime::Model::Model(…) what follows is the sentence
    .replace(/\/onnxruntime_src\/\S+:\d+ (?:.*\)(?: \[with [^\]]*\])? )?/, '')
    .replace(/(?:\/[\w.-]+){2,}\//g, '')
    .replace(/\s+/g, ' ')
    .trim();
  return clean.length > MAX_MESSAGE ? `${clean.slice(0, MAX_MESSAGE)}…` : clean;
}
