import MeshCore
import Testing

@testable import MeshProxy

/// The limits of one connection on a clock of the test's own.
@Suite("The life of an HTTP/2 connection")
struct ConnectionLifetimeTests {
  private static let limits = ConnectionLifetime.Limits(
    keepaliveInterval: .seconds(10), keepaliveTimeout: .seconds(5), idleTimeout: .seconds(100))

  private static func at(_ seconds: Double) -> Instant { Instant(nanoseconds: UInt64((1_000 + seconds) * 1e9)) }

  /// A lifetime by reference: `#expect` takes no mutating calls.
  private final class Life {
    private var value: ConnectionLifetime

    init(_ limits: ConnectionLifetime.Limits = limits, share: Double = 0.5) {
      value = ConnectionLifetime(limits, now: at(0), share: share)
    }

    var nextCheck: Instant { value.nextCheck }
    func streamsEnded(_ now: Instant) { value.streamsEnded(now) }
    func streamStarted(_ now: Instant, asking: Bool) -> Bool { value.streamStarted(now, asking: asking) }

    func check(_ now: Instant, lastReceived: Instant, streams: Int) -> ConnectionLifetime.Action {
      value.check(now, lastReceived: lastReceived, streams: streams)
    }
  }

  @Test("a silent peer with a stream is asked after the interval and dead after the timeout")
  func silence() {
    let life = Life()
    #expect(life.nextCheck == Self.at(10))
    #expect(life.check(Self.at(10), lastReceived: Self.at(0), streams: 1) == .ping)
    #expect(life.nextCheck == Self.at(15))
    #expect(life.check(Self.at(14), lastReceived: Self.at(0), streams: 1) == .none)
    #expect(life.nextCheck == Self.at(15))
    #expect(life.check(Self.at(15), lastReceived: Self.at(0), streams: 1) == .dead)
  }

  @Test("any byte is a sign of life; bytes of the turn that asked are not")
  func signOfLife() {
    let life = Life()
    #expect(life.check(Self.at(10), lastReceived: Self.at(0), streams: 1) == .ping)
    #expect(life.check(Self.at(15), lastReceived: Self.at(12), streams: 1) == .none)
    #expect(life.nextCheck == Self.at(22))
    #expect(life.check(Self.at(22), lastReceived: Self.at(12), streams: 1) == .ping)
    #expect(life.check(Self.at(27), lastReceived: Self.at(22), streams: 1) == .dead)
  }

  @Test("a busy connection is never asked, and looked at once an interval")
  func busy() {
    let life = Life()
    var checks = 0
    var now = life.nextCheck
    while now < Self.at(1_000) {
      // Something came 10 ms before each look.
      let received = Instant(nanoseconds: now.nanoseconds - 10_000_000)
      #expect(life.check(now, lastReceived: received, streams: 3) == .none)
      #expect(!life.streamStarted(now, asking: true))
      life.streamsEnded(now)
      checks += 1
      now = life.nextCheck
    }
    #expect((99...101).contains(checks))
  }

  @Test("an idle connection is left in peace until its idle timeout; the stream that wakes it asks at once")
  func rest() {
    let life = Life()
    #expect(life.check(Self.at(10), lastReceived: Self.at(0), streams: 0) == .none)
    #expect(life.nextCheck == Self.at(100))
    #expect(life.streamStarted(Self.at(50), asking: true))
    #expect(life.nextCheck == Self.at(55))
    #expect(life.check(Self.at(55), lastReceived: Self.at(0), streams: 1) == .dead)
  }

  @Test("a server that is woken need not ask: the stream itself is a sign of life")
  func wokenServer() {
    let life = Life()
    #expect(life.check(Self.at(10), lastReceived: Self.at(0), streams: 0) == .none)
    #expect(life.streamStarted(Self.at(50), asking: false))
    #expect(life.nextCheck == Self.at(60))
    #expect(life.check(Self.at(60), lastReceived: Self.at(50), streams: 1) == .ping)
  }

  @Test("idleness counts from the end of the last stream, whatever bytes come")
  func idle() {
    let life = Life()
    life.streamsEnded(Self.at(40))
    #expect(life.check(Self.at(100), lastReceived: Self.at(99), streams: 0) == .none)
    #expect(life.check(Self.at(140), lastReceived: Self.at(139), streams: 0) == .idle)
    #expect(life.nextCheck > Self.at(140))
  }

  @Test(
    "a connection retires at its age, 10 % either way, and is cut when the grace is over", arguments: [0.0, 0.5, 1])
  func age(share: Double) {
    var limits = Self.limits
    limits.maximumAge = .seconds(50)
    limits.ageGrace = .seconds(3)
    let life = Life(limits, share: share)
    let end = 45 + 10 * share
    #expect(life.check(Self.at(end - 1), lastReceived: Self.at(end - 1), streams: 1) == .none)
    #expect(life.nextCheck == Self.at(end))
    #expect(life.check(Self.at(end), lastReceived: Self.at(end), streams: 1) == .retire)
    #expect(life.check(Self.at(end + 1), lastReceived: Self.at(end), streams: 1) == .none)
    #expect(life.nextCheck == Self.at(end + 3))
    #expect(life.check(Self.at(end + 3), lastReceived: Self.at(end + 3), streams: 1) == .cut)
  }

  @Test("without a grace the streams of a retired connection go on")
  func noGrace() {
    var limits = Self.limits
    limits.maximumAge = .seconds(50)
    let life = Life(limits)
    #expect(life.check(Self.at(50), lastReceived: Self.at(50), streams: 1) == .retire)
    #expect(life.check(Self.at(5_000), lastReceived: Self.at(4_999), streams: 1) == .none)
  }

  @Test("a limit of zero is off")
  func off() {
    let life = Life(ConnectionLifetime.Limits())
    for seconds in stride(from: 0.0, to: 100_000, by: 5_000) {
      #expect(life.check(Self.at(seconds), lastReceived: Self.at(0), streams: 0) == .none)
      #expect(life.check(Self.at(seconds), lastReceived: Self.at(0), streams: 1) == .none)
      #expect(life.nextCheck > Self.at(seconds))
    }
    #expect(!life.streamStarted(Self.at(100_000), asking: true))
  }
}
