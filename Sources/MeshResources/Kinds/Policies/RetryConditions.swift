package import MeshPolicy

/// `retries.conditions`: which attempts are repeated.
package struct RetryConditions: Hashable, Sendable {
  /// Ascending.
  package var statuses: [UInt16]
  package var grpcStatuses: GRPCStatusSet
  package var failures: RetryFailures

  package init(
    statuses: [UInt16] = [], grpcStatuses: GRPCStatusSet = [], failures: RetryFailures = .all
  ) {
    self.statuses = statuses
    self.grpcStatuses = grpcStatuses
    self.failures = failures
  }

  /// As a manifest would have them.
  package var text: String {
    var words: [String] = []
    let numbers = Set(statuses)
    if numbers.isSuperset(of: Word.serverErrors.statuses), numbers.count == Word.serverErrors.statuses.count {
      words.append(Word.serverErrors.rawValue)
    } else {
      words += statuses.map(String.init)
    }
    words += Word.allCases.filter { $0.grpcStatus.map { grpcStatuses.isSuperset(of: $0) } ?? false }.map(\.rawValue)
    if failures != .all {
      words += Word.allCases.filter { $0.failure.map { failures.contains($0) } ?? false }.map(\.rawValue)
    }
    return words.isEmpty ? "failures without an answer" : words.joined(separator: ", ")
  }

  /// The words beside numbers of statuses. They are those of Envoy's `retry_on` where it has them, in the spelling of this group.
  enum Word: String, CaseIterable {
    case serverErrors, gatewayErrors, retriable4xx
    case connectFailure, refusedStream, reset, timeout
    case cancelled, deadlineExceeded, `internal`, resourceExhausted, unavailable

    var statuses: [UInt16] {
      switch self {
      case .serverErrors: Array(500...599)
      case .gatewayErrors: [502, 503, 504]
      // The one that another attempt may change (optimistic locks).
      case .retriable4xx: [409]
      default: []
      }
    }

    var failure: RetryFailures? {
      switch self {
      case .connectFailure: .connectFailure
      case .refusedStream: .refusedStream
      case .reset: .reset
      case .timeout: .timeout
      default: nil
      }
    }

    var grpcStatus: GRPCStatusSet? {
      switch self {
      case .cancelled: .cancelled
      case .deadlineExceeded: .deadlineExceeded
      case .internal: .internal
      case .resourceExhausted: .resourceExhausted
      case .unavailable: .unavailable
      default: nil
      }
    }
  }
}

extension RetryConditions {
  /// Statuses, and words for groups of them, for statuses of gRPC, and for failures without an answer. Without any of the last all of
  /// those are repeated.
  init(_ field: Field) {
    var statuses: Set<UInt16> = []
    var calls: GRPCStatusSet = []
    var failures: RetryFailures = []
    for element in field.elements(atMost: RouteLimits.retryCodes) {
      if case .number = element.node.value {
        element.integer(in: 400...599).map { _ = statuses.insert(UInt16($0)) }
      } else if let word = element.word(Word.allCases.map(\.rawValue)).flatMap(Word.init) {
        statuses.formUnion(word.statuses)
        word.grpcStatus.map { calls.formUnion($0) }
        word.failure.map { _ = failures.insert($0) }
      }
    }
    self.init(
      statuses: statuses.sorted(), grpcStatuses: calls, failures: failures.isEmpty ? .all : failures)
  }
}
