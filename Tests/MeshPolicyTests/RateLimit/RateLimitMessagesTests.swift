import MeshCore
import MeshPolicy
import Testing

/// Bytes are those of Google's own library for the messages of `envoy.service.ratelimit.v3`.
@Suite("Messages of global rate limits") struct RateLimitMessagesTests {
  private typealias Pair = RateLimitMessages.Pair

  private static func pair(_ key: String, _ value: String) -> RateLimitMessages.Pair {
    RateLimitMessages.Pair(key: key, value: Array(value.utf8))
  }

  private static func frame(_ message: [UInt8]) -> [UInt8] { [0, 0, 0, 0, UInt8(message.count)] + message }

  private static let refusal: [UInt8] = [
    8, 2, 18, 13, 8, 1, 18, 7, 8, 9, 16, 3, 26, 1, 110, 24, 4, 18, 15, 8, 2, 18, 4, 8, 5, 16, 3, 34, 5, 8, 210, 9, 16,
    5,
  ]

  @Test("a request has its domain, its descriptors and its hits, in a frame of gRPC")
  func requests() {
    let frame = RateLimitMessages.request(
      domain: "shop",
      descriptors: [
        [Self.pair("tenant", "a"), Self.pair("k", "")], [Self.pair("x", String(repeating: "y", count: 130))],
      ], hits: 300)
    let start: [UInt8] = [
      10, 4, 115, 104, 111, 112, 18, 18, 10, 11, 10, 6, 116, 101, 110, 97, 110, 116, 18, 1, 97, 10, 3, 10, 1, 107,
    ]
    #expect(frame[0] == 0)
    #expect(frame[1...4].reduce(0) { $0 << 8 | Int($1) } == frame.count - 5)
    #expect(Array(frame[5...].prefix(6)) == Array(start.prefix(6)))
    // An empty value may be written or left out: both mean the same.
    #expect(Array(frame[7 + 6..<7 + 6 + 13]) == Array(start[8..<21]))
    #expect(Array(frame.suffix(3)) == [24, 172, 2])
    #expect(frame.count(where: { $0 == UInt8(ascii: "y") }) == 130)
  }

  @Test("an answer is yes, or no with the limit that was reached and the time until it is open again")
  func answers() {
    #expect(RateLimitMessages.answer(Self.frame([8, 1])) == .allowed)
    #expect(RateLimitMessages.answer(Self.frame(Self.refusal)) == .refused(quota: 5, wait: .seconds(1_234)))
    #expect(RateLimitMessages.answer(Self.frame([8, 2])) == .refused(quota: nil, wait: nil))
    // What newer services say besides is passed over.
    #expect(
      RateLimitMessages.answer(Self.frame([50, 1, 7, 8, 1, 81, 1, 2, 3, 4, 5, 6, 7, 8, 93, 1, 2, 3, 4])) == .allowed)
  }

  @Test("an answer that is cut anywhere, or none at all, is none")
  func broken() {
    #expect(RateLimitMessages.answer([]) == nil)
    #expect(RateLimitMessages.answer(Self.frame([])) == nil)
    #expect(RateLimitMessages.answer(Self.frame([8, 0])) == nil)
    #expect(RateLimitMessages.answer([1] + Self.frame([8, 1]).dropFirst()) == nil)
    #expect(RateLimitMessages.answer(Self.frame([8, 1]) + [0]) == nil)
    let frame = Self.frame(Self.refusal)
    for end in frame.indices { #expect(RateLimitMessages.answer(Array(frame[..<end])) == nil) }
    // Cut inside, with a length that fits: what is left is broken, or says less.
    for end in 3..<Self.refusal.count where ![17, 34].contains(end) {
      #expect(RateLimitMessages.answer(Self.frame(Array(Self.refusal[..<end]))) != .allowed)
    }
  }

  @Test("bytes of chance are never yes unless they say so, and never a crash", arguments: 0..<50 as Range<UInt64>)
  func noise(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    for _ in 0..<200 {
      let bytes = (0..<random.next(below: 40)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      if RateLimitMessages.answer(Self.frame(bytes)) == .allowed { #expect(bytes.contains(8)) }
    }
  }
}
