import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry

/// A copy of an exchange's request. The copy may end, and its object serve another request, at any time.
struct MirrorLink {
  let exchange: Exchange
  let generation: UInt32

  /// The copy, while it is under way.
  var live: Exchange? { exchange.generation == generation && exchange.phase != .done ? exchange : nil }
}

// Copies of requests for mirrors. A copy is an exchange of its own, with nobody to answer to: its own endpoint, balancer
// accounting, metrics and log line. It never slows its original down and never fails it.
extension Exchange {
  func mirror(to mirror: FilterChain.Mirror) {
    guard worker.admitMirror() else { return }
    let copy = worker.takeExchange()
    mirrors.append(MirrorLink(exchange: copy, generation: copy.generation))
    copy.beginMirror(of: self, mirror)
  }

  private func beginMirror(of original: Exchange, _ mirror: FilterChain.Mirror) {
    isMirror = true
    request.copy(from: original.request)
    direction = original.direction
    requestFraming = original.requestFraming
    service = original.service
    rule = mirror.rule
    backend = mirror.backend
    startTime = worker.loop.now
    lastActivity = startTime
    phase = .resolving
    worker.exchangeStarted(self)
    countHead()
    if request.isGRPCRequest { beginGRPC() }
    if mirror.rule.governsAttempts { begin(under: mirror.rule) }
    // The original may have waited for its configuration while its body came.
    if !original.requestBuffer.isEmpty { requestBody(original.requestBuffer.readable, last: false) }
    requestEnded = original.requestEnded
    if original.hasRequestTrailers {
      requestTrailers.copy(from: original.requestTrailers)
      hasRequestTrailers = true
    }
    worker.router.routeMirror(self)
  }

  // MARK: - The original's events

  func mirrorBody(_ bytes: UnsafeRawBufferPointer, last: Bool) {
    for link in mirrors {
      guard let copy = link.live else { continue }
      copy.requestBody(bytes, last: last)
      if link.live != nil, copy.requestBuffer.count > worker.limits.maximumMirrorBytes { copy.giveUpMirror() }
    }
  }

  func mirrorEnd() {
    for link in mirrors { link.live?.requestFinished(trailers: hasRequestTrailers ? requestTrailers : nil) }
  }

  /// The original has ended. A copy that lacks a part of the body will never have it.
  func endMirrors() {
    let links = mirrors
    mirrors = []
    guard !requestEnded else { return }
    for link in links {
      guard let copy = link.live else { continue }
      copy.flag = .localReset
      copy.complete()
    }
  }

  // MARK: - The copy's end

  func giveUpMirror() {
    worker.metrics.limitHit("mirror_bytes")
    flag = .localReset
    complete()
  }
}
