export {
  type CatalogAnswer,
  type CatalogEntry,
  type CatalogMetadata,
  type CatalogQuery,
  MAX_CATALOG_DESCRIPTION,
  MAX_CATALOG_ENTRIES,
  MAX_CATALOG_LABELS,
  MAX_CATALOG_METADATA_BYTES,
} from './catalog.ts';
export {
  handleRouting,
  MAX_SNAPSHOT_ANNOUNCEMENTS,
  MAX_SNAPSHOT_OUTCOMES,
  type RelayedAnnouncement,
  requestCatalog,
  requestSnapshot,
  ROUTING_VERSION,
  type RoutingHandler,
  type RoutingQuery,
  type RoutingSnapshot,
} from './routing.ts';
