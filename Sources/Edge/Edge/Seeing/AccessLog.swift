public import Configuration
import MartletTelemetry

/// One loop's side of an access log: formats records and hands them over in large pieces.
final class AccessLog {
  private enum Format {
    case json(JSONAccessFormat)
    case combined(CombinedAccessFormat)
  }

  private enum StreamFormat {
    case json(JSONStreamFormat)
    case text(TextStreamFormat)
  }

  let settings: AccessLogSettings
  private var format: Format
  /// For connections of layer 4.
  private var streamFormat: StreamFormat
  private var buffer = LogBuffer()
  private let writer: LogWriter

  init(_ settings: AccessLogSettings, writer: LogWriter) {
    self.settings = settings
    self.writer = writer
    format =
      switch settings.format {
      case .json: .json(JSONAccessFormat())
      // The configuration has seen to it that requests are not written as plain text.
      case .combined, .text: .combined(CombinedAccessFormat())
      }
    streamFormat =
      settings.format == .json ? .json(JSONStreamFormat()) : .text(TextStreamFormat())
    writer.attach(buffer.lane, to: settings.destination.name)
  }

  /// How many lines were dropped so far.
  var droppedLineCount: UInt64 { buffer.droppedLineCount }

  /// Adds the line of a record.
  func append(_ record: AccessRecord, _ text: AccessText, _ labels: AccessLabels) {
    let isHandedOver: Bool
    switch format {
    case .json(var form):
      isHandedOver = buffer.append { form.append(record, text, labels, to: &$0) }
      format = .json(form)
    case .combined(var form):
      isHandedOver = buffer.append { form.append(record, text, to: &$0) }
      format = .combined(form)
    }
    if isHandedOver { writer.wake() }
  }

  /// Adds the line of a connection of layer 4.
  func append(_ record: StreamRecord, _ labels: StreamLabels, member: String, detail: String) {
    let (member, detail) = (member.utf8.span, detail.utf8.span)
    let isHandedOver: Bool
    switch streamFormat {
    case .json(var form):
      isHandedOver = buffer.append {
        form.append(record, labels, member: member, detail: detail, to: &$0)
      }
      streamFormat = .json(form)
    case .text(var form):
      isHandedOver = buffer.append {
        form.append(record, labels, member: member, detail: detail, to: &$0)
      }
      streamFormat = .text(form)
    }
    if isHandedOver { writer.wake() }
  }

  /// Hands over what waits.
  func flush() {
    if buffer.handOver() { writer.wake() }
  }

  /// Hands over the last lines and ends the lane.
  func close() {
    _ = buffer.handOver()
    writer.detach(buffer.lane)
  }
}

extension LogDestination {
  /// Under which name its file is handed to the edge.
  public var name: String {
    switch self {
    case .standardOutput: "standard output"
    case .standardError: "standard error"
    case .file(let path): path
    }
  }
}
