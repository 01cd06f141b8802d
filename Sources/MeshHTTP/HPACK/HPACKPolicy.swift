import MeshCore

/// Which fields enter the encoder's dynamic table (RFC 7541, sections 7.1.3 and 8).
///
/// Fields known to recur are indexed at once. All others, such as paths, dates and identifiers, only when the same
/// field was sent a moment ago; so values that differ with every request leave the table alone.
enum HPACKPolicy {
  /// Secrets short enough to be guessed through the size of a compressed head.
  static func isNeverIndexed(_ kind: FieldKind, _ value: UnsafeRawBufferPointer) -> Bool {
    switch kind.token {
    case .authorization, .proxyAuthorization: kind.rawValue < 240
    case .cookie: value.count < 20
    default: false
    }
  }

  static func isIndexed(_ kind: FieldKind, size: Int, of table: HPACKEncoderTable, _ pairHash: UInt32) -> Bool {
    // One field may not push out most of the others.
    guard (size &+ HPACKDynamicTable.overhead) &* 3 <= table.maximumSize else { return false }
    if isRecurring(kind) { return true }
    return table.seen(pairHash)
  }

  private static func isRecurring(_ kind: FieldKind) -> Bool {
    switch kind {
    case .method, .scheme, .authority, .status, .connectProtocol: return true
    case .path: return false
    default: break
    }
    switch kind.token {
    case .host, .te, .accept, .acceptEncoding, .acceptLanguage, .cacheControl, .contentType, .contentEncoding,
      .server, .userAgent, .vary, .via, .acceptRanges, .allow, .xForwardedProto, .xForwardedClientCert, .grpcStatus,
      .trailer, .xApusTargetPort, .xApusService, .accessControlAllowOrigin, .strictTransportSecurity,
      .contentLanguage, .origin:
      return true
    default:
      return false
    }
  }
}
