import { InvalidModelError } from '../../protocols/errors.ts';

/** Hears of a fault; whether the search for others goes on is its affair. */
export type ReportFault = (fault: InvalidModelError) => void;

/** Ends the search at the first fault: what packing wants. */
export const throwFault: ReportFault = (fault) => {
  throw fault;
};

/** Where a fault is, as the `details` of its error. */
export interface FaultPlace {
  /** Name of the file in the package; null when it is the package as a whole. */
  readonly file: string | null;
  /** Path of the field in that file, such as `deployment.maxReplicas`; null when it has none. */
  readonly field: string | null;
}

/** A fault in a field of a file: `swarm.json field golden.file: …`, or in the file as a whole. */
export function fieldFault(
  file: string,
  field: string,
  fault: string,
  options?: ErrorOptions,
): InvalidModelError {
  return new InvalidModelError(
    field === '' ? `${file} ${fault}` : `${file} field ${field}: ${fault}`,
    {
      ...options,
      details: field === '' ? { file } : { file, field },
    },
  );
}

/** Where a fault is. */
export function placeOf({ details }: InvalidModelError): FaultPlace {
  const { file, field } = details;
  return {
    file: typeof file === 'string' ? file : null,
    field: typeof field === 'string' ? field : null,
  };
}
