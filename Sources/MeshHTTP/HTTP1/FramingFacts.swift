import MeshCore

/// What the fields of a head say about framing and connection, gathered while the lines are read.
struct FramingFacts {
  var contentLength: UInt64?
  var hasTransferEncoding = false
  var hostField = -1
  var connectionCloses = false
  var connectionKeepsAlive = false
  var connectionUpgrades = false
  var hasUpgrade = false
  /// `h2c` among the protocols of `Upgrade`, and `HTTP2-Settings` among the options of `Connection`.
  var offersHTTP2 = false
  var connectionListsSettings = false
  var expectsContinue = false

  /// Takes note of one field; `bytes` is what its slices point into. An error ends the message.
  @inline(__always)
  mutating func note(
    _ field: MessageHead.Field, at index: Int, _ bytes: UnsafeRawBufferPointer, version: MessageHead.Version
  ) -> HTTP1Error? {
    // The framing tokens come first in the table.
    guard field.token != .other, field.token.rawValue <= HeaderToken.expect.rawValue else { return nil }
    return noteFraming(field, at: index, bytes.slice(Int(field.value.offset), Int(field.value.length)), version)
  }

  private mutating func noteFraming(
    _ field: MessageHead.Field, at index: Int, _ value: UnsafeRawBufferPointer, _ version: MessageHead.Version
  ) -> HTTP1Error? {
    switch field.token {
    case .host:
      if hostField >= 0 { return .repeatedHost }
      hostField = index
      return value.isEmpty || RequestTarget.isAuthority(value, needsPort: false) ? nil : .invalidHost
    case .contentLength:
      if hasTransferEncoding { return .lengthWithTransferEncoding }
      if contentLength != nil { return .repeatedContentLength }
      contentLength = Self.decimal(value)
      return contentLength == nil ? .invalidContentLength : nil
    case .transferEncoding:
      return noteTransferEncoding(value, version)
    case .connection:
      value.forEachListMember { option in
        if option.equalsIgnoringCase("close") { connectionCloses = true }
        if option.equalsIgnoringCase("keep-alive") { connectionKeepsAlive = true }
        if option.equalsIgnoringCase("upgrade") { connectionUpgrades = true }
        if option.equalsIgnoringCase("http2-settings") { connectionListsSettings = true }
      }
      return nil
    case .upgrade:
      value.forEachListMember { name in
        if name.equalsIgnoringCase("h2c") { offersHTTP2 = true } else { hasUpgrade = true }
      }
      return nil
    case .expect:
      if value.equalsIgnoringCase("100-continue") { expectsContinue = true }
      return nil
    default:
      return nil
    }
  }

  private mutating func noteTransferEncoding(
    _ value: UnsafeRawBufferPointer, _ version: MessageHead.Version
  ) -> HTTP1Error? {
    if version == .http10 { return .transferEncodingInHTTP10 }
    if contentLength != nil { return .lengthWithTransferEncoding }
    if hasTransferEncoding { return .invalidTransferEncoding }
    hasTransferEncoding = true
    if value.equalsIgnoringCase("chunked") { return nil }
    var hasUnknown = false
    var members = 0
    value.forEachListMember { coding in
      members &+= 1
      if !coding.equalsIgnoringCase("chunked") { hasUnknown = true }
    }
    return hasUnknown ? .unknownTransferCoding : .invalidTransferEncoding
  }

  /// RFC 9112, section 9.3.
  func keepAlive(_ version: MessageHead.Version) -> Bool {
    !connectionCloses && (version != .http10 || connectionKeepsAlive)
  }

  /// One or more digits, no more than fit a signed 64-bit integer.
  private static func decimal(_ digits: UnsafeRawBufferPointer) -> UInt64? {
    guard digits.count > 0 else { return nil }
    var value: UInt64 = 0
    for digit in digits {
      guard digit.isDigit, value <= UInt64(Int64.max) / 10 else { return nil }
      value = value &* 10 &+ UInt64(digit &- 0x30)
    }
    return value <= UInt64(Int64.max) ? value : nil
  }
}
