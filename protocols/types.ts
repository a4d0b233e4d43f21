import type { Datatype } from './datatype.ts';

/** The CID of a version's manifest, in base32 text: the version's only identity. */
export type VersionCid = string & { readonly __brand: 'VersionCid' };

/** A publisher: the peer id of its Ed25519 key, in base58 text. */
export type PublisherId = string & { readonly __brand: 'PublisherId' };

/** A node: the peer id of its libp2p key, in base58 text. */
export type NodeId = string & { readonly __brand: 'NodeId' };

/** An owner of nodes: the peer id of its Ed25519 key, in base58 text. */
export type OwnerId = string & { readonly __brand: 'OwnerId' };

/** One dimension of a declared shape: a size, the name of a free dimension, or null when free and unnamed. */
export type DeclaredDimension = number | string | null;

/** What a model declares about one input or output. */
export interface TensorSpec {
  readonly name: string;
  readonly datatype: Datatype;
  /** Declared dimensions; `[]` is a scalar. Outputs may declare what turns out untrue: the answer carries the real shape. */
  readonly shape: readonly DeclaredDimension[];
}

/** What the wire says of a tensor before its bytes. */
export interface TensorDescriptor {
  readonly name: string;
  readonly datatype: Datatype;
  /** Row-major dimensions, each a safe integer >= 0; `[]` is a scalar of one element. */
  readonly shape: readonly number[];
  /** Bytes of the tensor's data on the wire. */
  readonly byteLength: number;
}

/** How busy a version is on a node, as of an answer or an announcement. */
export interface LoadReport {
  /** Requests executing now. */
  readonly inFlight: number;
  /** Requests waiting. */
  readonly queued: number;
  /** Requests the node executes at once. */
  readonly slots: number;
  /** Mean measured milliseconds of one execution; null before the first. */
  readonly serviceMs: number | null;
}

/** A call that can be given up. */
export interface AbortOptions {
  readonly signal?: AbortSignal | undefined;
}

/** An options interface once every default is filled in: nothing is optional any more. */
export type Resolved<Init> = {
  readonly [Field in keyof Init]-?: Exclude<Init[Field], undefined>;
};
