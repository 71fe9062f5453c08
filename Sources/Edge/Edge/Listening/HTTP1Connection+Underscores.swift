import Configuration
import HTTPMessage
import MartletBytes
import MartletTelemetry

/// Fields whose names an application may take for others.
extension HTTP1Connection {
  /// Lets no member see a field whose name has an underscore, unless the site passes them.
  ///
  /// - Throws: ``ExchangeError`` where the site refuses them.
  @inline(never)
  func judgeUnderscores(
    _ exchange: Exchange,
    _ site: Site,
    _ head: Span<UInt8>
  ) throws(ExchangeError) {
    switch site.underscores {
    case .pass: return
    case .refuse: throw ExchangeError(.refused, detail: "underscore_in_field_name")
    case .drop:
      for index in exchange.request.fields.indices {
        let name = exchange.request.fields[index].nameRange
        let underscore = ByteSearch.firstIndex(
          of: 0x5F,
          in: head,
          from: name.lowerBound,
          to: name.upperBound
        )
        // What is meant for the next hop alone is not passed on.
        if underscore != nil { exchange.request.fields[index].isHopByHop = true }
      }
    }
  }
}
