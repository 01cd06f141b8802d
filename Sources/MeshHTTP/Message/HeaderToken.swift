import MeshCore

/// A common field name interned to a small integer, so that the data path compares numbers instead of bytes.
///
/// `other` stands for every name outside the table. The order is private to this build and never leaves the process.
package enum HeaderToken: UInt8, Sendable, CaseIterable {
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
  case xForwardedClientCert
  case xRequestId
  case traceparent
  case tracestate
  case grpcStatus
  case grpcMessage
  case grpcTimeout
  case proxyAuthorization
  case proxyAuthenticate
  case http2Settings
  case xApusTargetPort
  case xApusService
  case xApusResponseFlag
  case xApusUpgrade
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
  package var name: StaticString { Self.names[Int(rawValue)] }

  private static let names: [StaticString] = [
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
    "x-forwarded-client-cert",
    "x-request-id",
    "traceparent",
    "tracestate",
    "grpc-status",
    "grpc-message",
    "grpc-timeout",
    "proxy-authorization",
    "proxy-authenticate",
    "http2-settings",
    "x-apus-target-port",
    "x-apus-service",
    "x-apus-response-flag",
    "x-apus-upgrade",
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
  package static func lookup(_ name: UnsafeRawBufferPointer) -> HeaderToken {
    table.lookup(name)
  }

  private static let table = HeaderTokenTable()
}

/// An open-addressed hash table from field names to tokens, built once.
private struct HeaderTokenTable: Sendable {
  private static let slotCount = 512
  private let slots: [UInt8]
  private let longestName: Int

  init() {
    var slots = [UInt8](repeating: 0, count: Self.slotCount)
    var longest = 0
    for token in HeaderToken.allCases where token != .other {
      let name = UnsafeRawBufferPointer(start: token.name.utf8Start, count: token.name.utf8CodeUnitCount)
      var slot = Self.hash(name)
      while slots[slot] != 0 { slot = (slot + 1) % Self.slotCount }
      slots[slot] = token.rawValue
      longest = max(longest, name.count)
    }
    self.slots = slots
    longestName = longest
  }

  func lookup(_ name: UnsafeRawBufferPointer) -> HeaderToken {
    guard name.count > 0, name.count <= longestName else { return .other }
    var slot = Self.hash(name)
    while let token = HeaderToken(rawValue: slots[slot]), token != .other {
      let known = token.name
      if known.utf8CodeUnitCount == name.count,
        name.equalsIgnoringCase(UnsafeRawBufferPointer(start: known.utf8Start, count: name.count))
      {
        return token
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
    h = (h ^ UInt32(name[n / 2] | 0x20)) &* 0xC2B2_AE35
    h = (h ^ UInt32(name[n &- 1] | 0x20)) &* 0x27D4_EB2F
    h = (h ^ UInt32(name[n / 3] | 0x20)) &* 0x1656_67B1
    return Int((h ^ (h >> 15)) % UInt32(slotCount))
  }
}
