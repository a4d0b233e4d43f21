import { DATATYPES, type Datatype } from '../../protocols/datatype.ts';
import type { DeclaredDimension } from '../../protocols/types.ts';
import type { GraphInit, ModelInit } from './onnx-builder.ts';

/** Trips after which a run of {@link LOOP_MODEL} has not ended within a test's patience. */
export const ENDLESS_TRIPS = 2n ** 62n;

/** A model whose output `<name>-out` is its input `<name>`, unchanged. */
export function echoModel(
  values: Readonly<Record<string, { datatype: Datatype; shape: readonly DeclaredDimension[] }>>,
): ModelInit {
  const entries = Object.entries(values);
  return {
    inputs: entries.map(([name, value]) => ({ name, ...value })),
    outputs: entries.map(([name, value]) => ({ name: `${name}-out`, ...value })),
    nodes: entries.map(([name]) => ({ op: 'Identity', inputs: [name], outputs: [`${name}-out`] })),
  };
}

/** An echo of a matrix of each datatype, by its name. */
export const ECHO_ALL = echoModel(
  Object.fromEntries(
    DATATYPES.map((datatype) => [datatype, { datatype, shape: ['rows', 'columns'] }]),
  ),
);

const LOOP_BODY: GraphInit = {
  inputs: [
    { name: 'trip', datatype: 'INT64', shape: [] },
    { name: 'condition', datatype: 'BOOL', shape: [] },
    { name: 'state', datatype: 'FP32', shape: ['n'] },
  ],
  outputs: [
    { name: 'condition-out', datatype: 'BOOL', shape: [] },
    { name: 'state-out', datatype: 'FP32', shape: ['n'] },
  ],
  nodes: [
    { op: 'Identity', inputs: ['condition'], outputs: ['condition-out'] },
    { op: 'Identity', inputs: ['state'], outputs: ['state-out'] },
  ],
};

/** Gives `x` back as `x-out` after `trips` trips through an empty loop: as many as the caller likes. */
export const LOOP_MODEL: ModelInit = {
  inputs: [
    { name: 'x', datatype: 'FP32', shape: ['n'] },
    { name: 'trips', datatype: 'INT64', shape: [] },
  ],
  outputs: [{ name: 'x-out', datatype: 'FP32', shape: ['n'] }],
  nodes: [
    {
      op: 'Loop',
      inputs: ['trips', '', 'x'],
      outputs: ['x-out'],
      attributes: { body: { graph: LOOP_BODY } },
    },
  ],
};
