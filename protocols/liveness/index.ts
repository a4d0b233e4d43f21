export {
  type DeathReport,
  decodeDeathReport,
  encodeDeathReport,
  isDeathReport,
} from './death-report.ts';
export {
  handleKeepAlive,
  KeepAlive,
  type KeepAliveInit,
  type KeepAliveLoss,
  LIVENESS_VERSION,
} from './keep-alive.ts';
