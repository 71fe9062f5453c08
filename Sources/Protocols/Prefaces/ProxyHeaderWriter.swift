extension ProxyHeader {
  /// The header as it is sent.
  ///
  /// Version 1 has no place for values, Unix sockets and datagrams: it says `UNKNOWN` then. In version
  /// 2 a value that is longer than a reader need take is left out. An IPv4 address beside an IPv6 one
  /// is written as `::ffff:a.b.c.d`.
  ///
  /// - Parameters:
  ///   - version: The form.
  ///   - checksum: Whether the block of version 2 has a checksum.
  /// - Returns: All of its bytes.
  public func encoded(as version: Version, checksum: Bool = false) -> [UInt8] {
    switch version {
    case .v1: line
    case .v2: block(checksum: checksum)
    }
  }

  private var line: [UInt8] {
    guard command == .proxy, transport == .stream, let source, let destination else {
      return Array("PROXY UNKNOWN\r\n".utf8)
    }
    if case .ipv4(let from, let fromPort) = source, case .ipv4(let to, let toPort) = destination {
      let hosts = "\(AddressText.text(ipv4: from)) \(AddressText.text(ipv4: to))"
      return Array("PROXY TCP4 \(hosts) \(fromPort) \(toPort)\r\n".utf8)
    }
    guard let from = source.words, let to = destination.words else {
      return Array("PROXY UNKNOWN\r\n".utf8)
    }
    let hosts =
      AddressText.text(ipv6: (from.high, from.low)) + " "
      + AddressText.text(ipv6: (to.high, to.low))
    return Array("PROXY TCP6 \(hosts) \(from.port) \(to.port)\r\n".utf8)
  }

  private func block(checksum: Bool) -> [UInt8] {
    var block = ProxyHeaderParser.signature
    guard command == .proxy else { return block + [0x20, 0, 0, 0] }
    block += [0x21, 0, 0, 0]
    block[13] = appendAddresses(to: &block)
    appendValues(to: &block)
    var checksumStart: Int?
    if checksum {
      block.append(value: ProxyValueType.checksum, [0, 0, 0, 0])
      checksumStart = block.count - 4
    }
    let length = block.count - ProxyHeaderParser.fixedBytes
    block[14] = UInt8(truncatingIfNeeded: length >> 8)
    block[15] = UInt8(truncatingIfNeeded: length)
    if let checksumStart {
      var sum = CRC32C()
      sum.update(block.span)
      for (index, shift) in [UInt32(24), 16, 8, 0].enumerated() {
        block[checksumStart + index] = UInt8(truncatingIfNeeded: sum.value >> shift)
      }
    }
    return block
  }

  /// Writes the addresses, and returns the byte that says which ones they are.
  private func appendAddresses(to block: inout [UInt8]) -> UInt8 {
    let kind: UInt8 = transport == .stream ? 1 : 2
    guard let source, let destination else { return 0 }
    if case .ipv4(let from, let fromPort) = source, case .ipv4(let to, let toPort) = destination {
      for host in [from, to] { block.append(number: UInt64(host), bytes: 4) }
      for port in [fromPort, toPort] { block.append(number: UInt64(port), bytes: 2) }
      return 0x10 | kind
    }
    if case .unix(let from) = source, case .unix(let to) = destination {
      for path in [from, to] {
        var field = Array(path.prefix(ProxyAddress.pathBytes))
        field += Array(repeating: 0, count: ProxyAddress.pathBytes - field.count)
        block += field
      }
      return 0x30 | kind
    }
    guard let from = source.words, let to = destination.words else { return 0 }
    for word in [from.high, from.low, to.high, to.low] { block.append(number: word, bytes: 8) }
    for port in [from.port, to.port] { block.append(number: UInt64(port), bytes: 2) }
    return 0x20 | kind
  }

  private func appendValues(to block: inout [UInt8]) {
    let limits = ProxyHeaderLimits()
    func append(_ type: UInt8, _ value: [UInt8]?, upTo limit: Int, to block: inout [UInt8]) {
      guard let value, value.count <= limit else { return }
      block.append(value: type, value)
    }
    append(ProxyValueType.alpn, values.alpn, upTo: limits.valueBytes, to: &block)
    append(ProxyValueType.authority, values.authority, upTo: limits.valueBytes, to: &block)
    append(ProxyValueType.uniqueID, values.uniqueID, upTo: limits.uniqueIDBytes, to: &block)
    if let tls = values.tls {
      var nested: [UInt8] = [
        (tls.isEncrypted ? 1 : 0) | (tls.hasCertificate ? 2 : 0)
          | (tls.hasSessionCertificate ? 4 : 0)
      ]
      nested.append(number: UInt64(tls.verification), bytes: 4)
      let parts = [
        (ProxyValueType.tlsVersion, tls.version), (ProxyValueType.tlsCommonName, tls.commonName),
        (ProxyValueType.tlsCipher, tls.cipher),
        (ProxyValueType.tlsSignatureAlgorithm, tls.signatureAlgorithm),
        (ProxyValueType.tlsKeyAlgorithm, tls.keyAlgorithm),
      ]
      for (type, value) in parts { append(type, value, upTo: limits.valueBytes, to: &nested) }
      block.append(value: ProxyValueType.tls, nested)
    }
    append(
      ProxyValueType.networkNamespace,
      values.networkNamespace,
      upTo: limits.valueBytes,
      to: &block
    )
    // What came from elsewhere stays within what a reader takes.
    for value in values.others where block.count + value.bytes.count + 16 <= limits.headerBytes {
      block.append(value: value.type, value.bytes)
    }
  }
}

extension [UInt8] {
  /// Appends the lowest bytes of a number, the greatest first.
  fileprivate mutating func append(number: UInt64, bytes count: Int) {
    for index in (0..<count).reversed() {
      append(UInt8(truncatingIfNeeded: number >> UInt64(index * 8)))
    }
  }

  /// Appends a value with its type and its length.
  fileprivate mutating func append(value type: UInt8, _ bytes: [UInt8]) {
    append(type)
    append(number: UInt64(bytes.count), bytes: 2)
    self += bytes
  }
}
