/** Which nodes a call would rather be answered by; an empty list asks for nothing. */
export interface NodeWish {
  readonly zones: readonly string[];
  readonly owners: readonly string[];
  readonly nodes: readonly string[];
  /** ONNX Runtime's execution providers, such as `cuda`. */
  readonly providers: readonly string[];
  /** What owners say of their nodes. */
  readonly tags: readonly string[];
}

/** What a node is, as far as a wish can ask for it. */
export interface NodeTraits {
  readonly node: string;
  readonly owner: string;
  readonly zone: string;
  readonly providers: readonly string[];
  readonly tags: readonly string[];
}

/** How many lists of a wish a node meets: one name of a list will do. */
export function wishesMet(wish: NodeWish, traits: NodeTraits): number {
  const met = [
    wish.zones.includes(traits.zone),
    wish.owners.includes(traits.owner),
    wish.nodes.includes(traits.node),
    wish.providers.some((provider) => traits.providers.includes(provider)),
    wish.tags.some((tag) => traits.tags.includes(tag)),
  ];
  return met.filter(Boolean).length;
}
