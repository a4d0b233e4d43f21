import { z } from 'zod';

/**
 * What a publisher may say about how ONNX Runtime makes a session: an allow-list of what can only cost speed. Nothing here names a
 * file or a library, and the runtime's free-form `extra` entries are not in it: they would let a stranger's model reach both.
 */
export interface SessionOptions {
  /** How far the graph is optimised when it is loaded. @default 'all' */
  readonly graphOptimizationLevel?:
    | 'disabled'
    | 'basic'
    | 'extended'
    | 'layout'
    | 'all'
    | undefined;
  /** Threads inside one operator; a node takes its own bound when that is less. @default the node's own */
  readonly intraOpThreads?: number | undefined;
  /** Whether memory is planned ahead from the shapes of earlier runs; false where shapes vary much. @default true */
  readonly memoryPattern?: boolean | undefined;
}

/** The fields as the package file and the manifest both have them. */
export const sessionShape = {
  graphOptimizationLevel: z
    .enum(['disabled', 'basic', 'extended', 'layout', 'all'])
    .describe('How far the graph is optimised when it is loaded. Default: all.')
    .optional(),
  intraOpThreads: z
    .int()
    .min(1)
    .max(512)
    .describe("Threads inside one operator. Default, and at most: the node's own.")
    .optional(),
  memoryPattern: z
    .boolean()
    .describe('Whether memory is planned ahead from the shapes of earlier runs. Default: true.')
    .optional(),
};
