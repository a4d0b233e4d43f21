import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { present } from '../support/present.ts';
import { findOnnxCases, type OnnxCase } from './onnx-case.ts';
import { ONNX_DATA, ONNX_DATA_ABSENT } from './onnx-data.ts';
import { RECORDED, RECORDED_REFUSALS } from './recorded.ts';
import { SwarmWay } from './swarm-way.ts';

/** A part of `npm run test:conformance`; here each version also brings what its test expects as golden vectors. */
describe
  .skipIf(ONNX_DATA_ABSENT !== undefined)
  .concurrent(`The ONNX project's tests (${ONNX_DATA_ABSENT ?? 'a recorded part'})`, () => {
    let way: SwarmWay;
    let cases: ReadonlyMap<string, OnnxCase>;

    beforeAll(async () => {
      way = await SwarmWay.start({ publishers: 3, golden: true });
      const found = await findOnnxCases(ONNX_DATA);
      cases = new Map(found.map((onnxCase) => [onnxCase.name, onnxCase]));
    });
    afterAll(() => way?.[Symbol.asyncDispose]());

    const judge = async (name: string, signal: AbortSignal) =>
      way.judge(present(cases.get(name)), signal);

    test.each(RECORDED)('%s answers as ONNX says on a node that fetched it', async (name) => {
      const { outcome, by, code, reason } = await judge(name, AbortSignal.timeout(60_000));
      expect({ outcome, by, code, reason }).toEqual({
        outcome: 'right',
        by: null,
        code: '',
        reason: '',
      });
    });

    test.each(RECORDED_REFUSALS)('$test is refused for $reason', async ({ test: name, ...why }) => {
      expect(await judge(name, AbortSignal.timeout(60_000))).toMatchObject({
        outcome: 'refused',
        by: why.by,
        code: 'ERR_INVALID_MODEL',
        reason: expect.stringContaining(why.reason),
      });
    });
  });
