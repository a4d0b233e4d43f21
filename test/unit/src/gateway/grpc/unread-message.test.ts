import type { ServiceDefinition } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import {
  INFERENCE_SERVICE,
  loadDefinitions,
} from '../../../../../src/gateway/grpc/grpc-definition.ts';
import { handOverUnread, UnreadMessage } from '../../../../../src/gateway/grpc/unread-message.ts';
import { present } from '../../../../support/present.ts';

const service = handOverUnread(loadDefinitions()[INFERENCE_SERVICE] as ServiceDefinition);
const { requestDeserialize, requestSerialize } = present(service['ModelInfer']);

const WHOLE = Buffer.from(
  requestSerialize({
    id: 'seven',
    raw_input_contents: [Buffer.from([1, 2, 3])],
    model_name: 'digits',
    parameters: { note: { string_param: 'a text at the end' } },
  }),
);

describe('a message of gRPC', () => {
  test('is read as it was written', () => {
    expect(requestDeserialize(WHOLE)).toMatchObject({
      id: 'seven',
      model_name: 'digits',
      raw_input_contents: [Uint8Array.of(1, 2, 3)],
    });
  });

  test('that ends within a text is not read as one with a shorter text', () => {
    // Field 1, the model's name, of five bytes, of which two are there.
    const cut = requestDeserialize(Buffer.from([0x0a, 5, 0x6d, 0x6f]));
    expect(cut).toBeInstanceOf(UnreadMessage);
  });

  test('cut anywhere is refused, or has the fields that came whole', () => {
    for (let length = 0; length < WHOLE.byteLength; length += 1) {
      const read = requestDeserialize(WHOLE.subarray(0, length));
      if (read instanceof UnreadMessage) continue;
      expect(['', 'digits']).toContain(read.model_name);
      expect(['', 'seven']).toContain(read.id);
    }
  });
});
