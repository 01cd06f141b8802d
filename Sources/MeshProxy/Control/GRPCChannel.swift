import MeshCore
import MeshHTTP
import MeshRuntime

/// Hears whether a gRPC channel stands. Called on the control loop.
protocol GRPCChannelDelegate: AnyObject {
  func channelConnected()
  func channelFailed(_ reason: String)
}

/// Receives what comes of one gRPC call. Called on the control loop.
protocol GRPCCallHandler: AnyObject {
  func call(_ call: GRPCCall, received message: [UInt8])
  /// The call is over. Status 0 is success (gRPC status codes).
  func call(_ call: GRPCCall, ended status: Int, _ message: String)
}

/// One gRPC call in flight.
final class GRPCCall {
  fileprivate weak var handler: (any GRPCCallHandler)?
  fileprivate let stream: HTTP2StreamID
  fileprivate let received: ByteQueue
  fileprivate let pending: ByteQueue
  fileprivate var endsAfterPending = false

  fileprivate init(handler: any GRPCCallHandler, stream: HTTP2StreamID, pool: BlockPool) {
    self.handler = handler
    self.stream = stream
    received = ByteQueue(pool: pool)
    pending = ByteQueue(pool: pool)
  }
}

/// A gRPC client connection to the controller over TLS, built on the data plane's own HTTP/2 engine.
///
/// One connection, several calls. Confined to the control loop. Limit: `maximumMessageBytes` per message.
final class GRPCChannel: ConnectionHandler {
  static let maximumMessageBytes = 64 * 1024 * 1024

  private let loop: Worker
  private let authority: String
  private let token: String
  weak var delegate: (any GRPCChannelDelegate)?
  private var connection: Connection?
  private var engine: HTTP2Connection?
  private var isProcessing = false
  private var bytesAtPing: UInt64?
  private let head = MessageHead()

  init(loop: Worker, authority: String, token: String) {
    self.loop = loop
    self.authority = authority
    self.token = token
  }

  var isConnected: Bool { engine != nil }

  func connect(to address: SocketAddress, tls: TLSClient) {
    connection = loop.connect(to: address, timeout: .seconds(5), tls: tls, handler: self)
  }

  func close() { connection?.close() }

  /// Bytes have come since the last ping, or none was sent yet.
  var hasHeardSinceLastPing: Bool { bytesAtPing.map { $0 != connection?.bytesRead } ?? true }

  func sendPing() {
    bytesAtPing = connection?.bytesRead
    engine?.sendPing(loop.now.nanoseconds)
    connection?.flushSoon()
  }

  // MARK: - Calls

  /// Starts a call; nil when the channel is not connected.
  func start(_ method: StaticString, for handler: any GRPCCallHandler) -> GRPCCall? {
    guard let engine, let stream = engine.openStream() else { return nil }
    let call = GRPCCall(handler: handler, stream: stream, pool: loop.pool)
    head.reset()
    head.method = .post
    head.scheme = head.intern("https")
    head.path = head.intern(method)
    head.authority = head.intern(string: authority)
    head.append(.contentType, "application/grpc")
    head.append(.te, "trailers")
    head.append(name: "authorization", value: "Bearer \(token)")
    engine.setContext(call, for: stream)
    engine.sendHead(head, on: stream, endStream: false)
    connection?.flushSoon()
    return call
  }

  /// Sends one message; `last` half-closes the call.
  func send(_ message: [UInt8], on call: GRPCCall, last: Bool) {
    GRPCFraming.append(message, to: call.pending)
    call.endsAfterPending = last
    pump(call)
  }

  private func pump(_ call: GRPCCall) {
    guard let engine, !call.pending.isEmpty else { return }
    let accepted = engine.sendData(call.pending.readable, on: call.stream, endStream: call.endsAfterPending)
    call.pending.consume(accepted)
    connection?.flushSoon()
  }

  // MARK: - ConnectionHandler

  func connectionOpened(_ connection: Connection) {
    let engine = HTTP2Connection(
      role: .client, settings: HTTP2Settings(), limits: HTTP2Limits(), connectionWindow: 16 << 20,
      output: connection.output)
    self.engine = engine
    connection.flushSoon()
    delegate?.channelConnected()
  }

  func connectionReceived(_ connection: Connection) { process(connection) }
  func connectionReachedEnd(_ connection: Connection) { connection.close() }

  func connectionDrained(_ connection: Connection) {
    engine?.outputDrained()
    process(connection)
  }

  func connectionClosed(_ connection: Connection, _ reason: CloseReason) {
    guard connection === self.connection else { return }
    self.connection = nil
    engine = nil
    delegate?.channelFailed("\(reason)")
  }

  // MARK: - Events

  private func process(_ connection: Connection) {
    guard let engine, !isProcessing else { return }
    isProcessing = true
    defer { isProcessing = false }
    while connection.isOpen {
      let (event, consumed) = engine.next(connection.input.readable)
      let goesOn = handle(event, engine, connection)
      guard connection.isOpen else { return }
      connection.input.consume(consumed)
      if !goesOn { break }
    }
    if !connection.output.isEmpty { connection.flushSoon() }
  }

  private func handle(_ event: HTTP2Event, _ engine: HTTP2Connection, _ connection: Connection) -> Bool {
    switch event {
    case .needMore:
      return false
    case .head(let stream, let endStream):
      if let call = call(stream) { receiveHead(call, endStream) }
    case .data(let stream, let bytes, let credit, let endStream):
      if let call = call(stream) { receiveData(call, bytes) }
      engine.consumed(credit, on: stream)
      if endStream, let call = call(stream) { end(call, 2, "the stream ended without a status") }
    case .trailers(let stream):
      if let call = call(stream) { receiveStatus(call) }
    case .reset(let stream, let code, _):
      if let call = call(stream) { end(call, 14, "the stream was reset (\(code))") }
    case .writable(let stream):
      if let call = call(stream) { pump(call) }
    case .goAway, .informational, .settings, .pong:
      break
    case .failure:
      connection.closeAfterFlush()
      return false
    }
    return true
  }

  private func call(_ stream: HTTP2StreamID) -> GRPCCall? {
    guard let context = engine?.context(of: stream) else { return nil }
    return unsafeDowncast(context, to: GRPCCall.self)
  }

  private func receiveHead(_ call: GRPCCall, _ endStream: Bool) {
    guard let engine else { return }
    if endStream { return receiveStatus(call) }
    if engine.receivedHead.status != 200 {
      engine.sendReset(call.stream, .cancel)
      end(call, 14, "HTTP status \(engine.receivedHead.status)")
    }
  }

  private func receiveData(_ call: GRPCCall, _ bytes: UnsafeRawBufferPointer) {
    call.received.append(bytes)
    do {
      while let message = try GRPCFraming.next(call.received, maximumMessageBytes: Self.maximumMessageBytes) {
        call.handler?.call(call, received: message)
      }
    } catch {
      engine?.sendReset(call.stream, .cancel)
      end(call, 13, "the controller sent a message that cannot be read: \(error)")
    }
  }

  private func receiveStatus(_ call: GRPCCall) {
    guard let engine else { return }
    let status = engine.receivedHead.value(.grpcStatus)?.string ?? ""
    let message = engine.receivedHead.value(.grpcMessage)?.string ?? ""
    end(call, Int(status) ?? 2, message)
  }

  private func end(_ call: GRPCCall, _ status: Int, _ message: String) {
    engine?.setContext(nil, for: call.stream)
    call.handler?.call(call, ended: status, message)
  }
}
