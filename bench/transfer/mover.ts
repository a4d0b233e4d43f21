/** Settings of one end. */
export interface EndpointInit {
  /** Where what it serves and what it fetches is kept; exists, and is the endpoint's own. */
  readonly folder: string;
  /** Bytes a second that it sends at most. @default no bound */
  readonly uploadBytesPerSecond?: number | undefined;
}

/** One end of a transfer; both ends of a comparison are of the same kind. */
export interface Endpoint {
  /** What {@link connect} and {@link fetch} of another endpoint take. */
  readonly address: string;
  /** Takes in a model's file, to serve it; returns what it is asked for by. */
  hold(file: string): Promise<string>;
  /** Opens connections, so that the fetch which follows is not charged for handshakes. */
  connect(addresses: readonly string[]): Promise<void>;
  /**
   * Brings what another endpoint holds to this disk, verified; returns the bytes of the blocks that came.
   *
   * @throws when any byte is wrong or missing.
   */
  fetch(reference: string, addresses: readonly string[]): Promise<number>;
  /**
   * Uses one version and no other, as a node that loads it: what else is held may take less room. Absent where all is kept as
   * it came.
   */
  use?(reference: string): Promise<void>;
  /** Removes what was fetched. */
  forget(reference: string): Promise<void>;
  close(): Promise<void>;
}

/** One way to move files. Settings are each library's own, except where a comment says otherwise. */
export interface Mover {
  open(init: EndpointInit): Promise<Endpoint>;
}
