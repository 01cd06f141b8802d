import MeshHTTP
import MeshRuntime

/// What one connection may still have done in this loop turn; then it waits for the others.
///
/// 64 KiB of input, which is what a connection may read in a turn, can hold thousands of requests or of tiny body
/// pieces. Each costs us far more than its few bytes cost the sender. What a request costs differs widely, from an index
/// into HPACK tables to a new connection, and there may be many connections with many of them: hence the clock, too, looked
/// at after every second request, every sixteenth event, and every stream that ended early, since what we refuse can have cost
/// most of all (a header block of thousands of fields). A request that comes alone, as honest clients' mostly do, pays nothing
/// for it; several that come together leave together even in a long turn.
struct TurnShare {
  private unowned(unsafe) let loop: Worker
  private var events: Int
  private var requests: Int
  private var isTurnLong = false

  init(_ worker: ProxyWorker) {
    loop = worker.loop
    events = worker.limits.maximumEventsPerTurn
    requests = worker.limits.maximumRequestsPerTurn
  }

  var isSpent: Bool { isOverLimit || isTurnLong }
  /// It did more than one connection may; otherwise the turn was long, by whomever, which is nobody's fault.
  var isOverLimit: Bool { events <= 0 || requests <= 0 }

  mutating func took(_ event: HTTP2Event) {
    tookEvent()
    switch event {
    case .head: tookRequest()
    case .reset: lookAtClock()
    default: break
    }
  }

  mutating func tookEvent() {
    events &-= 1
    if events & 15 == 0 { lookAtClock() }
  }

  mutating func tookRequest() {
    requests &-= 1
    if requests & 1 == 0 { lookAtClock() }
  }

  private mutating func lookAtClock() {
    if loop.isTurnLong { isTurnLong = true }
  }
}
