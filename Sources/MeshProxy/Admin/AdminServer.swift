import MeshCore
import MeshHTTP
import MeshRuntime

/// The two small HTTP servers of the control loop: probes and metrics (15020), and the admin page (15000).
///
/// They run on the control thread, so that a scrape never delays a request. Confined to the control loop.
/// Limit: `maximumConnections` per server; GET and HEAD, and POST with a token (`AdminGuard`) for what changes state.
final class AdminServer: ListenerHandler {
  enum Kind { case metrics, admin }

  static let maximumConnections = 256

  let kind: Kind
  unowned let control: ControlThread
  private var connections = 0

  init(_ kind: Kind, control: ControlThread) {
    self.kind = kind
    self.control = control
  }

  func accepted(_ connection: Connection, on listener: Listener) {
    guard connections < Self.maximumConnections else { return connection.abort() }
    connections += 1
    let handler = AdminConnection(connection, server: self)
    connection.handler = handler
    handler.start()
  }

  func closed() { connections -= 1 }

  /// Answers one request; `reply` may be called later, on the control loop.
  func handle(_ method: Method, _ path: String, authorization: [UInt8]?, _ reply: @escaping (AdminReply) -> Void) {
    let page = AdminPages(control: control)
    let name = path.split(separator: "?", maxSplits: 1).first.map(String.init) ?? "/"
    switch (kind, name) {
    case (_, "/ready"): reply(page.ready())
    case (_, "/live"): reply(.text(200, "live\n"))
    case (_, "/metrics"): page.metrics(reply)
    case (.admin, "/"): reply(page.index())
    case (.admin, "/certs"): reply(page.certificates())
    case (.admin, "/config_dump"): reply(page.configuration())
    case (.admin, "/clusters"): page.endpoints(reply)
    case (.admin, "/plaintext_callers"): page.plaintextCallers(reply)
    case (.admin, "/key_sets"): reply(page.keySets())
    case (.admin, "/server_info"): reply(page.serverInfo())
    case (.admin, "/loops"): page.loops(reply)
    case (.admin, "/drain"):
      guard method == .post else { return reply(.text(405, "Method not allowed: use POST.\n")) }
      if let refusal = control.adminGuard.refusal(authorization, "drain", now: control.loop.now) {
        return reply(refusal)
      }
      control.drain {}
      reply(.text(200, "draining\n"))
    default: reply(.text(404, "Not found: see / on the admin port for what is here.\n"))
    }
  }
}

/// An answer of the admin server.
struct AdminReply {
  var status: UInt16
  var contentType: String
  var body: [UInt8]
  /// RFC 9110 section 11.6.1: what a 401 says of how to come back.
  var isChallenge = false

  static func text(_ status: UInt16, _ text: String) -> AdminReply {
    AdminReply(status: status, contentType: "text/plain; charset=utf-8", body: Array(text.utf8))
  }

  static func json(_ text: String) -> AdminReply {
    AdminReply(status: 200, contentType: "application/json", body: Array(text.utf8))
  }
}

/// One HTTP/1 connection to the admin server. Confined to the control loop. Limit: 10 s for a request.
final class AdminConnection: ConnectionHandler, TimerHandler {
  private let connection: Connection
  private let server: AdminServer
  private var decoder = HTTP1Decoder(role: .request)
  private let head = MessageHead()
  private let trailers = MessageHead(capacity: 64)
  private var keepAlive = true
  private var isAnswering = false
  private var isRequestRead = false
  private lazy var timer = LoopTimer(owner: self)

  init(_ connection: Connection, server: AdminServer) {
    self.connection = connection
    self.server = server
  }

  func start() {
    server.control.loop.schedule(timer, after: .seconds(10))
    if !connection.input.isEmpty { connectionReceived(connection) }
  }

  func connectionOpened(_ connection: Connection) {}
  func connectionDrained(_ connection: Connection) {}
  func connectionReachedEnd(_ connection: Connection) { connection.closeAfterFlush() }

  func connectionClosed(_ connection: Connection, _ reason: CloseReason) {
    server.control.loop.cancel(timer)
    server.closed()
  }

  func timerFired(_ timer: LoopTimer) { connection.closeAfterFlush() }

  func connectionReceived(_ connection: Connection) {
    while connection.isOpen, !isAnswering || !isRequestRead {
      let (event, consumed) = decoder.next(connection.input.readable, head: head, trailers: trailers)
      connection.input.consume(consumed)
      switch event {
      case .needMore: return
      case .head(let parsed):
        keepAlive = parsed.keepAlive
        isAnswering = true
        isRequestRead = false
      case .informational, .body, .trailers: break
      case .end:
        isRequestRead = true
        answer()
      case .failure(let error):
        head.method = .get
        keepAlive = false
        send(.text(error.status, "\(error.reason)\n"))
        return
      }
    }
  }

  private func answer() {
    server.control.loop.schedule(timer, after: .seconds(10))
    let authorization = head.value(.authorization).map(Array.init)
    server.handle(head.method, head.bytes(head.path).string, authorization: authorization) { [self] in send($0) }
  }

  private func send(_ reply: AdminReply) {
    guard connection.isOpen else { return }
    let response = MessageHead(capacity: 256)
    response.status = reply.status
    response.append(name: "content-type", value: reply.contentType)
    response.append(.server, "apus")
    if reply.isChallenge { response.append(name: "www-authenticate", value: "Bearer") }
    HTTP1Encoder.response(
      response, framing: .length(UInt64(reply.body.count)), version: head.version, keepAlive: keepAlive,
      upgrade: false, requestMethod: head.method, into: connection.output)
    if head.method != .head { connection.output.append(reply.body) }
    connection.flushSoon()
    isAnswering = false
    guard keepAlive else { return connection.closeAfterFlush() }
    if !connection.input.isEmpty { connection.receiveAgain() }
  }
}
