/** Name of the network that both ends speak in. */
export const NETWORK = 'bench';
