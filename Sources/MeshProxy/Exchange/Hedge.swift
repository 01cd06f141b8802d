import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry

/// The two attempts of a hedged request: the request's own exchange, and a twin that carries the second one.
///
/// The twin is an exchange like a mirror's, with nobody to answer to, and with a copy of a request that has come whole. Until one of them
/// has an answer neither touches the client. When the twin is first, the request's exchange lets its own attempt go and takes the
/// twin's over, connection and all; so an exchange has one upstream at any time, and the way of an answer knows nothing of hedges.
/// Confined to one worker loop. Ends with whichever of the two ends first.
final class Hedge {
  let primary: Exchange
  let twin: Exchange

  init(_ primary: Exchange, twin: Exchange) {
    self.primary = primary
    self.twin = twin
  }
}

extension Exchange {
  // MARK: - Beginning

  /// The first attempt is under way. Notes when a second one begins beside it.
  func planHedge() {
    guard attempts == 1, let policy = rule?.hedging, policy.allMethods || request.method.isIdempotent else { return }
    // A session has one endpoint.
    if session?.endpoint != nil { return }
    let now = worker.loop.now
    switch policy.delay {
    case .fixed(let delay): hedgeStart = now + delay
    case .quantile(let share): hedgeStart = backend?.usualLatency(share, now: now).map { now + $0 }
    }
    if hedgeStart != nil { armTimer() }
  }

  /// The first attempt takes long. Only a request that is here whole, body and all, can go to two endpoints.
  func beginHedge() {
    guard phase == .connecting || phase == .open, !responseStarted, !hasInterimResponse, requestEnded,
      requestBytes == 0 || keepsBody, let backend, let lastTicket, !worker.isDraining
    else { return }
    let ref = backend.balancer.pick(
      now: worker.loop.now, &worker.loop.random, key: hashKey, excluding: tried + [lastTicket])
    guard let ref, !ref.isSameEndpoint(as: lastTicket), takeFromBudget() else { return }
    let twin = worker.takeExchange()
    let hedge = Hedge(self, twin: twin)
    self.hedge = hedge
    twin.begin(as: hedge)
    worker.router.send(twin, to: ref, of: backend)
  }

  private func begin(as hedge: Hedge) {
    let primary = hedge.primary
    self.hedge = hedge
    isTwin = true
    request.copy(from: primary.request)
    direction = primary.direction
    requestFraming = primary.requestFraming
    requestEnded = true
    if let body = primary.keptBody, primary.keptBytes > 0 {
      requestBuffer.append(body.readable)
      uncreditedRequestBytes = requestBuffer.count
    }
    if primary.hasRequestTrailers {
      requestTrailers.copy(from: primary.requestTrailers)
      hasRequestTrailers = true
    }
    isGRPC = primary.isGRPC
    grpcOutcome = primary.isGRPC ? .noStatus : .notGRPC
    deadline = primary.deadline
    isRouteDeadline = primary.isRouteDeadline
    attemptLimit = primary.attemptLimit
    backend = primary.backend
    startTime = worker.loop.now
    lastActivity = startTime
    phase = .resolving
    worker.exchangeStarted(self)
    armTimer()
  }

  // MARK: - The twin

  /// The twin's endpoint has answered.
  func twinAnswered(_ head: MessageHead, framing: BodyFraming, ended: Bool) {
    guard let primary = hedge?.primary else { return }
    // A bad answer is worth less than the hope for a good one.
    if primary.phase != .awaitingTwin, isBadAnswer(head, ended: ended) {
      if isGRPC { noteGRPCStatus(head) }
      settleTicket(status: head.status)
      return endTwin(.hedgeFailed, keepsConnection: ended && requestEndSent)
    }
    primary.takeOver(self)
    primary.responseHead(head, framing: framing, ended: ended)
    // Last: the head may lie in its memory.
    dissolve()
  }

  /// The twin's attempt has failed. Nobody is told, unless it was the last hope.
  func twinFailed(_ error: ProxyError) {
    guard let primary = hedge?.primary else { return }
    settleTicket(after: error)
    endTwin(.hedgeFailed, keepsConnection: false)
    guard primary.phase == .awaitingTwin else { return }
    primary.phase = .connecting
    primary.upstreamFailed(error)
  }

  /// Lets the twin go. Without effect for a request that has none.
  func endTwin(_ event: BackendEvent, keepsConnection: Bool = false) {
    guard let hedge else { return }
    let (primary, twin) = (hedge.primary, hedge.twin)
    primary.hedge = nil
    twin.hedge = nil
    primary.backend?.count(event, worker)
    if let ticket = twin.lastTicket { primary.noteTried(ticket) }
    twin.settleTicket(after: nil)
    twin.stopWaiting()
    twin.upstream.release(twin, complete: keepsConnection)
    twin.upstream = .none
    twin.dissolve()
  }

  /// No request of anybody's: there is nothing to account for.
  private func dissolve() {
    phase = .done
    if let timer { worker.loop.cancel(timer) }
    worker.discard(self)
  }

  // MARK: - The request's own exchange

  /// The own attempt is lost; the twin goes on. False: there is none.
  func leavesToTwin() -> Bool {
    guard hedge != nil, !isTwin else { return false }
    phase = .awaitingTwin
    attemptEnd = nil
    return true
  }

  /// An answer that the client is spared while the twin may have a better one.
  func leavesToTwin(after head: MessageHead, ended: Bool) -> Bool {
    guard hedge != nil, isBadAnswer(head, ended: ended) else { return false }
    if isGRPC { noteGRPCStatus(head) }
    settleTicket(status: head.status)
    upstream.release(self, complete: ended && requestEndSent)
    upstream = .none
    grpcOutcome = isGRPC ? .noStatus : .notGRPC
    return leavesToTwin()
  }

  private func isBadAnswer(_ head: MessageHead, ended: Bool) -> Bool {
    guard isGRPC, ended, let text = head.value(.grpcStatus) else { return head.status >= 500 || head.status == 429 }
    return GRPCStatus(text)?.isServerFault ?? true
  }

  /// The twin was first: its attempt is this exchange's from here on, and the own one ends.
  private func takeOver(_ twin: Exchange) {
    hedge = nil
    twin.hedge = nil
    settleTicket(after: nil)
    stopWaiting()
    upstream.release(self, complete: false)
    upstream = .none
    backend?.count(.hedgeWon, worker)
    swap(&upstream, &twin.upstream)
    upstream.rebind(to: self)
    ticket = twin.ticket
    twin.ticket = nil
    lastTicket = twin.lastTicket
    endpoint = twin.endpoint
    attemptTime = twin.attemptTime
    if attemptLimit.nanoseconds > 0 { attemptEnd = attemptTime + attemptLimit }
    requestEndSent = twin.requestEndSent
    requestBuffer.removeAll()
    // An answer that came before the end of the request: what is left of it has its place in line.
    if !requestEndSent { requestBuffer.append(twin.requestBuffer.readable) }
    phase = .open
    armTimer()
  }
}
