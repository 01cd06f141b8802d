/// What one connection may still have done in this loop turn; then it waits for the others.
///
/// 64 KiB of input, which is what a connection may read in a turn, can hold thousands of requests or of tiny body
/// pieces. Each costs us far more than its few bytes cost the sender.
struct TurnShare {
  private var events: Int
  private var requests: Int

  init(_ limits: ProxyLimits) {
    events = limits.maximumEventsPerTurn
    requests = limits.maximumRequestsPerTurn
  }

  var isSpent: Bool { events <= 0 || requests <= 0 }
  mutating func tookEvent() { events &-= 1 }
  mutating func tookRequest() { requests &-= 1 }
}
