/** What an owner can ask a node for by hand: some items, one after another, that JSON can hold. */
export type ControlVerb = (
  argument: string | undefined,
  signal: AbortSignal,
) => AsyncIterable<unknown>;

export type ControlVerbs = Readonly<Record<string, ControlVerb>>;

/** One line each way, as JSON. */
export interface ControlRequest {
  readonly verb: string;
  readonly argument?: string | undefined;
}

/** Items, then one `done` or one `failed`. */
export type ControlAnswer =
  | { readonly item: unknown }
  | { readonly done: true }
  | { readonly failed: { readonly code: string; readonly message: string } };
