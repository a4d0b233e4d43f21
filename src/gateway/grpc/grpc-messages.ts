/** The messages of `open_inference.proto` as the gRPC library gives and takes them: 64-bit integers are text, enums their names. */

export interface GrpcParameter {
  readonly bool_param?: boolean;
  readonly int64_param?: string;
  readonly string_param?: string;
  readonly double_param?: number;
  readonly uint64_param?: string;
  /** Which of the fields is meant. */
  readonly parameter_choice?: string;
}

export type GrpcParameters = Readonly<Record<string, GrpcParameter>>;

export interface GrpcTensorContents {
  readonly bool_contents: readonly boolean[];
  readonly int_contents: readonly number[];
  readonly int64_contents: readonly string[];
  readonly uint_contents: readonly number[];
  readonly uint64_contents: readonly string[];
  readonly fp32_contents: readonly number[];
  readonly fp64_contents: readonly number[];
  readonly bytes_contents: readonly Uint8Array[];
}

export interface GrpcInputTensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly string[];
  readonly parameters: GrpcParameters;
  readonly contents: GrpcTensorContents | null;
}

export interface GrpcInferRequest {
  readonly model_name: string;
  readonly model_version: string;
  readonly id: string;
  readonly parameters: GrpcParameters;
  readonly inputs: readonly GrpcInputTensor[];
  readonly outputs: readonly { readonly name: string; readonly parameters: GrpcParameters }[];
  readonly raw_input_contents: readonly Uint8Array[];
}

export interface GrpcInferResponse {
  readonly model_name: string;
  readonly model_version: string;
  readonly id: string;
  readonly parameters: GrpcParameters;
  readonly outputs: readonly {
    readonly name: string;
    readonly datatype: string;
    readonly shape: readonly number[];
  }[];
  readonly raw_output_contents: readonly Uint8Array[];
}

export interface GrpcStreamResponse {
  readonly error_message: string;
  readonly infer_response?: GrpcInferResponse;
}

/** Of requests that change which models are served. */
export interface GrpcRepositoryRequest {
  readonly model_name: string;
  readonly parameters: GrpcParameters;
}

/** Of requests that name a model and no more. */
export interface GrpcModelRequest {
  readonly name: string;
  readonly version: string;
}
