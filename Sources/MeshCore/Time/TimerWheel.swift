/// Is told when one of its timers is due.
public protocol TimerHandler: AnyObject {
  func timerFired(_ timer: LoopTimer)
}

/// One timer, armed and re-armed any number of times without allocation.
///
/// The owner keeps the timer; the wheel does not. A timer that is let go while it is armed is cancelled by its
/// deinit, so an owner that dies needs no clean-up. The back reference is `unowned`: someone else who keeps the timer
/// must not arm it past the owner's life. Confined to the loop of its wheel.
public final class LoopTimer {
  public unowned let owner: any TimerHandler
  /// Tells an owner's timers apart.
  public let tag: Int

  fileprivate unowned(unsafe) var wheel: TimerWheel?
  fileprivate unowned(unsafe) var next: LoopTimer?
  fileprivate unowned(unsafe) var previous: LoopTimer?
  fileprivate var slot = 0
  fileprivate var tick: UInt64 = 0

  public init(owner: any TimerHandler, tag: Int = 0) {
    self.owner = owner
    self.tag = tag
  }

  deinit { wheel?.cancel(self) }

  public fileprivate(set) var isScheduled = false
}

/// A hierarchical timer wheel (Varghese and Lauck, 1987; levels chosen by the highest differing bit, as in tokio).
///
/// Six levels of 64 slots with a tick of one millisecond reach 1.09 years; longer waits are cut to that. Arming and
/// cancelling are O(1), a timer moves down at most five times. A timer never fires early and fires in order of its
/// tick, timers of one tick in the order they were armed. Pure: time comes in as a parameter. Confined to one loop.
public final class TimerWheel {
  private static let levels = 6
  private static let slotsPerLevel = 64
  private static let nanosecondsPerTick: UInt64 = 1_000_000
  private static let reach: UInt64 = 1 << 35

  /// First timer of each slot's circular list.
  private let heads: UnsafeMutablePointer<Unmanaged<LoopTimer>?>
  private let occupied: UnsafeMutablePointer<UInt64>
  /// Every tick up to this one has been handled.
  private var elapsed: UInt64
  /// The tick `advance` is working towards. A timer armed meanwhile comes after it, so that a handler cannot hold the
  /// loop.
  private var target: UInt64
  /// Timers armed now.
  public private(set) var count = 0

  public init(now: Instant) {
    heads = .allocate(capacity: Self.levels * Self.slotsPerLevel)
    heads.initialize(repeating: nil, count: Self.levels * Self.slotsPerLevel)
    occupied = .allocate(capacity: Self.levels)
    occupied.initialize(repeating: 0, count: Self.levels)
    elapsed = now.nanoseconds / Self.nanosecondsPerTick
    target = elapsed
  }

  deinit {
    for slot in 0..<(Self.levels * Self.slotsPerLevel) {
      while let timer = heads[slot]?._withUnsafeGuaranteedRef({ $0 }) { unlink(timer) }
    }
    heads.deallocate()
    occupied.deallocate()
  }

  // MARK: - Arming

  /// Arms `timer` for `deadline`, moving it when it is armed already.
  public func schedule(_ timer: LoopTimer, at deadline: Instant) {
    if timer.wheel != nil { unlink(timer) }
    let rounded = deadline.nanoseconds / Self.nanosecondsPerTick
    let tick = deadline.nanoseconds % Self.nanosecondsPerTick == 0 ? rounded : rounded &+ 1
    timer.tick = min(max(tick, target &+ 1), elapsed &+ Self.reach &- 1)
    link(timer)
  }

  /// Disarms `timer`; nothing happens when it is not armed.
  public func cancel(_ timer: LoopTimer) {
    if timer.wheel != nil { unlink(timer) }
  }

  // MARK: - Running

  /// When `advance` has something to do next: never later than the earliest timer. Nil when nothing is armed.
  public var nextDeadline: Instant? {
    guard let next = nextSlot() else { return nil }
    return Instant(nanoseconds: next.tick &* Self.nanosecondsPerTick)
  }

  /// Fires every timer due at `now`. Handlers may arm and cancel freely. Returns how many fired.
  @discardableResult
  public func advance(to now: Instant) -> Int {
    let nowTick = now.nanoseconds / Self.nanosecondsPerTick
    guard nowTick > elapsed else { return 0 }
    target = nowTick
    var fired = 0
    while let next = nextSlot(), next.tick <= nowTick {
      elapsed = max(elapsed, next.tick)
      if next.slot < Self.slotsPerLevel {
        fired += fire(slot: next.slot)
      } else {
        cascade(slot: next.slot)
      }
    }
    elapsed = nowTick
    return fired
  }

  private func fire(slot: Int) -> Int {
    var fired = 0
    while let timer = heads[slot]?.takeUnretainedValue() {
      unlink(timer)
      timer.owner.timerFired(timer)
      fired += 1
    }
    return fired
  }

  /// Moves a slot's timers to the levels below, or to the lowest when they are due in this very tick.
  private func cascade(slot: Int) {
    while let timer = heads[slot]?.takeUnretainedValue() {
      unlink(timer)
      link(timer)
    }
  }

  private func nextSlot() -> (slot: Int, tick: UInt64)? {
    for level in 0..<Self.levels where occupied[level] != 0 {
      let shift = UInt64(level * 6)
      let current = (elapsed >> shift) & 63
      let bits = occupied[level]
      // A top-level slot before the current one belongs to the next round (`reach` keeps the current one itself free).
      let rotated = current == 0 ? bits : bits >> current | bits << (64 - current)
      let distance = UInt64(rotated.trailingZeroBitCount)
      let tick = ((elapsed >> shift) &+ distance) << shift
      return (level * Self.slotsPerLevel + Int((current &+ distance) & 63), tick)
    }
    return nil
  }

  // MARK: - Lists

  private func link(_ timer: LoopTimer) {
    let differing = (elapsed ^ timer.tick) | 63
    let level = min((63 - differing.leadingZeroBitCount) / 6, Self.levels - 1)
    let place = Int((timer.tick >> UInt64(level * 6)) & 63)
    let slot = level * Self.slotsPerLevel + place
    timer.slot = slot
    timer.wheel = self
    timer.isScheduled = true
    if let head = heads[slot]?.takeUnretainedValue(), let tail = head.previous {
      timer.next = head
      timer.previous = tail
      tail.next = timer
      head.previous = timer
    } else {
      timer.next = timer
      timer.previous = timer
      heads[slot] = Unmanaged.passUnretained(timer)
      occupied[level] |= 1 << UInt64(place)
    }
    count += 1
  }

  private func unlink(_ timer: LoopTimer) {
    let slot = timer.slot
    if let next = timer.next, next !== timer {
      next.previous = timer.previous
      timer.previous?.next = next
      if heads[slot]?.toOpaque() == Unmanaged.passUnretained(timer).toOpaque() {
        heads[slot] = Unmanaged.passUnretained(next)
      }
    } else {
      heads[slot] = nil
      occupied[slot / Self.slotsPerLevel] &= ~(1 << UInt64(slot % Self.slotsPerLevel))
    }
    timer.next = nil
    timer.previous = nil
    timer.wheel = nil
    timer.isScheduled = false
    count -= 1
  }
}
