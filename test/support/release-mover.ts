import {
  type ChannelChanges,
  moveChannels,
  type ReleaseRecord,
  signRelease,
} from '../../protocols/release/index.ts';
import type { PublisherId } from '../../protocols/types.ts';
import type { Testnet } from './testnet.ts';

/** A model whose channels a test moves. */
export interface MovedModel {
  readonly publisher: PublisherId;
  readonly name: string;
}

/**
 * Signs and publishes the record after the newest one, from a peer that is gone when this resolves, as the publisher's machine
 * often is.
 */
export async function moveRelease(
  testnet: Testnet,
  { publisher, name }: MovedModel,
  changes: ChannelChanges | ((newest: ReleaseRecord) => ChannelChanges),
): Promise<ReleaseRecord> {
  const signal = AbortSignal.timeout(20_000);
  const peer = await testnet.addPeer();
  try {
    const { record } = await peer.releases.find(publisher, name, { signal, fresh: true });
    const next = moveChannels(
      record,
      { publisher, name, nowMs: Date.now() },
      typeof changes === 'function' ? changes(record) : changes,
    );
    await peer.releases.publish(await signRelease(next, testnet.publisherKey), { signal });
    return next;
  } finally {
    await peer.stop();
  }
}
