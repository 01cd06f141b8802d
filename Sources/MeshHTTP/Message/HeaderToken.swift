import MeshCore

/// A common field name interned to a small integer, so that the data path compares numbers instead of bytes.
///
/// `other` stands for every name outside the table. The order is private to this build and never leaves the process.
public enum HeaderToken: UInt8, Sendable, CaseIterable {
  case other = 0
  case host
  case connection
  case contentLength
  case transferEncoding
  case te
  case trailer
  case upgrade
  case expect
  case keepAlive
  case proxyConnection
  case accept
  case acceptEncoding
  case acceptLanguage
  case authorization
  case cacheControl
  case cookie
  case contentType
  case contentEncoding
  case date
  case server
  case etag
  case ifMatch
  case ifNoneMatch
  case ifModifiedSince
  case lastModified
  case location
  case origin
  case referer
  case userAgent
  case vary
  case via
  case range
  case acceptRanges
  case age
  case allow
  case setCookie
  case retryAfter
  case xForwardedFor
  case xForwardedProto
  case xRequestId
  case traceparent
  case tracestate
  case grpcStatus
  case grpcMessage
  case grpcTimeout
  case proxyAuthorization
  case proxyAuthenticate
  case http2Settings
  case xForwardedClientCert
  case xApusTargetPort
  case xApusService
  case xApusResponseFlag
  case xApusUpgrade
  case xApusTimeout
  case xApusAttemptTimeout
  case xApusRetries
  case accessControlAllowOrigin
  case strictTransportSecurity
  case contentDisposition
  case link
  case wwwAuthenticate
  case expires
  case contentLanguage
  case contentRange
  case contentLocation
  case ifRange
  case ifUnmodifiedSince
  case maxForwards
  case from
  case refresh

  /// The field name in lower case, as HTTP/2 writes it. Empty for `other`.
  public var name: StaticString { Self.table.names[Int(rawValue)] }

  fileprivate static let names: [StaticString] = [
    "",
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "keep-alive",
    "proxy-connection",
    "accept",
    "accept-encoding",
    "accept-language",
    "authorization",
    "cache-control",
    "cookie",
    "content-type",
    "content-encoding",
    "date",
    "server",
    "etag",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "last-modified",
    "location",
    "origin",
    "referer",
    "user-agent",
    "vary",
    "via",
    "range",
    "accept-ranges",
    "age",
    "allow",
    "set-cookie",
    "retry-after",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-request-id",
    "traceparent",
    "tracestate",
    "grpc-status",
    "grpc-message",
    "grpc-timeout",
    "proxy-authorization",
    "proxy-authenticate",
    "http2-settings",
    "x-forwarded-client-cert",
    "x-apus-target-port",
    "x-apus-service",
    "x-apus-response-flag",
    "x-apus-upgrade",
    "x-apus-timeout",
    "x-apus-attempt-timeout",
    "x-apus-retries",
    "access-control-allow-origin",
    "strict-transport-security",
    "content-disposition",
    "link",
    "www-authenticate",
    "expires",
    "content-language",
    "content-range",
    "content-location",
    "if-range",
    "if-unmodified-since",
    "max-forwards",
    "from",
    "refresh",
  ]

  /// The token of `name`, whatever its letter case.
  public static func lookup(_ name: UnsafeRawBufferPointer) -> HeaderToken {
    table.lookup(name)
  }

  private static let table = HeaderTokenTable()
}

/// An open-addressed hash table from field names to tokens, built once and never freed.
///
/// All workers read it: it lies behind plain pointers, because an array's reference count would be written by all of
/// them at every look-up.
private struct HeaderTokenTable: @unchecked Sendable {
  private static let slotCount = 512
  /// By raw value.
  let names: UnsafePointer<StaticString>
  private let slots: UnsafePointer<HeaderToken>
  private let longestName: Int

  init() {
    let names = UnsafeMutablePointer<StaticString>.allocate(capacity: HeaderToken.names.count)
    let slots = UnsafeMutablePointer<HeaderToken>.allocate(capacity: Self.slotCount)
    slots.initialize(repeating: .other, count: Self.slotCount)
    var longest = 0
    for token in HeaderToken.allCases {
      let literal = HeaderToken.names[Int(token.rawValue)]
      (names + Int(token.rawValue)).initialize(to: literal)
      guard token != .other else { continue }
      let name = UnsafeRawBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount)
      var slot = Self.hash(name)
      while slots[slot] != .other { slot = (slot + 1) % Self.slotCount }
      slots[slot] = token
      longest = max(longest, name.count)
    }
    self.names = UnsafePointer(names)
    self.slots = UnsafePointer(slots)
    longestName = longest
  }

  func lookup(_ name: UnsafeRawBufferPointer) -> HeaderToken {
    guard name.count > 0, name.count <= longestName else { return .other }
    var slot = Self.hash(name)
    while slots[slot] != .other {
      let known = names[Int(slots[slot].rawValue)]
      if known.utf8CodeUnitCount == name.count,
        name.equals(lowercaseName: UnsafeRawBufferPointer(start: known.utf8Start, count: name.count))
      {
        return slots[slot]
      }
      slot = (slot &+ 1) % Self.slotCount
    }
    return .other
  }

  /// Mixes length, first, middle and last letters with bit 5 set, which folds ASCII case.
  private static func hash(_ name: UnsafeRawBufferPointer) -> Int {
    let n = name.count
    var h = UInt32(truncatingIfNeeded: n) &* 0x9E37_79B1
    h = (h ^ UInt32(name[0] | 0x20)) &* 0x85EB_CA6B
    h = (h ^ UInt32(name[n &>> 1] | 0x20)) &* 0xC2B2_AE35
    h = (h ^ UInt32(name[n &- 1] | 0x20)) &* 0x27D4_EB2F
    h = (h ^ UInt32(name[n &>> 2] | 0x20)) &* 0x1656_67B1
    return Int((h ^ (h >> 15)) % UInt32(slotCount))
  }
}
