package import MeshHTTP

/// The request that `apus why` asks about.
package struct WhyRequest: Hashable, Sendable {
  package var method: String
  /// `orders.shop`, or with a port.
  package var authority: String
  /// Path and query.
  package var target: String
  /// Names and values, in the order given.
  package var headers: [Header]
  package var isHTTPS: Bool
  package var isGRPC: Bool

  package struct Header: Hashable, Encodable, Sendable {
    package var name: String
    package var value: String
  }

  /// `url` is `[http://]HOST[:PORT][/PATH][?QUERY]`; a header is `NAME: VALUE`.
  package init(url: String, method: String? = nil, headers: [String] = [], isGRPC: Bool = false) throws(FlagFailure) {
    var rest = Substring(url)
    isHTTPS = rest.hasPrefix("https://")
    for scheme in ["http://", "https://", "grpc://"] where rest.hasPrefix(scheme) { rest.removeFirst(scheme.count) }
    guard !rest.contains("://") else { throw FlagFailure("--to \(url): only http, https and grpc are known") }
    rest = rest.prefix { $0 != "#" }
    let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
    authority = String(rest[..<end])
    let path = rest[end...]
    target = path.hasPrefix("/") ? String(path) : "/" + path
    self.isGRPC = isGRPC || url.hasPrefix("grpc://")
    self.method = method ?? (self.isGRPC ? "POST" : "GET")
    self.headers = []
    guard !authority.isEmpty else { throw FlagFailure("--to \(url) names no host; write http://orders.shop/path") }
    guard (authority + target).utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
      throw FlagFailure("--to \(url): a URL has no spaces; write %20")
    }
    guard !self.method.isEmpty, self.method.utf8.allSatisfy(Self.isTokenByte) else {
      throw FlagFailure("--method \(self.method): not a method of HTTP")
    }
    for text in headers { self.headers.append(try Header(text)) }
  }

  /// As a proxy has it when it looks for a rule: without what it takes from every request of a program.
  package func head() -> MessageHead {
    let head = MessageHead()
    head.method = Array(method.utf8).withUnsafeBytes { Method($0) }
    if head.method == .other { head.methodBytes = head.intern(string: method) }
    head.path = head.intern(string: target)
    head.authority = head.intern(string: headers.last { $0.name.lowercased() == "host" }?.value ?? authority)
    head.scheme = head.intern(string: isHTTPS ? "https" : "http")
    if isGRPC {
      head.version = .http2
      if !has("content-type") { head.append(name: "content-type", value: "application/grpc") }
      if !has("te") { head.append(name: "te", value: "trailers") }
    }
    for header in headers where header.name.lowercased() != "host" {
      head.append(name: header.name, value: header.value)
    }
    for token in [HeaderToken.xApusTargetPort, .xApusService, .xApusResponseFlag, .proxyAuthorization] {
      head.remove(token)
    }
    return head
  }

  private func has(_ name: String) -> Bool { headers.contains { $0.name.lowercased() == name } }

  fileprivate static func isTokenByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
    }
  }
}

extension WhyRequest.Header {
  fileprivate init(_ text: String) throws(FlagFailure) {
    guard let colon = text.firstIndex(of: ":"), colon > text.startIndex,
      text[..<colon].utf8.allSatisfy(WhyRequest.isTokenByte)
    else { throw FlagFailure("-H \"\(text)\" is not NAME: VALUE") }
    name = String(text[..<colon])
    var value = text[text.index(after: colon)...]
    while let first = value.first, first == " " || first == "\t" { value.removeFirst() }
    while let last = value.last, last == " " || last == "\t" { value.removeLast() }
    guard value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else {
      throw FlagFailure("-H \"\(name)\": a value has no control characters")
    }
    self.value = String(value)
  }
}
