export {
  handleRouting,
  MAX_SNAPSHOT_ANNOUNCEMENTS,
  type RelayedAnnouncement,
  requestSnapshot,
  ROUTING_VERSION,
  type RoutingQuery,
  type RoutingSnapshot,
} from './routing.ts';
