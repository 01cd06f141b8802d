import MeshCore
import MeshHTTP
import MeshPolicy
import Testing

@testable import MeshProxy

/// A client and an application, each of HTTP/1 or HTTP/2, with one proxy between them, or with two and a hop of HTTP/2.
struct Pairing: Sendable, CustomTestStringConvertible {
  enum Version: Sendable { case http1, http2 }

  var client: Version
  var application: Version
  var hasHop: Bool

  static let all: [Pairing] = [Version.http1, .http2].flatMap { client in
    [Version.http1, .http2].flatMap { application in
      [false, true].map { Pairing(client: client, application: application, hasHop: $0) }
    }
  }

  var testDescription: String { "\(client)\(hasHop ? " over a hop" : "") to \(application)" }

  /// Runs `client` against `application`, which gets each connection of its own. `rules` are the client's side's.
  func run(
    rules: [RouteRule] = [.toOrders()], application script: @escaping @Sendable (PairedApplication) throws -> Void,
    client body: (PairedClient) throws -> Void
  ) throws {
    let version = application
    let backend = Backend { peer, _ in try script(PairedApplication(version, peer)) }
    let appProtocol: AppProtocol = application == .http2 ? .http2 : .http
    guard hasHop else {
      let proxy = try TestProxy.serving([backend.address], rules: rules, appProtocol: appProtocol)
      return try body(PairedClient(client, proxy))
    }
    let receiver = try TestProxy([.inboundPlaintext])
    let port = InboundPortConfig(port: 8080, appProtocol: appProtocol, service: .orders, application: backend.address)
    receiver.apply(ConfigUpdate(workload: WorkloadUpdate(name: "orders-0", ports: [port])))
    let sender = try TestProxy.serving([.loopback(port: receiver.port())], rules: rules, appProtocol: .http2)
    try body(PairedClient(client, sender))
  }
}

/// A message, whichever version carries it: field lines and trailer lines as `name: value`, names in lower case.
struct PairedMessage {
  var start = ""
  var authority = ""
  var lines: [String] = []
  var body = ""
  var trailers = ""
  var interim: [Int] = []
  /// The message broke off in a way that its reader sees.
  var isCut = false

  var status: Int { Int(start) ?? 0 }

  func values(_ name: String) -> [String] {
    lines.filter { $0.hasPrefix("\(name): ") }.map { String($0.dropFirst(name.utf8.count + 2)) }
  }

  static func lowered(_ lines: [Substring]) -> [String] {
    lines.map { line in
      guard let colon = line.firstIndex(of: ":") else { return String(line) }
      return line[..<colon].lowercased() + line[colon...]
    }
  }
}

private func fieldText(_ fields: [(String, String)]) -> String { fields.map { "\($0): \($1)\r\n" }.joined() }

private func head(_ fields: [(String, String)]) -> MessageHead {
  let head = MessageHead()
  for (name, value) in fields { head.append(name: name, value: value) }
  return head
}

// MARK: - Client

/// Sends requests one after the other on one connection.
final class PairedClient {
  private enum Side {
    case http1(Peer)
    case http2(HTTP2Peer)
  }

  private let side: Side
  private let proxy: TestProxy
  private var stream = HTTP2StreamID(rawValue: 0)
  private var isChunked = false
  private var method = Method.get

  init(_ version: Pairing.Version, _ proxy: TestProxy) throws {
    self.proxy = proxy
    side = version == .http1 ? .http1(try proxy.connect()) : .http2(try HTTP2Peer(try proxy.connect()))
  }

  func sendHead(_ method: Method, _ path: String, _ fields: [(String, String)] = [], ends: Bool) throws {
    self.method = method
    switch side {
    case .http1(let peer):
      isChunked = !ends && !fields.contains { $0.0 == "content-length" }
      let framing = isChunked ? "Transfer-Encoding: chunked\r\n" : ""
      try peer.send("\(method.name) \(path) HTTP/1.1\r\nHost: orders.shop\r\n\(framing)\(fieldText(fields))\r\n")
    case .http2(let peer):
      stream = try peer.request(method, path, fields, endStream: ends)
    }
  }

  func sendBody(_ body: String, trailers: [(String, String)] = []) throws {
    switch side {
    case .http1(let peer) where isChunked:
      try peer.send("\(String(body.utf8.count, radix: 16))\r\n\(body)\r\n0\r\n\(fieldText(trailers))\r\n")
    case .http1(let peer):
      try peer.send(body)
    case .http2(let peer):
      try peer.send(Array(body.utf8), on: stream, endStream: trailers.isEmpty)
      if !trailers.isEmpty { peer.engine.sendTrailers(MeshProxyTests.head(trailers), on: stream) }
      try peer.flush()
    }
  }

  func get(_ path: String, _ fields: [(String, String)] = []) throws -> PairedMessage {
    try sendHead(.get, path, fields, ends: true)
    return try receive()
  }

  /// Asks for an upgrade to WebSocket in the version's own way; the answer's head follows by `receiveUpgrade`.
  func sendUpgrade(_ path: String, key: String) throws {
    switch side {
    case .http1(let peer):
      try peer.send(
        "GET \(path) HTTP/1.1\r\nHost: orders.shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
          + "Sec-WebSocket-Key: \(key)\r\nSec-WebSocket-Version: 13\r\n\r\n")
    case .http2(let peer):
      while !peer.engine.peerEnablesConnectProtocol { try peer.step() }
      let request = HTTP2Peer.head(.connect, path, [("sec-websocket-version", "13")])
      request.connectProtocol = request.intern("websocket")
      stream = try peer.request(request, endStream: false)
    }
  }

  func receiveUpgrade() throws -> PairedMessage {
    switch side {
    case .http1(let peer):
      let answer = Message(head: try peer.readThrough("\r\n\r\n"))
      return PairedMessage(start: "\(answer.status)", lines: PairedMessage.lowered(answer.lines))
    case .http2(let peer):
      while !peer.stream(stream).hasHead { try peer.step() }
      let answer = peer.stream(stream)
      return PairedMessage(start: "\(answer.status)", lines: PairedMessage.lowered(answer.head.lines))
    }
  }

  func sendBytes(_ text: String) throws {
    switch side {
    case .http1(let peer): try peer.send(text)
    case .http2(let peer): try peer.send(Array(text.utf8), on: stream, endStream: false)
    }
  }

  /// The first `count` bytes behind an accepted upgrade.
  func readBytes(_ count: Int) throws -> String {
    switch side {
    case .http1(let peer): return try peer.readText(count)
    case .http2(let peer):
      while peer.stream(stream).body.count < count { try peer.step() }
      return String(decoding: peer.stream(stream).body, as: UTF8.self)
    }
  }

  /// Waits for an interim response.
  func receiveInterim() throws -> Int {
    switch side {
    case .http1(let peer): return try peer.message().status
    case .http2(let peer):
      while peer.stream(stream).interim.isEmpty { try peer.step() }
      return peer.stream(stream).interim[0]
    }
  }

  func receive() throws -> PairedMessage {
    switch side {
    case .http1(let peer): try receive(peer)
    case .http2(let peer): try receive(peer)
    }
  }

  private func receive(_ peer: Peer) throws -> PairedMessage {
    var result = PairedMessage()
    do {
      var answer = try peer.message(isAnswerToHead: method == .head)
      while answer.status < 200 {
        result.interim.append(answer.status)
        answer = try peer.message(isAnswerToHead: method == .head)
      }
      result.start = "\(answer.status)"
      result.lines = PairedMessage.lowered(answer.lines)
      result.body = answer.text
      result.trailers = answer.trailers
    } catch let problem as SocketProblem where !problem.description.hasSuffix("errno 11") {
      result.isCut = true
    }
    return result
  }

  private func receive(_ peer: HTTP2Peer) throws -> PairedMessage {
    let answer = try peer.finish(stream)
    return PairedMessage(
      start: "\(answer.status)", lines: PairedMessage.lowered(answer.head.lines),
      body: String(decoding: answer.body, as: UTF8.self), trailers: answer.trailers, interim: answer.interim,
      isCut: !answer.isEnded)
  }
}

// MARK: - Application

/// Serves the requests of one connection one after the other.
final class PairedApplication {
  private enum Side {
    case http1(Peer)
    case http2(HTTP2Peer)
  }

  private let side: Side
  private var stream = HTTP2StreamID(rawValue: 0)
  private var head = Message()
  let version: Pairing.Version

  init(_ version: Pairing.Version, _ peer: Peer) throws {
    self.version = version
    var settings = HTTP2Settings()
    settings.enableConnectProtocol = true
    side = version == .http1 ? .http1(peer) : .http2(try HTTP2Peer(peer, role: .server, settings: settings))
  }

  /// The next request's head. `start` is method and path.
  func request() throws -> PairedMessage {
    switch side {
    case .http1(let peer):
      head = Message(head: try peer.readThrough("\r\n\r\n"))
      return PairedMessage(
        start: head.startLine.split(separator: " ").prefix(2).joined(separator: " "),
        authority: head.value("host") ?? "", lines: PairedMessage.lowered(head.lines))
    case .http2(let peer):
      stream = try peer.nextRequest(after: stream.rawValue)
      let request = peer.stream(stream)
      return PairedMessage(
        start: "\(request.method) \(request.path)", authority: request.authority,
        lines: PairedMessage.lowered(request.head.lines) + [":protocol: \(request.connectProtocol)"])
    }
  }

  /// The content behind the head that was read.
  func content() throws -> PairedMessage {
    switch side {
    case .http1(let peer):
      try peer.readBody(of: &head)
      return PairedMessage(body: head.text, trailers: head.trailers)
    case .http2(let peer):
      let request = try peer.finish(stream)
      return PairedMessage(
        body: String(decoding: request.body, as: UTF8.self), trailers: request.trailers, isCut: !request.isEnded)
    }
  }

  func interim(_ status: Int, _ fields: [(String, String)] = []) throws {
    switch side {
    case .http1(let peer): try peer.send("HTTP/1.1 \(status) Interim\r\n\(fieldText(fields))\r\n")
    case .http2(let peer):
      let head = MeshProxyTests.head(fields)
      head.status = UInt16(status)
      peer.engine.sendHead(head, on: stream, endStream: false)
      try peer.flush()
    }
  }

  /// Answers. A body without `content-length` is sent in chunks; no body is none at all.
  /// - Parameter endsLate: HTTP/2 ends an answer without a body by an empty DATA frame.
  func answer(
    _ status: Int, _ fields: [(String, String)] = [], body: String? = nil, trailers: [(String, String)] = [],
    endsLate: Bool = false
  ) throws {
    switch side {
    case .http1(let peer):
      let isChunked = body != nil && !fields.contains { $0.0 == "content-length" }
      let framing = isChunked ? "Transfer-Encoding: chunked\r\n" : ""
      try peer.send("HTTP/1.1 \(status) Text\r\n\(framing)\(fieldText(fields))\r\n")
      guard let body else { return }
      guard isChunked else { return try peer.send(body) }
      try peer.send("\(String(body.utf8.count, radix: 16))\r\n\(body)\r\n0\r\n\(fieldText(trailers))\r\n")
    case .http2(let peer):
      let head = MeshProxyTests.head(fields)
      head.status = UInt16(status)
      peer.engine.sendHead(head, on: stream, endStream: body == nil && !endsLate)
      let bytes = Array((body ?? "").utf8)
      if !bytes.isEmpty { try peer.send(bytes, on: stream, endStream: trailers.isEmpty) }
      if bytes.isEmpty, body != nil || endsLate {
        peer.engine.sendData(UnsafeRawBufferPointer(start: nil, count: 0), on: stream, endStream: true)
      }
      if !trailers.isEmpty { peer.engine.sendTrailers(MeshProxyTests.head(trailers), on: stream) }
      try peer.flush()
    }
  }

  /// Accepts an upgrade to WebSocket, then sends back what comes, `count` bytes.
  func acceptUpgrade(_ fields: [(String, String)] = [], echo count: Int) throws {
    switch side {
    case .http1(let peer):
      try peer.send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\(fieldText(fields))\r\n")
      try peer.send(try peer.read(count))
      // Closed first, the connection would be reset, since the client's last frames are not read.
      while !peer.isCut() {}
    case .http2(let peer):
      let head = MeshProxyTests.head(fields)
      head.status = 200
      peer.engine.sendHead(head, on: stream, endStream: false)
      try peer.flush()
      while peer.stream(stream).body.count < count { try peer.step() }
      try peer.send(peer.stream(stream).body, on: stream, endStream: false)
      while !peer.peer.isCut() {}
    }
  }
}
