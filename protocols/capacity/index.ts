export {
  type AnnouncedDevice,
  type AnnouncedVersion,
  type Announcement,
  MAX_COST_PER_HOUR,
  MAX_TAGS,
  MAX_VERSION_NOTE_LENGTH,
  openAnnouncement,
  type ReplicaState,
  signAnnouncement,
  TAG,
} from './announcement.ts';
export { openOwnerCertificate, signOwnerCertificate } from './owner-certificate.ts';
export { announcementPages } from './pages.ts';
export {
  CAPACITY_TOPIC_COUNT,
  capacityBucket,
  capacityTopic,
  capacityTopics,
} from './topics.ts';
