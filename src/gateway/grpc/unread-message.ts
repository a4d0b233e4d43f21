import type { ServiceDefinition } from '@grpc/grpc-js';
import { GatewayRefusal } from '../refusal.ts';

/** Stands for a message whose bytes are none of its kind. */
export class UnreadMessage {
  readonly #reason: string;

  constructor(reason: string) {
    this.#reason = reason;
  }

  get refusal(): GatewayRefusal {
    return new GatewayRefusal(
      'invalid',
      `message cannot be read, expected one of protobuf: ${this.#reason}`,
    );
  }
}

/**
 * A service that hands its methods what it cannot read as an {@link UnreadMessage}. The library would answer INTERNAL by itself: a fault of the
 * server, which operators are woken for, where it is the caller's.
 */
export function handOverUnread(service: ServiceDefinition): ServiceDefinition {
  return Object.fromEntries(
    Object.entries(service).map(([name, method]) => {
      const requestDeserialize = ({ buffer, byteOffset, byteLength }: Buffer): object => {
        try {
          // Not the Buffer that the type asks for: of one, protobufjs takes a text that the message's end cuts off for a whole one.
          const bytes = new Uint8Array(buffer, byteOffset, byteLength);
          return method.requestDeserialize(bytes as Buffer);
        } catch (error) {
          return new UnreadMessage(error instanceof Error ? error.message : String(error));
        }
      };
      return [name, { ...method, requestDeserialize }];
    }),
  );
}

/** @throws {GatewayRefusal} for a message that could not be read. */
export function checkRead(request: unknown): void {
  if (request instanceof UnreadMessage) throw request.refusal;
}
