import Compression
import Configuration
import HTTPMessage
import MartletLoop
import MartletSystem
import MartletTelemetry

/// Which answers of a route are sent in a content coding; compiled.
final class CompressionPlan: Sendable {
  let rules: CompressionRules
  /// Whether nothing that it sends is for one user alone.
  let isPublic: Bool
  let metrics: CompressionMetrics
  /// How large answers may become that are decoded.
  let limits: DecodingLimits
  /// What answers are coded against, for clients that have it; nil: nothing.
  let dictionaries: RouteDictionaries?
  private let levels: [Int]

  init(
    _ wanted: CompressionSettings?,
    decoding limits: DecodingLimits?,
    isPublic: Bool,
    place: String,
    _ metrics: CompressionMetrics
  ) {
    var rules = CompressionRules()
    rules.codings = wanted?.codings.map(\.coding) ?? []
    rules.decodes = limits != nil
    let wanted = wanted ?? CompressionSettings()
    if !wanted.types.isEmpty {
      rules.types = wanted.types.flatMap { name in
        name == "usual" ? MediaPattern.usual : MediaPattern(name).map { [$0] } ?? []
      }
    }
    rules.leastByteCount = wanted.leastBytes
    rules.sparesForeign = wanted.crossSite == .refuse
    self.rules = rules
    var levels = [Int](repeating: 0, count: ContentCoding.allCases.count)
    for coding in CompressionSettings.Coding.allCases {
      levels[Int(coding.coding.rawValue)] = wanted.level(of: coding)
    }
    for (coding, level) in RouteDictionaries.levels(of: wanted) {
      levels[Int(coding.rawValue)] = level
    }
    self.levels = levels
    dictionaries = RouteDictionaries(wanted, place: place)
    self.limits = limits ?? DecodingLimits()
    self.isPublic = isPublic
    self.metrics = metrics
  }

  /// What a route says of answers and of requests, else its server; nil: nothing.
  static func plans(
    _ settings: RouteSettings,
    _ server: ServerSettings,
    _ layout: inout MetricLayout.Builder
  ) -> (answers: CompressionPlan?, requests: DecompressionPlan?) {
    var wanted: CompressionSettings?
    var decoded: DecompressionSettings?
    if case .on(let on)? = settings.overrides.compression ?? server.compression { wanted = on }
    if case .on(let on)? = settings.overrides.decompression ?? server.decompression { decoded = on }
    guard wanted != nil || decoded != nil else { return (nil, nil) }
    let metrics = CompressionMetrics(&layout)
    var limits: DecodingLimits?
    var requests: DecompressionPlan?
    if let decoded {
      let own = DecodingLimits(byteCount: decoded.byteLimit, ratio: decoded.ratioLimit)
      if decoded.sides.contains(.answers) { limits = own }
      // Applications are told how long a body is before it comes.
      if decoded.sides.contains(.requests), settings.gateway == nil {
        requests = DecompressionPlan(own, metrics)
      }
    }
    guard wanted != nil || limits != nil else { return (nil, requests) }
    let isPublic = if case .files = settings.handler { true } else { false }
    let plan = CompressionPlan(
      wanted,
      decoding: limits,
      isPublic: isPublic,
      place: "\(server.name) \(settings.path.text)",
      metrics
    )
    return (plan, requests)
  }

  /// How much a coding tries.
  func level(of coding: ContentCoding) -> Int { levels[Int(coding.rawValue)] }
}

extension CompressionSettings.Coding {
  fileprivate var coding: ContentCoding {
    switch self {
    case .zstandard: .zstandard
    case .brotli: .brotli
    case .gzip: .gzip
    }
  }
}

/// What is counted of compression.
struct CompressionMetrics: Sendable {
  private let taken: [Counter]
  private let made: [Counter]
  private let times: [Histogram]
  private let refused: [Counter]
  private let reused: [Counter]
  private let dictionaries: [Counter]
  private let decodedTaken: [Counter]
  private let decodedMade: [Counter]
  let coders: Gauge
  let memory: Gauge

  init(_ layout: inout MetricLayout.Builder) {
    let names = Self.codings.map(\.name.description)
    taken = layout.counters(EdgeMetrics.compressionTaken, each: names)
    made = layout.counters(EdgeMetrics.compressionMade, each: names)
    var times: [Histogram] = []
    for name in names { times.append(layout.histogram(EdgeMetrics.compressionTime, [name])) }
    self.times = times
    refused = layout.counters(
      EdgeMetrics.compressionRefused,
      each: CodingRefusal.allCases.map(\.word)
    )
    dictionaries = layout.counters(
      EdgeMetrics.compressionDictionaries,
      each: DictionaryOutcome.allCases.map(\.rawValue)
    )
    reused = layout.counters(EdgeMetrics.compressionReused, each: names)
    decodedTaken = layout.counters(EdgeMetrics.decompressionTaken, each: names)
    decodedMade = layout.counters(EdgeMetrics.decompressionMade, each: names)
    coders = layout.gauge(EdgeMetrics.compressionCoders)
    memory = layout.gauge(EdgeMetrics.compressionMemory)
  }

  static let codings = ContentCoding.allCases.filter { $0 != .identity }

  private func place(_ coding: ContentCoding) -> Int { max(0, Int(coding.rawValue) - 1) }

  /// Bytes of bodies before and behind a coding.
  func bytes(_ coding: ContentCoding) -> (taken: Counter, made: Counter) {
    (taken[place(coding)], made[place(coding)])
  }

  /// Bytes of bodies in a coding, and of what they stand for.
  func decodedBytes(_ coding: ContentCoding) -> (taken: Counter, made: Counter) {
    (decodedTaken[place(coding)], decodedMade[place(coding)])
  }

  /// Bodies that were coded before.
  func reused(_ coding: ContentCoding) -> Counter { reused[place(coding)] }

  /// How long bodies took, each as a whole.
  func time(_ coding: ContentCoding) -> Histogram { times[place(coding)] }

  subscript(refusal: CodingRefusal) -> Counter { refused[refusal.rawValue] }

  subscript(outcome: DictionaryOutcome) -> Counter {
    dictionaries[DictionaryOutcome.allCases.firstIndex(of: outcome) ?? 0]
  }
}

extension Worker {
  /// Lets coders have their share of the memory that a generation gives them.
  func limitCoders(_ generation: Generation) {
    let share = generation.configuration.process.compressionMemory / max(1, loopCount)
    codedBodies.limit = share / 4
    coders.limit = share - codedBodies.limit
  }

  /// Tells the figures what coders hold.
  func tellCoderMemory(_ metrics: CompressionMetrics) {
    let change = coders.byteCount + codedBodies.byteCount - coders.toldByteCount
    guard change != 0 else { return }
    coders.toldByteCount += change
    counters.add(Int64(change), to: metrics.memory)
  }
}

extension Board {
  /// Writes what was compressed, of a status.
  static func writeCompression(
    _ generation: Generation,
    _ tables: [CounterTable],
    _ json: inout JSONWriter
  ) {
    let metrics = generation.metrics.compression
    let counts = CompressionMetrics.codings.map { coding in
      let bytes = metrics.bytes(coding)
      return (coding.name.description, tables.value(of: bytes.taken), tables.value(of: bytes.made))
    }
    guard counts.contains(where: { $0.1 > 0 }) else { return }
    json.key("compression")
    json.object { json in
      json.member("coders", Int(tables.value(of: metrics.coders)))
      json.member("memory_bytes", Int(tables.value(of: metrics.memory)))
      json.array("codings") { json in
        for (name, taken, made) in counts {
          json.object { json in
            json.member("name", name)
            json.member("taken_bytes", taken)
            json.member("made_bytes", made)
          }
        }
      }
    }
  }
}

/// The threads that code long bodies, for all loops.
enum CodingThreads {
  static let shared: BlockingPool? = {
    do throws(SystemError) {
      return try BlockingPool(threadLimit: 4, queueLimit: 1024)
    } catch {
      return nil
    }
  }()
}
