import MeshCore
import MeshPolicy

/// An application with some cores, in front of it a limiter, on a clock of its own. All requests share the cores; past as many requests as
/// cores each takes longer, and with `thrashing` the whole does less.
struct SimulatedService {
  private struct Request {
    var permit: ConcurrencyLimiter.Permit
    var start: Instant
    var left: Double
  }

  struct Score {
    /// Answered before their clients lost patience.
    var good = 0
    var late = 0
    var refused = 0
    var offered = 0
  }

  let limiter: ConcurrencyLimiter
  var cores: Double
  /// What a request takes alone.
  var milliseconds: Double
  var thrashing = 0.0
  var patience = TimeSpan.milliseconds(250)
  private(set) var now = Instant(nanoseconds: 1_000_000_000)
  private(set) var score = Score()
  private var requests: [Request] = []
  private var owed = 0.0
  private var random: SeededRandom

  init(_ settings: AdaptiveConcurrency = AdaptiveConcurrency(), cores: Double, milliseconds: Double, seed: UInt64 = 1) {
    limiter = ConcurrencyLimiter(settings, seed: seed, now: now)
    self.cores = cores
    self.milliseconds = milliseconds
    random = SeededRandom(seed: seed)
  }

  var capacity: Double { cores * 1_000 / milliseconds }

  /// Offers `rate` requests a second for so many seconds. Returns what became of those that ended meanwhile.
  mutating func run(seconds: Int, rate: Double) -> Score {
    score = Score()
    for _ in 0..<(seconds * 1_000) {
      now = now + .milliseconds(1)
      arrive(rate / 1_000)
      work()
    }
    return score
  }

  private mutating func arrive(_ expected: Double) {
    owed += expected * 2 * random.unit()
    while owed >= 1 {
      owed -= 1
      score.offered += 1
      guard let permit = limiter.enter(now: now) else {
        score.refused += 1
        continue
      }
      // From half to one and a half times the usual.
      requests.append(Request(permit: permit, start: now, left: milliseconds * (0.5 + random.unit())))
    }
  }

  private mutating func work() {
    let count = Double(requests.count)
    var speed = 1.0
    if count > cores { speed = cores / count / (1 + thrashing * (count - cores) / cores) }
    for i in requests.indices { requests[i].left -= speed }
    requests.removeAll { request in
      guard request.left <= 0 else { return false }
      limiter.leave(request.permit, .answered, now: now)
      if now - request.start <= patience { score.good += 1 } else { score.late += 1 }
      return true
    }
  }
}
