import type { noise } from '@chainsafe/libp2p-noise';
import type { ConnectionEncrypter } from '@libp2p/interface';

type NoiseComponents = Parameters<ReturnType<typeof noise>>[0];

/**
 * Noise that is loaded by the first peer that lacks TLS: its WebAssembly costs an application 45 ms at import, and peers of ours
 * never need it.
 */
export function lazyNoise(): (components: NoiseComponents) => ConnectionEncrypter {
  return (components) => {
    let loading: Promise<ConnectionEncrypter> | undefined;
    const load = (): Promise<ConnectionEncrypter> => {
      loading ??= import('@chainsafe/libp2p-noise').then(({ noise }) => noise()(components));
      return loading;
    };
    return {
      protocol: '/noise',
      secureOutbound: async (connection, options) =>
        (await load()).secureOutbound(connection, options),
      secureInbound: async (connection, options) =>
        (await load()).secureInbound(connection, options),
    };
  };
}
