import MartletTelemetry

/// The figures of files, uploads, caches and codings.
extension EdgeMetrics {
  static let sessions = MetricFamily(
    .counter,
    "martlet_sessions_total",
    "Requests on routes with sessions, and what became of sessions.",
    labels: ["sessions", "outcome"]
  )
  static let sessionsKept = MetricFamily(
    .gauge,
    "martlet_sessions_kept",
    "Sessions that are kept, where this machine keeps them.",
    labels: ["sessions"]
  )
  static let gatewayRequests = MetricFamily(
    .counter,
    "martlet_gateway_requests_total",
    "Requests to members that are no servers of HTTP, by whether their connection had carried one before, or may "
      + "carry several at once.",
    labels: ["protocol", "connection"]
  )
  static let gatewayGivenUp = MetricFamily(
    .counter,
    "martlet_gateway_given_up_total",
    "Answers that were given up because their clients held up others of the same connection.",
    labels: ["protocol"]
  )
  static let gatewayRedirects = MetricFamily(
    .counter,
    "martlet_gateway_redirects_total",
    "Answers of these members that name another place of this host, which answered then.",
    labels: ["protocol"]
  )
  static let gatewayLines = MetricFamily(
    .counter,
    "martlet_gateway_lines_total",
    "Lines that these members have said besides their answers.",
    labels: ["protocol"]
  )
  static let gatewayFaults = MetricFamily(
    .counter,
    "martlet_gateway_faults_total",
    "Answers of these members that could not be understood, by what was wrong.",
    labels: ["protocol", "reason"]
  )
  static let fileLookups = MetricFamily(
    .counter,
    "martlet_file_lookups_total",
    "Paths that were looked up below the roots of files, by what came of that.",
    labels: ["outcome"]
  )
  static let filesKept = MetricFamily(
    .gauge,
    "martlet_files_kept",
    "Files that are kept open or in memory."
  )
  static let fileBytesKept = MetricFamily(
    .gauge,
    "martlet_file_bytes_kept",
    "Bytes of files that are kept in memory."
  )
  static let uploads = MetricFamily(
    .counter,
    "martlet_uploads_total",
    "Uploads that go on after an interruption, by what has come of them.",
    labels: ["outcome"]
  )
  static let uploadsOpen = MetricFamily(
    .gauge,
    "martlet_uploads_open",
    "Such uploads that are not complete."
  )
  static let uploadBytesOpen = MetricFamily(
    .gauge,
    "martlet_upload_bytes_open",
    "Bytes that have come of such uploads."
  )
  static let diskUsable = MetricFamily(
    .gauge,
    "martlet_cache_disk_usable",
    "Whether the disk of a cache can be used.",
    labels: ["cache"]
  )
  static let diskObjects = MetricFamily(
    .gauge,
    "martlet_cache_disk_objects",
    "Answers on the disk of a cache.",
    labels: ["cache"]
  )
  static let diskBytes = MetricFamily(
    .gauge,
    "martlet_cache_disk_bytes",
    "Bytes of the files on the disk of a cache.",
    labels: ["cache"]
  )
  static let diskHits = MetricFamily(
    .counter,
    "martlet_cache_disk_hits_total",
    "Answers that were read from the disk of a cache.",
    labels: ["cache"]
  )
  static let diskWrites = MetricFamily(
    .counter,
    "martlet_cache_disk_writes_total",
    "Answers for the disk of a cache, by what became of them.",
    labels: ["cache", "outcome"]
  )
  static let diskEvictions = MetricFamily(
    .counter,
    "martlet_cache_disk_evictions_total",
    "Answers that had to make room on the disk of a cache.",
    labels: ["cache"]
  )
  static let diskFaults = MetricFamily(
    .counter,
    "martlet_cache_disk_faults_total",
    "What on the disk of a cache was not what was written, and calls to it that have failed.",
    labels: ["cache", "kind"]
  )
  static let cacheRequests = MetricFamily(
    .counter,
    "martlet_cache_requests_total",
    "Requests of routes that keep answers, by what the cache did.",
    labels: ["cache", "outcome"]
  )
  static let cacheSentBytes = MetricFamily(
    .counter,
    "martlet_cache_sent_bytes_total",
    "Bytes of bodies that were sent out of a cache.",
    labels: ["cache"]
  )
  static let cacheObjects = MetricFamily(
    .gauge,
    "martlet_cache_objects",
    "Answers that are kept.",
    labels: ["cache"]
  )
  static let cacheBytes = MetricFamily(
    .gauge,
    "martlet_cache_bytes",
    "Bytes of the answers that are kept, with what is needed to find them.",
    labels: ["cache"]
  )
  static let cacheFillingBytes = MetricFamily(
    .gauge,
    "martlet_cache_filling_bytes",
    "Bytes of answers that are being received and are to be kept.",
    labels: ["cache"]
  )
  static let cacheLimit = MetricFamily(
    .gauge,
    "martlet_cache_limit_bytes",
    "How many bytes a cache may hold.",
    labels: ["cache"]
  )
  static let cacheEvictions = MetricFamily(
    .counter,
    "martlet_cache_evictions_total",
    "Answers that had to make room.",
    labels: ["cache"]
  )
  static let cacheRefusals = MetricFamily(
    .counter,
    "martlet_cache_refusals_total",
    "Answers that were not kept because what would have had to go is asked for more often.",
    labels: ["cache"]
  )
  static let compressionTaken = MetricFamily(
    .counter,
    "martlet_compression_taken_bytes_total",
    "Bytes of bodies that were sent in a coding, before they were put into it.",
    labels: ["coding"]
  )
  static let compressionMade = MetricFamily(
    .counter,
    "martlet_compression_made_bytes_total",
    "Bytes of bodies that were sent in a coding, in that coding.",
    labels: ["coding"]
  )
  static let compressionTime = MetricFamily(
    .histogram,
    "martlet_compression_seconds",
    "How long it took to put a body into a coding, all of its parts together.",
    labels: ["coding"]
  )
  static let compressionReused = MetricFamily(
    .counter,
    "martlet_compression_reused_total",
    "Bodies of files and of kept answers that were sent as they were coded before.",
    labels: ["coding"]
  )
  static let compressionRefused = MetricFamily(
    .counter,
    "martlet_compression_refused_total",
    "Answers that were sent as they are though the client would have taken a coding.",
    labels: ["reason"]
  )
  static let compressionDictionaries = MetricFamily(
    .counter,
    "martlet_compression_dictionaries_total",
    "What came of dictionaries that clients have named, and how many answers were noted as one.",
    labels: ["outcome"]
  )
  static let decompressionTaken = MetricFamily(
    .counter,
    "martlet_decompression_taken_bytes_total",
    "Bytes of bodies that were taken out of a coding, in that coding.",
    labels: ["coding"]
  )
  static let decompressionMade = MetricFamily(
    .counter,
    "martlet_decompression_made_bytes_total",
    "Bytes of bodies that were taken out of a coding, without it.",
    labels: ["coding"]
  )
  static let compressionCoders = MetricFamily(
    .gauge,
    "martlet_compression_coders",
    "Bodies that are on their way through a coder."
  )
  static let compressionMemory = MetricFamily(
    .gauge,
    "martlet_compression_memory_bytes",
    "Bytes of memory that coders hold."
  )
}
