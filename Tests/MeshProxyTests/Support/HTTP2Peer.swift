import MeshCore
import MeshHTTP

/// An HTTP/2 client with prior knowledge, or a server: our own engine over a test's blocking socket.
///
/// Used by one thread.
final class HTTP2Peer {
  struct Stream {
    var head = Message()
    var status = 0
    var interim: [Int] = []
    var method = ""
    var authority = ""
    var path = ""
    /// `:protocol` of an extended CONNECT.
    var connectProtocol = ""
    var body: [UInt8] = []
    var trailers = ""
    var isEnded = false
    var reset: HTTP2ErrorCode?
    var hasHead = false
  }

  let peer: Peer
  let engine: HTTP2Connection
  private let input: ByteQueue
  private let output: ByteQueue
  private(set) var streams: [UInt32: Stream] = [:]
  private(set) var isGoingAway = false
  /// False: body bytes earn the sender no credit.
  var givesCredit = true

  init(
    _ peer: Peer, role: HTTP2Connection.Role = .client, settings: HTTP2Settings = .init(),
    connectionWindow: Int = 16 << 20
  ) throws {
    self.peer = peer
    let pool = BlockPool()
    input = ByteQueue(pool: pool)
    output = ByteQueue(pool: pool)
    engine = HTTP2Connection(
      role: role, settings: settings, connectionWindow: connectionWindow, output: output)
    try flush()
  }

  func flush() throws {
    guard !output.isEmpty else { return }
    try peer.send(Array(output.readable))
    output.consume(output.count)
    engine.outputDrained()
  }

  static func head(_ method: Method, _ path: String, _ fields: [(String, String)] = []) -> MessageHead {
    let head = MessageHead()
    head.version = .http2
    head.method = method
    head.scheme = head.intern("http")
    head.authority = head.intern(string: "orders.shop")
    head.path = head.intern(string: path)
    for (name, value) in fields { head.append(name: name, value: value) }
    return head
  }

  static func answer(_ status: UInt16, _ fields: [(String, String)] = []) -> MessageHead {
    let head = MessageHead()
    head.status = status
    for (name, value) in fields { head.append(name: name, value: value) }
    return head
  }

  /// Opens a stream with a request on it.
  func request(
    _ method: Method, _ path: String, _ fields: [(String, String)] = [], endStream: Bool = true
  ) throws -> HTTP2StreamID {
    try request(Self.head(method, path, fields), endStream: endStream)
  }

  func request(_ head: MessageHead, endStream: Bool) throws -> HTTP2StreamID {
    guard let stream = engine.openStream() else { throw SocketProblem(description: "no stream") }
    streams[stream.rawValue] = Stream()
    engine.sendHead(head, on: stream, endStream: endStream)
    try flush()
    return stream
  }

  /// Opens `count` streams with the same request and sends all in one piece.
  func requests(_ method: Method, _ path: String, count: Int) throws -> [HTTP2StreamID] {
    let head = Self.head(method, path)
    let opened = (0..<count).compactMap { _ in
      engine.openStream().map { stream in
        streams[stream.rawValue] = Stream()
        engine.sendHead(head, on: stream, endStream: true)
        return stream
      }
    }
    guard opened.count == count else { throw SocketProblem(description: "no stream") }
    try flush()
    return opened
  }

  /// Opens a stream with a request and its short body in one piece.
  func request(
    _ method: Method, _ path: String, _ fields: [(String, String)], body: [UInt8]
  ) throws -> HTTP2StreamID {
    guard let stream = engine.openStream() else { throw SocketProblem(description: "no stream") }
    streams[stream.rawValue] = Stream()
    engine.sendHead(Self.head(method, path, fields), on: stream, endStream: false)
    let sent = body.withUnsafeBytes { engine.sendData($0, on: stream, endStream: true) }
    guard sent == body.count else { throw SocketProblem(description: "no window") }
    try flush()
    return stream
  }

  /// The next request that comes, by its head.
  func nextRequest(after last: UInt32) throws -> HTTP2StreamID {
    while true {
      if let id = streams.keys.filter({ $0 > last && streams[$0]?.hasHead == true }).min() {
        return HTTP2StreamID(rawValue: id)
      }
      try step()
    }
  }

  /// Sends a body, waiting for windows as they open.
  func send(_ body: [UInt8], on stream: HTTP2StreamID, endStream: Bool = true) throws {
    var sent = 0
    while sent < body.count {
      let accepted = body.withUnsafeBytes {
        engine.sendData(.init(rebasing: $0[sent...]), on: stream, endStream: endStream)
      }
      sent += accepted
      try flush()
      if accepted == 0 { try step() }
    }
  }

  /// Reads once from the socket and handles what came.
  func step() throws {
    let bytes = try peer.receive()
    if bytes.isEmpty { throw SocketProblem(description: "the connection ended") }
    input.append(bytes)
    while handle() {}
    try flush()
  }

  private func handle() -> Bool {
    let (event, consumed) = engine.next(input.readable)
    defer { input.consume(consumed) }
    switch event {
    case .needMore, .failure: return false
    case .head(let id, let end):
      received(id) { stream, head in
        stream.hasHead = true
        stream.status = Int(head.status)
        stream.method = head.method.name.description
        stream.authority = String(decoding: head.bytes(head.authority), as: UTF8.self)
        stream.path = String(decoding: head.bytes(head.path), as: UTF8.self)
        stream.connectProtocol = String(decoding: head.bytes(head.connectProtocol), as: UTF8.self)
        stream.head.head = "-\r\n" + Self.text(head, "\r\n")
        stream.isEnded = end
      }
    case .trailers(let id):
      received(id) { stream, head in
        stream.trailers = Self.text(head, "\n")
        stream.isEnded = true
      }
    case .data(let id, let bytes, let credit, let end):
      received(id) { stream, _ in
        stream.body += Array(bytes)
        stream.isEnded = end
      }
      if givesCredit { engine.consumed(credit, on: id) }
    case .reset(let id, let code, _): received(id) { stream, _ in stream.reset = code }
    case .goAway: isGoingAway = true
    case .informational(let id): received(id) { stream, head in stream.interim.append(Int(head.status)) }
    case .writable, .settings, .pong: break
    }
    return true
  }

  private func received(_ id: HTTP2StreamID, _ change: (inout Stream, MessageHead) -> Void) {
    change(&streams[id.rawValue, default: Stream()], engine.receivedHead)
  }

  private static func text(_ head: MessageHead, _ end: String) -> String {
    head.fields.filter { !$0.isRemoved }.map {
      String(decoding: head.bytes($0.name), as: UTF8.self) + ": "
        + String(decoding: head.bytes($0.value), as: UTF8.self)
    }.joined(separator: end)
  }

  func stream(_ id: HTTP2StreamID) -> Stream { streams[id.rawValue] ?? Stream() }

  /// Until the stream has ended or was reset.
  func finish(_ id: HTTP2StreamID) throws -> Stream {
    while !stream(id).isEnded, stream(id).reset == nil { try step() }
    return stream(id)
  }
}

extension Backend {
  /// Answers every request with 200 and `name` as the body, in HTTP/2.
  static func http2(named name: String) -> Backend {
    Backend { peer, _ in
      let server = try HTTP2Peer(peer, role: .server)
      var last: UInt32 = 0
      while true {
        let stream = try server.nextRequest(after: last)
        last = stream.rawValue
        server.engine.sendHead(HTTP2Peer.answer(200), on: stream, endStream: false)
        try server.send(Array(name.utf8), on: stream)
      }
    }
  }
}
