import MeshCore

/// Builds a `MessageHead` from decoded fields and checks it (RFC 9113, sections 8.1 to 8.3).
///
/// Size and count are checked field by field, cookie crumbs included; after the first fault the rest is skipped, while
/// the caller goes on decoding to keep the table in step. One per connection, reused; confined to it.
struct HTTP2HeadAssembler {
  enum Kind { case request, response, trailers, discard }

  /// Why the message is refused; the scope is its stream.
  struct Fault {
    var code: HTTP2ErrorCode
    var reason: StaticString
    var limit: HTTP2Limit?
  }

  private(set) var fault: Fault?
  /// The value of Content-Length, -1 without.
  private(set) var contentLength = -1
  private var kind = Kind.discard
  private var pseudo: UInt8 = 0
  private var hasRegular = false
  private var host: MessageHead.Slice?
  private var listSize = 0
  private var fieldCount = 0
  private var cookie: [UInt8] = []
  private var isCookieSecret = false
  private let maximumListSize: Int
  private let maximumFields: Int
  private let enablesConnectProtocol: Bool

  init(settings: HTTP2Settings, limits: HTTP2Limits) {
    maximumListSize = Int(settings.maximumHeaderListSize)
    maximumFields = limits.maximumFields
    enablesConnectProtocol = settings.enableConnectProtocol
  }

  mutating func begin(_ kind: Kind, _ head: MessageHead) {
    self.kind = kind
    fault = nil
    contentLength = -1
    pseudo = 0
    hasRegular = false
    host = nil
    listSize = 0
    fieldCount = 0
    if !cookie.isEmpty { cookie.removeAll(keepingCapacity: true) }
    isCookieSecret = false
    guard kind != .discard else { return }
    head.reset()
    head.version = .http2
  }

  /// Whatever fields come, they change nothing any more.
  var isDone: Bool { fault != nil || kind == .discard }

  mutating func add(_ field: HPACKField, to head: MessageHead) {
    guard !isDone else { return }
    listSize &+= field.name.count &+ field.value.count &+ 32
    fieldCount &+= 1
    guard listSize <= maximumListSize else { return fail(.headerListBytes) }
    guard fieldCount <= maximumFields else { return fail(.fields) }
    guard field.kind != .malformed else { return fail("malformed field name") }
    guard field.isValueValid else { return fail("malformed field value") }
    if field.kind.isPseudo { return addPseudo(field, to: head) }
    hasRegular = true
    addRegular(field, to: head)
  }

  /// Checks what only the whole section can tell.
  mutating func finish(_ head: MessageHead) {
    guard fault == nil, kind != .discard else { return }
    if !cookie.isEmpty { appendCookie(head) }
    switch kind {
    case .request: finishRequest(head)
    case .response: if pseudo & Self.bit(.status) == 0 { fail("no :status") }
    case .trailers, .discard: break
    }
  }

  // MARK: - Pseudo-header fields

  private static func bit(_ kind: FieldKind) -> UInt8 { 1 << (kind.rawValue &- FieldKind.method.rawValue) }

  private mutating func addPseudo(_ field: HPACKField, to head: MessageHead) {
    guard kind != .trailers else { return fail("pseudo-header field in trailers") }
    guard !hasRegular else { return fail("pseudo-header field after a field") }
    guard field.kind != .unknownPseudo else { return fail("unknown pseudo-header field") }
    let bit = Self.bit(field.kind)
    guard pseudo & bit == 0 else { return fail("repeated pseudo-header field") }
    pseudo |= bit
    if field.kind == .status {
      guard kind == .response else { return fail(":status in a request") }
      return addStatus(field.value, head)
    }
    guard kind == .request else { return fail("request pseudo-header field in a response") }
    switch field.kind {
    case .method: addMethod(field.value, head)
    case .path: addPath(field.value, head)
    case .scheme: addScheme(field.value, head)
    case .authority: addAuthority(field.value, head)
    default:
      guard enablesConnectProtocol else { return fail(":protocol without extended CONNECT") }
      guard !field.value.isEmpty else { return fail("empty :protocol") }
      for byte in field.value where !byte.isTokenByte { return fail("malformed :protocol") }
      // As in HTTP/1: `h2c` through an intermediary smuggles requests past it.
      guard !field.value.equalsIgnoringCase("h2c") else { return fail(":protocol h2c") }
      head.connectProtocol = head.intern(field.value)
    }
  }

  private mutating func addStatus(_ value: UnsafeRawBufferPointer, _ head: MessageHead) {
    var status: UInt16 = 0
    for byte in value {
      guard byte &- 0x30 < 10 else { return fail("malformed :status") }
      status = status &* 10 &+ UInt16(byte &- 0x30)
    }
    guard value.count == 3, status >= 100, status != 101 else { return fail("malformed :status") }
    head.status = status
  }

  private mutating func addMethod(_ value: UnsafeRawBufferPointer, _ head: MessageHead) {
    guard !value.isEmpty else { return fail("empty :method") }
    head.method = Method(value)
    guard head.method == .other else { return }
    for byte in value where !FieldBytes.isName(byte.asciiLowercased) { return fail("malformed :method") }
    head.methodBytes = head.intern(value)
  }

  private mutating func addPath(_ value: UnsafeRawBufferPointer, _ head: MessageHead) {
    guard let first = value.first else { return fail("empty :path") }
    guard first == 0x2F || (first == 0x2A && value.count == 1) else { return fail("malformed :path") }
    // What HTTP/1 allows in a target, and no more: the request may go on as HTTP/1.
    for byte in value where !byte.isTargetByte { return fail("malformed :path") }
    head.path = head.intern(value)
  }

  private mutating func addScheme(_ value: UnsafeRawBufferPointer, _ head: MessageHead) {
    guard !value.isEmpty else { return fail("empty :scheme") }
    for byte in value {
      let isLetter = byte.asciiLowercased &- 0x61 < 26
      let isOther = byte &- 0x30 < 10 || byte == 0x2B || byte == 0x2D || byte == 0x2E
      guard isLetter || isOther else { return fail("malformed :scheme") }
    }
    head.scheme = head.intern(value)
  }

  private mutating func addAuthority(_ value: UnsafeRawBufferPointer, _ head: MessageHead) {
    guard !value.isEmpty else { return fail("empty :authority") }
    guard RequestTarget.isAuthority(value, needsPort: false) else { return fail("malformed :authority") }
    head.authority = head.intern(value)
  }

  private mutating func finishRequest(_ head: MessageHead) {
    guard pseudo & Self.bit(.method) != 0 else { return fail("no :method") }
    let hasPath = pseudo & Self.bit(.path) != 0
    let hasScheme = pseudo & Self.bit(.scheme) != 0
    let isExtended = pseudo & Self.bit(.connectProtocol) != 0
    if isExtended, head.method != .connect { return fail(":protocol without CONNECT") }
    if head.method == .connect, !isExtended {
      guard !hasPath, !hasScheme else { return fail(":scheme or :path with CONNECT") }
      // RFC 9110, section 9.3.6: host and port, the port never implied.
      guard RequestTarget.isAuthority(head.bytes(head.authority), needsPort: true) else {
        return fail("CONNECT without host and port")
      }
      return
    }
    guard hasScheme else { return fail("no :scheme") }
    guard hasPath else { return fail("no :path") }
    if isExtended, head.authority.isEmpty { return fail("extended CONNECT without :authority") }
    if head.bytes(head.path)[0] == 0x2A, head.method != .options { return fail(":path * without OPTIONS") }
    guard let host else { return }
    if head.authority.isEmpty {
      head.authority = host
    } else if !head.bytes(host).equalsIgnoringCase(head.bytes(head.authority)) {
      fail("Host differs from :authority")
    }
  }

  // MARK: - Fields

  private mutating func addRegular(_ field: HPACKField, to head: MessageHead) {
    let token = field.kind.token
    switch token {
    case .connection, .keepAlive, .proxyConnection, .transferEncoding, .upgrade:
      return fail("connection-specific field")
    case .te where !field.value.equalsIgnoringCase("trailers"):
      return fail("TE other than trailers")
    case .contentLength:
      guard addContentLength(field.value) else { return fail("malformed Content-Length") }
    case .host where kind == .request:
      guard host == nil, !field.value.isEmpty else { return fail("repeated or empty Host") }
      guard RequestTarget.isAuthority(field.value, needsPort: false) else { return fail("malformed Host") }
      host = head.intern(field.value)
      return
    case .cookie:
      if !cookie.isEmpty { cookie.append(contentsOf: [0x3B, 0x20]) }
      cookie.append(contentsOf: field.value)
      isCookieSecret = isCookieSecret || field.isNeverIndexed
      return
    default: break
    }
    head.appendLine(token, name: field.name, value: field.value, isNeverIndexed: field.isNeverIndexed)
  }

  private mutating func addContentLength(_ value: UnsafeRawBufferPointer) -> Bool {
    guard contentLength < 0, kind != .trailers, value.count > 0, value.count <= 18 else { return false }
    var length = 0
    for byte in value {
      guard byte &- 0x30 < 10 else { return false }
      length = length &* 10 &+ Int(byte &- 0x30)
    }
    contentLength = length
    return true
  }

  /// Crumbs become one field again (RFC 9113, section 8.2.3).
  private func appendCookie(_ head: MessageHead) {
    let name = head.intern(HeaderToken.cookie.name)
    let value = cookie.withUnsafeBytes { head.intern($0) }
    var field = MessageHead.Field(name: name, value: value, token: .cookie)
    field.isNeverIndexed = isCookieSecret
    head.append(field)
  }

  mutating func fail(_ reason: StaticString) {
    if fault == nil { fault = Fault(code: .protocolError, reason: reason) }
  }

  private mutating func fail(_ limit: HTTP2Limit) {
    if fault == nil { fault = Fault(code: .enhanceYourCalm, reason: limit.reason, limit: limit) }
  }
}
