package import MeshCore
package import MeshHTTP

/// What one request asks for itself.
package struct RequestOverrides: Equatable, Sendable {
  /// Zero: none, whatever the rule says.
  package var timeout: TimeSpan?
  package var attemptTimeout: TimeSpan?
  package var retries: UInt32?

  /// The most repeats that a request may ask for.
  package static let maximumRetries: UInt32 = 100

  package init(timeout: TimeSpan? = nil, attemptTimeout: TimeSpan? = nil, retries: UInt32? = nil) {
    self.timeout = timeout
    self.attemptTimeout = attemptTimeout
    self.retries = retries
  }

  /// Reads the fields of these kinds; others are as if they were not there. Nil when one of them cannot be read: whoever may ask should learn
  /// that it was not understood.
  package init?(_ request: MessageHead, _ kinds: OverridePolicy.Kinds) {
    self.init()
    if kinds.contains(.timeout), let text = request.value(.xApusTimeout) {
      guard let span = Self.duration(text) else { return nil }
      timeout = span
    }
    if kinds.contains(.attemptTimeout), let text = request.value(.xApusAttemptTimeout) {
      guard let span = Self.duration(text) else { return nil }
      attemptTimeout = span
    }
    if kinds.contains(.retries), let text = request.value(.xApusRetries) {
      guard let (number, rest) = Self.number(text), rest.isEmpty, number <= Int64(Self.maximumRetries) else {
        return nil
      }
      retries = UInt32(number)
    }
  }

  package var isEmpty: Bool { self == RequestOverrides() }

  package func apply(to timeouts: RouteTimeouts) -> RouteTimeouts {
    var timeouts = timeouts
    if let timeout { timeouts.request = timeout == .zero ? nil : timeout }
    if let attemptTimeout { timeouts.backendRequest = attemptTimeout == .zero ? nil : attemptTimeout }
    return timeouts
  }

  package func apply(to retry: RetryPolicy?) -> RetryPolicy? {
    guard let retries else { return retry }
    if retries == 0 { return nil }
    var policy = retry ?? RetryPolicy(attempts: retries, statusCodes: [])
    policy.attempts = retries
    return policy
  }

  // MARK: - Reading

  /// As manifests write durations (GEP-2257): `250ms`, `1m30s`.
  static func duration(_ text: UnsafeRawBufferPointer) -> TimeSpan? {
    var (rest, sum) = (text, Int64(0))
    for _ in 0..<4 where !rest.isEmpty {
      guard let (number, after) = number(rest), let first = after.first else { return nil }
      let isMilliseconds = first == UInt8(ascii: "m") && after.count > 1 && after[1] == UInt8(ascii: "s")
      let unit: Int64
      switch first {
      case _ where isMilliseconds: unit = 1
      case UInt8(ascii: "s"): unit = 1_000
      case UInt8(ascii: "m"): unit = 60_000
      case UInt8(ascii: "h"): unit = 3_600_000
      default: return nil
      }
      sum += number * unit
      let length = isMilliseconds ? 2 : 1
      rest = after.slice(length, after.count - length)
    }
    // The wheel of timers reaches a year.
    return rest.isEmpty && !text.isEmpty && sum <= 31_536_000_000 ? .milliseconds(sum) : nil
  }

  private static func number(_ text: UnsafeRawBufferPointer) -> (Int64, UnsafeRawBufferPointer)? {
    var (value, count) = (Int64(0), 0)
    while count < text.count, text[count] &- 0x30 < 10 {
      value = value * 10 + Int64(text[count] &- 0x30)
      count += 1
      if count > 5 { return nil }
    }
    return count == 0 ? nil : (value, text.slice(count, text.count - count))
  }
}
