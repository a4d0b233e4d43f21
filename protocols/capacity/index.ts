export {
  type AnnouncedDevice,
  type AnnouncedVersion,
  type Announcement,
  MAX_ANNOUNCED_VERSIONS,
  openAnnouncement,
  type ReplicaState,
  signAnnouncement,
} from './announcement.ts';
export { openOwnerCertificate, signOwnerCertificate } from './owner-certificate.ts';
export {
  CAPACITY_TOPIC_COUNT,
  capacityBucket,
  capacityTopic,
  capacityTopics,
} from './topics.ts';
