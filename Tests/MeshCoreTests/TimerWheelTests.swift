import MeshCore
import Testing

/// Writes down which timers fired and when, on a virtual clock.
private final class Recorder: TimerHandler {
  var now = Instant(nanoseconds: 0)
  var fired: [(tag: Int, at: Instant)] = []
  var onFire: ((LoopTimer) -> Void)?
  private var timers: [LoopTimer] = []

  /// A timer that lives as long as the recorder: one that is let go is cancelled.
  func timer(_ tag: Int) -> LoopTimer {
    let timer = LoopTimer(owner: self, tag: tag)
    timers.append(timer)
    return timer
  }

  func timerFired(_ timer: LoopTimer) {
    fired.append((timer.tag, now))
    onFire?(timer)
  }
}

@Suite struct TimerWheelTests {
  private func at(_ milliseconds: UInt64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

  private func advance(_ wheel: TimerWheel, _ recorder: Recorder, to milliseconds: UInt64) {
    recorder.now = at(milliseconds)
    wheel.advance(to: recorder.now)
  }

  @Test("timers fire in the order of their deadlines, those of one tick in the order they were armed")
  func order() {
    let recorder = Recorder()
    let wheel = TimerWheel(now: at(0))
    let deadlines: [UInt64] = [70, 5, 5000, 64, 5, 63, 300_000, 4096]
    let timers = deadlines.indices.map { recorder.timer($0) }
    for (timer, deadline) in zip(timers, deadlines) { wheel.schedule(timer, at: at(deadline)) }
    advance(wheel, recorder, to: 400_000)
    #expect(recorder.fired.map(\.tag) == [1, 4, 5, 3, 0, 7, 2, 6])
    #expect(wheel.count == 0 && wheel.nextDeadline == nil)
  }

  @Test(
    "no timer fires before its deadline, and none is late by more than a tick",
    arguments: 1...5 as ClosedRange<UInt64>)
  func neverEarly(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let recorder = Recorder()
    let start = UInt64(random.next(below: 1 << 40))
    let wheel = TimerWheel(now: Instant(nanoseconds: start))
    var deadlines: [Instant] = []
    let timers = (0..<500).map { recorder.timer($0) }
    for timer in timers {
      let wait = UInt64(random.next(below: 1 << (10 + random.next(below: 30))))
      deadlines.append(Instant(nanoseconds: start + wait))
      wheel.schedule(timer, at: deadlines[timer.tag])
    }
    var steps = 0
    while let next = wheel.nextDeadline {
      recorder.now = next
      wheel.advance(to: next)
      steps += 1
    }
    #expect(recorder.fired.count == 500)
    #expect(steps <= 500 * 7)
    for (tag, time) in recorder.fired {
      #expect(time >= deadlines[tag])
      #expect(time - deadlines[tag] < .milliseconds(2))
    }
  }

  @Test("a cancelled timer does not fire, and a re-armed one fires once at its new time")
  func cancelAndMove() {
    let recorder = Recorder()
    let wheel = TimerWheel(now: at(0))
    let cancelled = recorder.timer(1)
    let moved = recorder.timer(2)
    wheel.schedule(cancelled, at: at(10))
    wheel.schedule(moved, at: at(10))
    wheel.cancel(cancelled)
    wheel.cancel(cancelled)
    wheel.schedule(moved, at: at(500))
    #expect(wheel.count == 1 && !cancelled.isScheduled && moved.isScheduled)
    advance(wheel, recorder, to: 499)
    #expect(recorder.fired.isEmpty)
    advance(wheel, recorder, to: 500)
    #expect(recorder.fired.map(\.tag) == [2])
  }

  @Test("a handler that re-arms for now does not hold the loop")
  func rearmNow() {
    let recorder = Recorder()
    let wheel = TimerWheel(now: at(0))
    let timer = recorder.timer(0)
    recorder.onFire = { [unowned wheel, unowned recorder] in wheel.schedule($0, at: recorder.now) }
    wheel.schedule(timer, at: at(1))
    advance(wheel, recorder, to: 50)
    #expect(recorder.fired.count == 1)
    advance(wheel, recorder, to: 51)
    #expect(recorder.fired.count == 2)
  }

  @Test("a handler may cancel a timer of the same tick")
  func cancelNeighbour() {
    let recorder = Recorder()
    let wheel = TimerWheel(now: at(0))
    let first = recorder.timer(1)
    let second = recorder.timer(2)
    recorder.onFire = { [unowned wheel] _ in wheel.cancel(second) }
    wheel.schedule(first, at: at(5))
    wheel.schedule(second, at: at(5))
    advance(wheel, recorder, to: 10)
    #expect(recorder.fired.map(\.tag) == [1])
  }

  @Test("a timer that is let go while armed is forgotten")
  func letGo() {
    let recorder = Recorder()
    let wheel = TimerWheel(now: at(0))
    do {
      let timer = LoopTimer(owner: recorder)
      wheel.schedule(timer, at: at(5))
      #expect(wheel.count == 1)
    }
    #expect(wheel.count == 0)
    advance(wheel, recorder, to: 10)
    #expect(recorder.fired.isEmpty)
  }

  @Test("a wheel that goes first leaves its timers usable")
  func wheelGoesFirst() {
    let recorder = Recorder()
    let timer = recorder.timer(0)
    do {
      let wheel = TimerWheel(now: at(0))
      wheel.schedule(timer, at: at(5))
    }
    #expect(!timer.isScheduled)
    let wheel = TimerWheel(now: at(0))
    wheel.schedule(timer, at: at(5))
    advance(wheel, recorder, to: 5)
    #expect(recorder.fired.count == 1)
  }

  @Test("a wait beyond the wheel's reach is cut to it instead of firing at once")
  func beyondReach() {
    let recorder = Recorder()
    let wheel = TimerWheel(now: at(12345))
    let timer = recorder.timer(0)
    wheel.schedule(timer, at: Instant(nanoseconds: UInt64.max / 2))
    advance(wheel, recorder, to: 1 << 34)
    #expect(recorder.fired.isEmpty)
    advance(wheel, recorder, to: 12345 + 1 << 35)
    #expect(recorder.fired.count == 1)
  }
}
