import MeshCore
import MeshHTTP
import MeshPolicy
import SwiftProtobuf

// When failed attempts are repeated, and when a second one is sent beside the first. A kind of failure that this proxy does not know is refused,
// not left out: a service that is retried more rarely than its manifest says only looks as if it failed more often.
extension RetryPolicy {
  init(_ message: Apus_V1_Retry, limits: ConversionLimits) throws(ConversionError) {
    try limits.check(message.statusCodes.count, atMost: limits.maximumRuleParts, "retry.status_codes")
    try limits.check(message.grpcStatuses.count, atMost: limits.maximumPairs, "retry.grpc_statuses")
    try limits.check(message.failures.count, atMost: limits.maximumPairs, "retry.failures")
    self.init(
      attempts: message.attempts,
      statusCodes: try convertEach(message.statusCodes, "retry.status_codes") { code throws(ConversionError) in
        guard let status = UInt16(exactly: code), (400...599).contains(status) else {
          throw ConversionError(field: "", problem: "\(code) is no status that can be repeated: 400 to 599")
        }
        return status
      },
      grpcStatuses: GRPCStatusSet(
        try convertEach(message.grpcStatuses, "retry.grpc_statuses") { number throws(ConversionError) in
          guard let status = UInt8(exactly: number).flatMap({ GRPCStatus(rawValue: $0) }), status != .ok else {
            throw ConversionError(field: "", problem: "\(number) is no status of a call that failed")
          }
          return status
        }),
      failures: RetryFailures(try convertEach(message.failures, "retry.failures", convertFailure)),
      backoff: try convertTimeSpan(message.backoffMs, "retry.backoff_ms") ?? .zero,
      maximumRetryAfter: try convertTimeSpan(message.maximumRetryAfterMs, "retry.maximum_retry_after_ms") ?? .zero)
  }
}

private func convertFailure(_ message: Apus_V1_RetryFailure) throws(ConversionError) -> RetryFailures {
  switch message {
  case .connectFailure: return .connectFailure
  case .refusedStream: return .refusedStream
  case .reset: return .reset
  case .timeout: return .timeout
  case .unspecified, .UNRECOGNIZED:
    throw ConversionError(
      field: "", problem: "\(message.rawValue) is none; is the controller newer than this proxy?")
  }
}

extension Apus_V1_Retry {
  init(_ policy: RetryPolicy) {
    self.init()
    attempts = policy.attempts
    statusCodes = policy.statusCodes.map(UInt32.init)
    backoffMs = policy.backoff.wireMilliseconds
    grpcStatuses = policy.grpcStatuses.all.map { UInt32($0.rawValue) }
    let names: [(RetryFailures, Apus_V1_RetryFailure)] = [
      (.connectFailure, .connectFailure), (.refusedStream, .refusedStream), (.reset, .reset), (.timeout, .timeout),
    ]
    failures = names.filter { policy.failures.contains($0.0) }.map(\.1)
    maximumRetryAfterMs = policy.maximumRetryAfter.wireMilliseconds
  }
}

extension HedgingPolicy {
  init(_ message: Apus_V1_Hedging) throws(ConversionError) {
    switch message.start {
    case .delayMs(let milliseconds):
      self.init(.fixed(try convertSomeTime(milliseconds, "hedging.delay_ms")), allMethods: message.allMethods)
    case .quantile(let share):
      guard Self.quantiles.contains(share) else {
        throw ConversionError(field: "hedging.quantile", problem: "\(share) is not within 5000 and 9999")
      }
      self.init(.quantile(share), allMethods: message.allMethods)
    case nil:
      throw ConversionError(field: "hedging", problem: "says not when; is the controller newer than this proxy?")
    }
  }
}

extension Apus_V1_Hedging {
  init(_ policy: HedgingPolicy) {
    self.init()
    switch policy.delay {
    case .fixed(let delay): delayMs = delay.wireMilliseconds
    case .quantile(let share): quantile = share
    }
    allMethods = policy.allMethods
  }
}
