import { z } from 'zod';

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly { readonly name: string }[];
  readonly requestBody?: unknown;
  readonly responses: Readonly<Record<string, Response>>;
}

interface Response {
  readonly content: Readonly<Record<string, { readonly schema: object }>>;
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: object };
}

/** One thing that a document says can be asked. */
export interface DescribedOperation {
  readonly id: string;
  readonly path: string;
  readonly method: string;
  readonly takesBody: boolean;
}

/** Holds answers against what an OpenAPI document says of them. */
export class OpenApiChecker {
  readonly #document: Document;

  constructor(document: unknown) {
    this.#document = document as Document;
  }

  get operations(): readonly DescribedOperation[] {
    return Object.entries(this.#document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { operationId, requestBody }]) => ({
        id: operationId,
        path,
        method: method.toUpperCase(),
        takesBody: requestBody !== undefined,
      })),
    );
  }

  /** @throws when the document does not say that the operation answers so. */
  check(operation: DescribedOperation, status: number, type: string, body: Buffer): void {
    const { path, method, id } = operation;
    const described = this.#document.paths[path]?.[method.toLowerCase()]?.responses[status];
    if (described === undefined) {
      throw new Error(`${id} answers ${status}, which is not described: ${body.toString()}`);
    }
    const content = described.content[type];
    if (content === undefined) throw new Error(`${id} answers ${status} as ${type}`);
    if (type !== 'application/json') return;
    this.#schema(content.schema).parse(JSON.parse(body.toString()));
  }

  /** With the references to components as references inside of the schema itself. */
  #schema(schema: object): z.ZodType {
    const whole = { ...schema, $defs: this.#document.components.schemas };
    const text = JSON.stringify(whole).replaceAll('#/components/schemas/', '#/$defs/');
    return z.fromJSONSchema(JSON.parse(text) as Parameters<typeof z.fromJSONSchema>[0]);
  }
}
