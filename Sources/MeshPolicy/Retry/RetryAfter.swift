package import MeshCore
package import MeshHTTP

/// What an answer says about a repeat of its request.
package enum RetryAfter: Hashable, Sendable {
  case after(TimeSpan)
  /// Not at all.
  case never

  /// `Retry-After` (RFC 9110, section 10.2.3: seconds, or a date), and for calls of gRPC `grpc-retry-pushback-ms` (gRPC's proposal A6).
  /// Nil for an answer that says nothing of it, or nothing that can be read. `now` is Unix time in milliseconds.
  package init?(_ head: MessageHead, isGRPC: Bool, now: Int64) {
    if isGRPC, let text = head.value(named: Self.pushback) {
      // "If the value is negative or not a number, it is an instruction not to retry."
      self = Self.decimal(text).map { .after(.milliseconds($0)) } ?? .never
      return
    }
    guard let text = head.value(.retryAfter) else { return nil }
    if let seconds = Self.decimal(text) {
      self = .after(.seconds(seconds))
    } else if let date = HTTPDate.parse(text, now: now / 1_000) {
      self = .after(.milliseconds(max(0, date * 1_000 - now)))
    } else {
      return nil
    }
  }

  private static var pushback: UnsafeRawBufferPointer {
    let name: StaticString = "grpc-retry-pushback-ms"
    return UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
  }

  /// Digits alone. More than nine stand for a time that nobody waits for.
  private static func decimal(_ text: UnsafeRawBufferPointer) -> Int64? {
    guard !text.isEmpty, text.allSatisfy({ $0 &- 0x30 < 10 }) else { return nil }
    var number: Int64 = 0
    for digit in text { number = min(number * 10 + Int64(digit &- 0x30), 999_999_999) }
    return number
  }
}
