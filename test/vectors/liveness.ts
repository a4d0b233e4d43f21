import type { DeathReport } from '../../protocols/liveness/index.ts';
import type { NodeId } from '../../protocols/types.ts';
import { hex } from '../support/hex.ts';

const DEATH = '65 6465617468';

export const deathReportVectors: readonly {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly report: DeathReport;
}[] = [
  {
    name: 'a report with the least salt',
    bytes: hex('83', DEATH, '65 31324433 61', '00'),
    report: { node: '12D3a' as NodeId, salt: 0 },
  },
  {
    name: 'a report with the largest salt',
    bytes: hex('83', DEATH, '65 3132443361', '1a ffffffff'),
    report: { node: '12D3a' as NodeId, salt: 0xffff_ffff },
  },
];

export const brokenDeathReports: readonly {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly code: string;
}[] = [
  { name: 'nothing', bytes: hex(''), code: 'ERR_INVALID_RECORD' },
  { name: 'a report cut short', bytes: hex('83', DEATH, '65 313244'), code: 'ERR_INVALID_RECORD' },
  {
    name: 'a node without a name',
    bytes: hex('83', DEATH, '60', '00'),
    code: 'ERR_INVALID_RECORD',
  },
  { name: 'a salt below 0', bytes: hex('83', DEATH, '61 61', '20'), code: 'ERR_INVALID_RECORD' },
  {
    name: 'a field too many',
    bytes: hex('84', DEATH, '61 61', '00', '00'),
    code: 'ERR_INVALID_RECORD',
  },
  {
    name: 'another word',
    bytes: hex('83', '65 6269727468', '61 61', '00'),
    code: 'ERR_INVALID_RECORD',
  },
  { name: 'a byte too many', bytes: new Uint8Array(257), code: 'ERR_LIMIT' },
];
