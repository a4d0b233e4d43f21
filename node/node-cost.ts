import { MAX_COST_PER_HOUR } from '../protocols/capacity/index.ts';
import { ConfigError } from '../protocols/errors.ts';

/**
 * What a kilowatt-hour costs where nobody says otherwise, in the money of those who say what an hour costs: about what households of
 * the European Union paid in euros in 2024.
 *
 * @see https://ec.europa.eu/eurostat/statistics-explained/index.php?title=Electricity_price_statistics
 */
export const DEFAULT_PRICE_PER_KWH = 0.3;

/** Watts of one host: a rack has some 100 kW. */
export const MAX_WATTS = 1_000_000;

/** Of a kilowatt-hour. */
export const MAX_PRICE_PER_KWH = 1_000;

export interface NodeCostInit {
  /** What an hour of this host costs, in the same money for all nodes of a swarm; not with `watts`. @default untold */
  readonly costPerHour?: number | undefined;
  /** Watts that this host draws while its models compute, instead of `costPerHour`: by `pricePerKwh` they are what an hour costs. @default untold */
  readonly watts?: number | undefined;
  /** What a kilowatt-hour costs, for `watts`. @default 0.3 */
  readonly pricePerKwh?: number | undefined;
}

export interface NodeCost {
  /** What others hear; undefined when nothing was said of it. */
  readonly costPerHour: number | undefined;
  /** What that is of; undefined when the cost itself was said. */
  readonly watts: number | undefined;
}

/**
 * What an hour of a host costs: as it was said, or what it draws at the price of that.
 *
 * @throws {ERR_CONFIG} naming the field that is out of range, or two that say the same.
 */
export function resolveNodeCost({
  costPerHour,
  watts,
  pricePerKwh = DEFAULT_PRICE_PER_KWH,
}: NodeCostInit): NodeCost {
  checkNumber('costPerHour', costPerHour, MAX_COST_PER_HOUR);
  checkNumber('watts', watts, MAX_WATTS);
  checkNumber('pricePerKwh', pricePerKwh, MAX_PRICE_PER_KWH);
  if (watts === undefined) return { costPerHour, watts };
  if (costPerHour !== undefined) {
    throw new ConfigError('costPerHour and watts are both set, expected one of them');
  }
  // At most MAX_COST_PER_HOUR: the bounds of both are made so.
  return { costPerHour: (watts / 1_000) * pricePerKwh, watts };
}

function checkNumber(field: string, value: number | undefined, max: number): void {
  if (value === undefined || (value >= 0 && value <= max)) return;
  throw new ConfigError(`${field} is ${value}, expected a number from 0 to ${max}`);
}
