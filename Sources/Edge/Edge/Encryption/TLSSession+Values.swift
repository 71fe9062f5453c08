import Configuration
import TLS

extension TLSSession {
  /// What a variable shows of the session.
  ///
  /// What strangers have written is shown in visible characters: of a client's certificate an authority has
  /// seen all, of the host it asks for nobody has.
  func value(of variable: TLSVariable) -> [UInt8] {
    let text =
      switch variable {
      case .version: version
      case .cipher: cipher
      case .serverName: serverName
      case .alpn: protocolName
      case .resumed: isResumed ? "yes" : "no"
      case .clientSubject: peer?.subject ?? ""
      case .clientIssuer: peer?.issuer ?? ""
      case .clientCommonName: peer?.commonName ?? ""
      case .clientSerial: peer?.serial ?? ""
      case .clientFingerprint: peer?.fingerprint ?? ""
      }
    return text.utf8.map { $0 > 0x1F && $0 < 0x7F ? $0 : 0x3F }
  }
}
