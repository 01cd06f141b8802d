import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry

/// One request and its response on their way through the proxy.
///
/// Owns the request head, the bytes that one side has sent and the other cannot take yet, and the accounting.
/// It moves bytes between a `Downstream` and an `Upstream`, which hide whether they are HTTP/1, HTTP/2 or plain bytes.
/// Reused through the worker's free list. Confined to one worker loop.
///
/// Backpressure: bytes that the far side does not accept wait in `requestBuffer` or `responseBuffer`; the near side gets
/// no credit for them, so it stops after one HTTP/2 window or one read.
final class Exchange: TimerHandler {
  /// Where the request stands. Body bytes move in `open` only.
  enum Phase: UInt8 {
    /// In the free list.
    case idle
    /// Waiting for configuration of the service.
    case resolving
    /// Waiting for a TLS client to say which server it wants.
    case greeting
    /// An attempt has failed; the next one begins when its wait is over.
    case backingOff
    /// The service that counts for a global rate limit is being asked.
    case limiting
    /// An external authorizer is being asked.
    case authorizing
    /// The rule wants the whole request before it goes on.
    case holding
    /// An injected delay runs.
    case delaying
    /// An endpoint is chosen; its connection is being opened.
    case connecting
    /// The request head is on its way to the upstream.
    case open
    /// Its own attempt is lost; the one of its hedge goes on.
    case awaitingTwin
    /// Answered or given up; only accounting is left.
    case done
  }

  /// Outlives everything on its loop. Counted, the reference would cost two atomic operations at each use.
  unowned(unsafe) let worker: ProxyWorker
  /// The worker's, told several times in each request: kept here to save the way over the worker.
  private let bufferBudget: Unmanaged<BufferBudget>
  let request = MessageHead()
  let requestTrailers = MessageHead(capacity: 64)
  let requestBuffer: ByteQueue
  let responseBuffer: ByteQueue
  /// The response head while an HTTP/1 upstream's is arriving.
  let response = MessageHead()
  let responseTrailers = MessageHead(capacity: 64)

  var phase = Phase.idle
  var direction = TrafficDirection.outbound
  var downstream = Downstream.none
  var upstream = Upstream.none

  // MARK: Request side

  var requestFraming = BodyFraming.none
  var isUpgrade = false
  /// When the loop has too much to do, others come first (`Standing`).
  var standsBack = false
  /// The request came as an extended CONNECT, to which a 2xx answer means acceptance (RFC 8441, section 5).
  var isExtendedConnect = false
  /// The protocol of an upgrade that went out as an extended CONNECT, in `request`.
  var upgradeProtocol = MessageHead.Slice.empty
  /// The `Sec-WebSocket-Key` that this side of the exchange answers for (`WebSocketBridge`), in `request`.
  var webSocketKey = MessageHead.Slice.empty
  /// CONNECT or an accepted upgrade: both directions are bytes.
  var isTunnel = false
  var requestEnded = false
  var requestEndSent = false
  var hasRequestTrailers = false
  /// Body bytes passed on or waiting for which the downstream has no credit yet.
  var uncreditedRequestBytes = 0 {
    didSet { heldChanged(by: uncreditedRequestBytes &- oldValue) }
  }
  /// Of `requestBuffer`, bytes for which the downstream has its credit already: they were held on purpose.
  var creditedRequestBytes = 0 {
    didSet { heldChanged(by: creditedRequestBytes &- oldValue) }
  }
  /// What rule or port say of the request's content; `.max` and 0: nothing.
  var maximumRequestBytes = UInt64.max
  var holdableBytes = 0
  /// It had to wait for the service that counts, or for an authorizer.
  var isLimitedGlobally = false
  /// True once a byte of the body was handed to an upstream: without `keepsBody` the request cannot be sent again.
  var requestBodySent = false
  /// All that came of the body is in `keptBody`, too, for repeats that the rule asks for.
  var keepsBody = false
  /// Made with the first body kept, and kept.
  var keptBody: ByteQueue?
  var keptBytes = 0 {
    didSet { heldChanged(by: keptBytes &- oldValue) }
  }
  /// Copies of this request under way to mirrors.
  var mirrors: [MirrorLink] = []
  /// This exchange is such a copy: nobody waits for its answer.
  var isMirror = false
  /// A second attempt beside the first. Both exchanges have the hedge, and both lose it when one of them ends.
  var hedge: Hedge?
  /// This exchange carries the second attempt of another.
  var isTwin = false
  /// The proxy's own question to an endpoint, no request of anybody's.
  var isCheck = false

  // MARK: Response side

  /// A 1xx response went through: the upstream is at work on the request.
  var hasInterimResponse = false
  var responseStarted = false
  var responseEnded = false
  var responseEndSent = false
  var hasResponseTrailers = false
  var uncreditedResponseBytes = 0 {
    didSet { heldChanged(by: uncreditedResponseBytes &- oldValue) }
  }

  /// Bytes of the request head past `ordinaryHeadBytes`: a few bytes of HPACK indexes can stand for a large head.
  private(set) var excessHeadBytes = 0 {
    didSet { heldChanged(by: excessHeadBytes &- oldValue) }
  }
  static let ordinaryHeadBytes = 4 * 1024

  func countHead() { excessHeadBytes = max(0, request.byteCount - Self.ordinaryHeadBytes) }
  func uncountHead() { excessHeadBytes = 0 }

  /// Bytes that wait in either direction for receivers that do not take them, and what is large of the head.
  var heldBytes: Int {
    uncreditedRequestBytes &+ creditedRequestBytes &+ uncreditedResponseBytes &+ excessHeadBytes &+ keptBytes
      &+ upstream.waitingOutput
  }

  @inline(__always) private func heldChanged(by difference: Int) {
    bufferBudget._withUnsafeGuaranteedRef { $0.changed(by: difference) }
  }

  // MARK: Choice

  var service: ServiceEntry?
  var rule: CompiledRule?
  /// Filters were at work, or the answer may bring a cookie or a session: only then is any of the next eight set.
  var isFiltered = false
  /// Filters with work to do on the response, of the rule and of the backend chosen; nil for none.
  var filters: FilterChain?
  var backendFilters: FilterChain?
  var corsFilter: FilterChain?
  /// Path and authority as the client sent them, in `request`, where filters were at work on it.
  var asked: AskedFor?
  /// The origin that asks, in `request`, and what the rule makes of it.
  var origin = MessageHead.Slice.empty
  var corsVerdict = CompiledCORS.Verdict.noOrigin
  /// Goes to the client with the upstream's answer.
  var issuedCookie: IssuedCookie?
  /// Of a rule with sessions.
  var session: SessionUse?
  var backend: BackendEntry?
  /// Counted among the backend's active requests, and among those that wait for a connection.
  var isActive = false
  var isPending = false
  /// What the backend's balancer goes by, if it goes by anything.
  var hashKey: UInt64?
  /// The subset of the backend's endpoints that the request names, where there are any.
  var subset: UInt64?
  var endpoint: EndpointEntry?
  /// The balancer is told once how the request ended; nil when it was.
  var ticket: EndpointRef?
  /// The endpoint of the present attempt, or of the latest.
  var lastTicket: EndpointRef?
  /// Those of the attempts before it, which a repeat avoids, the latest last. Empty for most requests.
  private(set) var tried: [EndpointRef] = []
  var inboundPort: InboundPortEntry?
  /// Among the requests that the application has, where their number is limited.
  var place: ConcurrencyPlace?
  var attempts = 0
  /// How often it went out again, without a rule that asks for it, although it may have been processed. Refusals do not
  /// count: they prove that it was not.
  var uncertainRepeats = 0

  /// The request's, verified; most requests have none.
  var token: VerifiedToken?
  /// Why the request was refused for its token.
  var refusedToken: TokenRefusal?

  /// Set while the answer's content is being compressed.
  var compression: ResponseCompression?

  /// Set while an external authorizer decides, and after it when it changes the answer.
  var externalCheck: ExternalCheck?

  /// Set where the rule's faults strike; most requests meet none.
  var fault: InjectedFault?

  /// Goes to a host outside the mesh that no ExternalService is for.
  var leavesMesh = false
  /// A tunnel out of the mesh whose client has not said yet which TLS server it wants, where not every one is allowed.
  var watchesServerName = false

  // MARK: Time

  /// When `grpc-timeout`, or what the rule gives the whole request, is over; nil without either.
  var deadline: Instant?
  /// The deadline is the rule's, not the client's.
  var isRouteDeadline = false
  /// When the rule ends the stream, whatever has become of it; nil without such a limit.
  var streamEnd: Instant?
  /// The rule has second attempts beside slow first ones.
  var mayHedge = false
  /// When such an attempt begins; nil for most requests.
  var hedgeStart: Instant?
  /// What the rule gives each attempt; zero: no limit.
  var attemptLimit = TimeSpan.zero
  /// When the present attempt is over, or the wait before the next one.
  var attemptEnd: Instant?
  /// The request has fields that ask for an exception from what its rule says.
  var asksForOverrides = false
  /// Made with the first time limit and kept.
  var timer: LoopTimer?

  // MARK: gRPC

  /// The request is a gRPC call: failures are told as gRPC statuses.
  var isGRPC = false
  /// How the call ended, for metrics and the log.
  var grpcOutcome = GRPCOutcome.notGRPC
  /// The response that has begun may be ended by trailers of the proxy's own.
  var mayEndWithTrailers = false

  /// Metric label of the caller's identity; empty for plaintext callers.
  var peerLabel = LabelInterner.empty
  /// What decided that the caller may not do this, or audited it; empty for most requests.
  var authorizationLabel = LabelInterner.empty
  /// The latest `custom` policy whose provider was asked; of no meaning otherwise.
  var askedPolicy = -1

  // MARK: Accounting

  var startTime = Instant(nanoseconds: 0)
  var attemptTime = Instant(nanoseconds: 0)
  var responseTime = Instant(nanoseconds: 0)
  var lastActivity = Instant(nanoseconds: 0)
  var requestBytes: UInt64 = 0
  var responseBytes: UInt64 = 0
  var status: UInt16 = 0
  var flag = ResponseFlag.none
  /// Place in the worker's list of exchanges in flight; -1 when in none.
  var listIndex = -1
  /// Grows with every reuse, so that a late callback can tell that its exchange is gone.
  var generation: UInt32 = 0

  init(worker: ProxyWorker) {
    self.worker = worker
    bufferBudget = .passUnretained(worker.bufferBudget)
    requestBuffer = ByteQueue(pool: worker.loop.pool)
    responseBuffer = ByteQueue(pool: worker.loop.pool)
  }

  /// Makes the exchange as new. Memory of heads and buffers stays.
  func reset() {
    phase = .idle
    downstream = .none
    upstream = .none
    request.reset()
    response.reset()
    requestTrailers.reset()
    responseTrailers.reset()
    requestBuffer.removeAll()
    responseBuffer.removeAll()
    requestFraming = .none
    isUpgrade = false
    standsBack = false
    isExtendedConnect = false
    upgradeProtocol = .empty
    webSocketKey = .empty
    isTunnel = false
    requestEnded = false
    requestEndSent = false
    hasRequestTrailers = false
    uncreditedRequestBytes = 0
    if creditedRequestBytes > 0 { creditedRequestBytes = 0 }
    maximumRequestBytes = .max
    holdableBytes = 0
    isLimitedGlobally = false
    requestBodySent = false
    keepsBody = false
    isMirror = false
    isTwin = false
    isCheck = false
    hasInterimResponse = false
    responseStarted = false
    responseEnded = false
    responseEndSent = false
    hasResponseTrailers = false
    uncreditedResponseBytes = 0
    resetChoice()
    isGRPC = false
    grpcOutcome = .notGRPC
    mayEndWithTrailers = false
    peerLabel = LabelInterner.empty
    authorizationLabel = LabelInterner.empty
    requestBytes = 0
    responseBytes = 0
    status = 0
    flag = .none
    generation &+= 1
  }

  private func resetChoice() {
    service = nil
    rule = nil
    if isFiltered { resetFilters() }
    fault = nil
    if externalCheck != nil { externalCheck = nil }
    backend = nil
    hashKey = nil
    subset = nil
    endpoint = nil
    ticket = nil
    lastTicket = nil
    if !tried.isEmpty { tried.removeAll(keepingCapacity: true) }
    inboundPort = nil
    if place != nil { place = nil }
    if token != nil { token = nil }
    if refusedToken != nil { refusedToken = nil }
    leavesMesh = false
    watchesServerName = false
    attempts = 0
    uncertainRepeats = 0
    deadline = nil
    isRouteDeadline = false
    streamEnd = nil
    mayHedge = false
    hedgeStart = nil
    attemptLimit = .zero
    attemptEnd = nil
    asksForOverrides = false
  }

  /// The endpoint of the latest attempt is not the first choice of the next.
  func noteTried() {
    if let lastTicket { noteTried(lastTicket) }
  }

  func noteTried(_ ref: EndpointRef) {
    tried.removeAll { $0.isSameEndpoint(as: ref) }
    tried.append(ref)
  }

  private func resetFilters() {
    isFiltered = false
    filters = nil
    backendFilters = nil
    corsFilter = nil
    asked = nil
    origin = .empty
    corsVerdict = .noOrigin
    issuedCookie = nil
    session = nil
  }
}
