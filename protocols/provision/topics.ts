/** The one topic of provision heartbeats: of those who have a hook, and of those who pass on what they say. */
export function provisionTopic(network: string): string {
  return `/gpu-swarm/${network}/provision`;
}
