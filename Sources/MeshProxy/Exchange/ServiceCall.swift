import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry

/// One question of the proxy's own to a service of the mesh, for a request that waits for the answer: an exchange which takes the way of
/// requests, with their balancing, mutual TLS, pooled connections and metrics.
///
/// Lives as long as its exchange. Confined to one worker loop. Limits: the policy's timeout; `maximumAnswerBytes`.
class ServiceCall {
  /// The request that waits, which may have ended meanwhile, and its object serve another one.
  let waiting: Exchange
  private let generation: UInt32
  private let maximumAnswerBytes: Int
  /// One byte more than may be at the most, so that too long an answer can be told.
  private(set) var answer: [UInt8] = []

  init(for exchange: Exchange, maximumAnswerBytes: Int) {
    waiting = exchange
    generation = exchange.generation
    self.maximumAnswerBytes = maximumAnswerBytes
  }

  /// The request still waits.
  func isAwaited(in phase: Exchange.Phase) -> Bool { waiting.generation == generation && waiting.phase == phase }

  var isAnswerWhole: Bool { answer.count <= maximumAnswerBytes }

  /// The head is valid during the call only.
  func received(_ head: MessageHead) {}

  func receive(_ bytes: UnsafeRawBufferPointer) {
    answer.append(contentsOf: bytes.prefix(max(0, maximumAnswerBytes + 1 - answer.count)))
  }

  /// The exchange has to be given back to the worker.
  func finished(_ exchange: Exchange) { exchange.worker.recycle(exchange) }
}

extension Exchange {
  /// Writes a unary call of gRPC.
  func write(_ frame: [UInt8], path: StaticString, to service: ServicePort, userAgent: StaticString) {
    let head = request
    head.method = .post
    head.path = head.intern(path)
    head.scheme = head.intern("http")
    head.authority = head.intern(string: "\(service.service.name).\(service.service.namespace):\(service.port)")
    head.append(.contentType, "application/grpc")
    head.append(.te, "trailers")
    head.append(.userAgent, userAgent)
    requestFraming = .length(UInt64(frame.count))
    requestBuffer.append(frame)
    requestEnded = true
  }

  /// Asks the service. The request is written.
  func begin(call: ServiceCall, to service: ServiceEntry, timeout: TimeSpan) {
    downstream = .call(call)
    direction = .outbound
    startTime = worker.loop.now
    lastActivity = startTime
    phase = .resolving
    worker.exchangeStarted(self)
    if request.isGRPCRequest { beginGRPC() }
    deadline = startTime + timeout
    isRouteDeadline = true
    armTimer()
    worker.router.route(self, to: service)
  }
}
