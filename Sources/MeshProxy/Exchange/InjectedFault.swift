import MeshCore
import MeshPolicy
import MeshRuntime
import MeshTelemetry

/// What one exchange meets on purpose, and how far that has come. Made only for exchanges that faults strike.
///
/// Owned by its exchange and confined to its loop.
final class InjectedFault: TimerHandler {
  let verdict: FaultVerdict
  /// All that the rule asked for, by which a change of configuration tells whether this still holds.
  let policies: [FaultPolicy]
  /// Its owner, which lives longer.
  private unowned(unsafe) let exchange: Exchange
  private let loop: Worker

  /// When the delay began, and what it took.
  let start: Instant
  private(set) var delayed = TimeSpan.zero
  /// The experiment is over before the delay that was drawn.
  var endsWithDelay = false
  private var done: Set<FaultVerdict.Kind> = []

  private var requests: ByteAllowance?
  private var responses: ByteAllowance?
  private var flips: BitFlips?
  /// Bytes of the answer's body that still go through.
  private var bodyLeft: UInt64?
  /// There were more: the answer ends once they have gone.
  private(set) var cutsResponse = false
  private lazy var timer = LoopTimer(owner: self)

  init(_ verdict: FaultVerdict, _ policies: [FaultPolicy], of exchange: Exchange, loop: Worker) {
    self.verdict = verdict
    self.policies = policies
    self.exchange = exchange
    self.loop = loop
    start = loop.now
    requests = verdict.requestRate.map { ByteAllowance(perSecond: $0, now: loop.now) }
    responses = verdict.responseRate.map { ByteAllowance(perSecond: $0, now: loop.now) }
    flips = verdict.corruptMillionths.map { BitFlips(millionths: $0, seed: loop.random.next()) }
    bodyLeft = verdict.truncateAfter
  }

  // MARK: - Before the request goes on

  func delayBegan() { done.insert(.delay) }
  func delayEnded() { delayed = loop.now - start }

  func replaced(by kind: FaultVerdict.Kind) { done.insert(kind) }

  // MARK: - Bodies

  var limitsRequest: Bool { requests != nil }

  /// The first of `bytes`, as many as may go now. For the rest the timer calls again.
  func admitRequest(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    guard requests != nil, holds() else { return bytes }
    let count = requests?.take(bytes.count, now: loop.now) ?? bytes.count
    return admit(count, of: bytes, requests?.wait)
  }

  func admitResponse(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    guard responses != nil, holds() else { return bytes }
    let count = responses?.take(bytes.count, now: loop.now) ?? bytes.count
    return admit(count, of: bytes, responses?.wait)
  }

  /// The other side took fewer than were admitted.
  func tookRequest(_ count: Int, of admitted: Int) { requests?.giveBack(admitted - count) }
  func tookResponse(_ count: Int, of admitted: Int) { responses?.giveBack(admitted - count) }

  private func admit(_ count: Int, of bytes: UnsafeRawBufferPointer, _ wait: TimeSpan?) -> UnsafeRawBufferPointer {
    done.insert(.bandwidth)
    if count < bytes.count, let wait, !timer.isScheduled { loop.schedule(timer, after: wait) }
    return UnsafeRawBufferPointer(rebasing: bytes.prefix(count))
  }

  /// False once the experiment is over, from when on bodies pass as they are.
  private func holds() -> Bool {
    guard hasExpired else { return true }
    endShaping()
    return false
  }

  /// A limit holds a body back for as long as it takes: that is no idleness.
  func timerFired(_ timer: LoopTimer) {
    let (exchange, generation) = (exchange, exchange.generation)
    exchange.lastActivity = loop.now
    exchange.upstreamWritable()
    if exchange.generation == generation { exchange.downstreamWritable() }
  }

  /// Appends what becomes of a piece of the answer's body.
  func shape(_ bytes: UnsafeRawBufferPointer, into buffer: ByteQueue) {
    if bodyLeft != nil || flips != nil, hasExpired { endShaping() }
    var count = bytes.count
    if let left = bodyLeft {
      count = Int(min(left, UInt64(count)))
      bodyLeft = left - UInt64(count)
      if count < bytes.count {
        cutsResponse = true
        done.insert(.truncate)
      }
    }
    guard count > 0, let source = bytes.baseAddress else { return }
    let room = buffer.reserve(count)
    room.baseAddress?.copyMemory(from: source, byteCount: count)
    flips?.apply(to: UnsafeMutableRawBufferPointer(rebasing: room.prefix(count)))
    if let flips, flips.flips > 0 { done.insert(.corrupt) }
    buffer.commit(count)
  }

  /// From here on bodies pass as they are. What was cut already stays cut.
  func endShaping() {
    requests = nil
    responses = nil
    flips = nil
    bodyLeft = cutsResponse ? 0 : nil
  }

  var hasExpired: Bool { verdict.end.map { WallClock.now >= $0 } ?? false }

  // MARK: - Accounting

  /// What has taken place so far.
  var effects: [FaultVerdict.Effect] { verdict.effects.filter { done.contains($0.kind) } }

  /// How the request ended, with `flag`, is the fault's doing: the answer is not a backend's, or somebody lost patience meanwhile.
  func decides(_ flag: ResponseFlag) -> Bool {
    if !done.isDisjoint(with: [.abort, .reset, .truncate, .corrupt]) { return true }
    return !done.isEmpty && [.requestTimeout, .downstreamTermination].contains(flag)
  }

  var flag: ResponseFlag {
    if done.isEmpty { return .none }
    return done == [.delay] ? .delayInjected : .faultInjected
  }
}

extension Exchange {
  /// For metrics and the log: a reason of the proxy's own goes before an injected one.
  var shownFlag: ResponseFlag { flag == .none ? fault?.flag ?? .none : flag }
}

extension InjectedFaultKind {
  init(_ kind: FaultVerdict.Kind) {
    switch kind {
    case .delay: self = .delay
    case .abort: self = .abort
    case .reset: self = .reset
    case .bandwidth: self = .bandwidth
    case .truncate: self = .truncate
    case .corrupt: self = .corrupt
    }
  }
}
