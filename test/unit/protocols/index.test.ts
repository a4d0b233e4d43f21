import * as protocols from 'gpu-swarm/protocols';
import { describe, expect, it } from 'vitest';
import { SwarmError } from '../../../protocols/errors.ts';

describe('gpu-swarm/protocols', () => {
  it('has both ends of every exchange', () => {
    expect(protocols).toMatchObject({
      InferenceConnection: expect.any(Function),
      handleInference: expect.any(Function),
      TransferConnection: expect.any(Function),
      handleTransfer: expect.any(Function),
      requestSnapshot: expect.any(Function),
      handleRouting: expect.any(Function),
      requestReplica: expect.any(Function),
      handleReplica: expect.any(Function),
    });
  });

  it('has what signs and opens every record', () => {
    expect(protocols).toMatchObject({
      encodeManifest: expect.any(Function),
      decodeManifest: expect.any(Function),
      signRelease: expect.any(Function),
      decodeRelease: expect.any(Function),
      signAnnouncement: expect.any(Function),
      openAnnouncement: expect.any(Function),
      signOutcome: expect.any(Function),
      openOutcome: expect.any(Function),
      signProvision: expect.any(Function),
      openProvision: expect.any(Function),
    });
  });

  it('throws the same errors as the rest of the package', () => {
    expect(protocols.SwarmError).toBe(SwarmError);
  });

  it('keeps its framing to itself', () => {
    const inner = ['FrameDecoder', 'FrameStream', 'MessageExchange', 'encodeRequest', 'BodyReader'];
    expect(Object.keys(protocols).filter((name) => inner.includes(name))).toEqual([]);
  });
});
